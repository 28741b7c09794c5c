// Package httptarget reads raw request targets: split, compare and map them without re-encoding a byte.
package httptarget

import (
	"errors"
	"strings"
)

// ErrForm is returned for a target that is neither an absolute path, nor "*", nor an absolute http(s) URI.
var ErrForm = errors.New("the request target is neither a path nor an http URI")

// Target is a request target taken apart (RFC 9112 section 3.2).
type Target struct {
	Raw    string // origin-form: path and query byte for byte, or "*"
	Scheme string // of an absolute-form target, in lower case; "" otherwise
}

// Parse reads the target of a request line. The authority of an absolute-form target is dropped (net/http
// keeps it as the request's host), userinfo in it is refused (RFC 9110 section 4.2.4).
func Parse(method, uri string) (Target, error) {
	t := Target{Raw: uri}
	if !strings.HasPrefix(uri, "/") && uri != "*" {
		scheme, rest, ok := strings.Cut(uri, "://")
		t.Scheme = strings.ToLower(scheme)
		if !ok || t.Scheme != "http" && t.Scheme != "https" {
			return Target{}, ErrForm
		}
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		if strings.Contains(rest[:end], "@") {
			return Target{}, errors.New("the request target holds userinfo")
		}
		switch t.Raw = rest[end:]; {
		case t.Raw == "" && method == "OPTIONS":
			t.Raw = "*" // RFC 9112 section 3.2.4
		case !strings.HasPrefix(t.Raw, "/"):
			t.Raw = "/" + t.Raw
		}
	}
	if t.Raw == "*" && method != "OPTIONS" {
		return Target{}, errors.New("the target * is for OPTIONS only")
	}
	return t, Check(t.Raw)
}

// Check refuses an origin-form target that cannot be put into a request line as it is, or would end it.
func Check(raw string) error {
	if raw != "*" && !strings.HasPrefix(raw, "/") {
		return ErrForm
	}
	for i := range len(raw) {
		switch c := raw[i]; {
		case c <= ' ' || c == 0x7f:
			return errors.New("the request target holds a space or control character")
		case c == '#':
			return errors.New("the request target holds a fragment")
		}
	}
	return nil
}

// Split gives the path and the rest, which is "" or begins with "?".
func Split(raw string) (path, query string) {
	if i := strings.IndexByte(raw, '?'); i >= 0 {
		return raw[:i], raw[i:]
	}
	return raw, ""
}

// decode undoes percent-encoding once; false for a malformed escape.
func decode(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := hex(s[i+1]), hex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		out = append(out, byte(hi<<4|lo))
		i += 2
	}
	return string(out), true
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
