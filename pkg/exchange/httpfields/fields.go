// Package httpfields holds the rules for header fields that both edges follow: what may pass, what belongs to one hop, Via.
package httpfields

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
)

// Bounds of one message's head. A head travels in one line of a frame, whose claims are at most 64 KiB
// in JSON; longer or more fields could not be sealed.
const (
	MaxCount = 256
	MaxBytes = 48 << 10
)

// ErrTooLarge is returned by Check for more than MaxCount fields or MaxBytes of them.
var ErrTooLarge = errors.New("header fields are too large")

// FromHeader lists h ordered by name; lines of equal name keep their order. (net/http forgets the order
// between different names, which has no meaning: RFC 9110 section 5.3.)
func FromHeader(h http.Header) exchange.Fields {
	fields := make(exchange.Fields, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fields = append(fields, exchange.Field{Name: name, Value: value})
		}
	}
	return fields
}

// AddTo adds every field to h under its canonical name.
func AddTo(h http.Header, fields exchange.Fields) {
	for _, f := range fields {
		h.Add(f.Name, f.Value)
	}
}

// Get gives the first value of name, without regard to case, or "".
func Get(fields exchange.Fields, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Values gives all values of name in order, without regard to case.
func Values(fields exchange.Fields, name string) []string {
	var values []string
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Without gives fields without those called name; fields itself is left as it is, and returned where there are none.
func Without(fields exchange.Fields, name string) exchange.Fields {
	named := func(f exchange.Field) bool { return strings.EqualFold(f.Name, name) }
	if !slices.ContainsFunc(fields, named) {
		return fields
	}
	return slices.DeleteFunc(slices.Clone(fields), named)
}

// Size is how many bytes the fields take in an HTTP/1.1 head, line ends included.
func Size(fields exchange.Fields) int {
	n := 0
	for _, f := range fields {
		n += len(f.Name) + len(f.Value) + len(": \r\n")
	}
	return n
}

// Check refuses what must not reach another parser: names that are no tokens (RFC 9110 section 5.1),
// values with control characters (section 5.5), single fields given twice, and more than the bounds
// (ErrTooLarge). Values are not named in the error: they may be secret.
func Check(fields exchange.Fields) error { return CheckWithin(fields, MaxCount, MaxBytes) }

// CheckWithin is Check with narrower bounds; 0 is that of Check.
func CheckWithin(fields exchange.Fields, count, size int) error {
	count, size = min(cmp.Or(count, MaxCount), MaxCount), min(cmp.Or(size, MaxBytes), MaxBytes)
	if len(fields) > count {
		return fmt.Errorf("%w: %d of at most %d", ErrTooLarge, len(fields), count)
	}
	if n := Size(fields); n > size {
		return fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, n, size)
	}
	seen := [len(single)]bool{}
	for _, f := range fields {
		if !Token(f.Name) {
			return fmt.Errorf("field name %q is no token", f.Name)
		}
		if !Text(f.Value) {
			return fmt.Errorf("field %s has control characters in its value", f.Name)
		}
		for i, name := range single {
			if !strings.EqualFold(f.Name, name) {
				continue
			}
			if seen[i] {
				return fmt.Errorf("field %s is given twice", name)
			}
			seen[i] = true
		}
	}
	return nil
}

// single fields decide how a message is framed or read; two of them mean two things to two parsers.
var single = [...]string{"Host", "Content-Length", "Content-Type"}

// Token says whether s is an RFC 9110 section 5.6.2 token.
func Token(s string) bool {
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func tokenByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// Text says whether s is fit for a field value: no control characters but the tab.
func Text(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// List splits the comma-separated elements of all lines called name and trims them. It knows no
// quoted strings: use it for fields whose elements are tokens.
func List(fields exchange.Fields, name string) []string {
	var list []string
	for _, v := range Values(fields, name) {
		for part := range strings.SplitSeq(v, ",") {
			if part = textproto.TrimString(part); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}
