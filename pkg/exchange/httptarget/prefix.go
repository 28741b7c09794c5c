package httptarget

import (
	"errors"
	"strings"
)

// Prefix is a path prefix that ends at a segment's end: /api covers /api and /api/x, not /apix.
// Segments are compared percent-decoded. The zero Prefix is "/", which covers everything.
type Prefix struct{ segments []string }

// ParsePrefix reads a prefix; "" and "/" are the same, a last slash has no meaning.
func ParsePrefix(s string) (Prefix, error) {
	s = strings.TrimSuffix(s, "/")
	if s == "" {
		return Prefix{}, nil
	}
	if !strings.HasPrefix(s, "/") {
		return Prefix{}, errors.New("a path prefix begins with /")
	}
	if strings.ContainsAny(s, "?#") {
		return Prefix{}, errors.New("a path prefix holds neither ? nor #")
	}
	var p Prefix
	for segment := range strings.SplitSeq(s[1:], "/") {
		plain, ok := decode(segment)
		if !ok {
			return Prefix{}, errors.New("a path prefix holds a malformed percent-encoding")
		}
		p.segments = append(p.segments, plain)
	}
	return p, nil
}

// Len is the number of segments: of two prefixes that cover a path, the one with more is the closer.
func (p Prefix) Len() int { return len(p.segments) }

// Cut gives what follows the prefix in a raw path, "" or beginning with "/", untouched.
// false: the prefix does not cover the path. "*" is covered by "/" alone.
func (p Prefix) Cut(path string) (rest string, ok bool) {
	rest = path
	for _, want := range p.segments {
		if !strings.HasPrefix(rest, "/") {
			return "", false
		}
		segment := rest[1:]
		if i := strings.IndexByte(segment, '/'); i >= 0 {
			segment = segment[:i]
		}
		if plain, good := decode(segment); !good || plain != want {
			return "", false
		}
		rest = rest[1+len(segment):]
	}
	return rest, true
}

// Strip removes the prefix from a raw target (path and query); false when it does not cover it. The
// result begins with "/" again.
func (p Prefix) Strip(raw string) (string, bool) {
	path, query := Split(raw)
	rest, ok := p.Cut(path)
	if !ok {
		return raw, false
	}
	if rest == "" {
		rest = "/"
	}
	return rest + query, true
}
