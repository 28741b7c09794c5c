package httptarget

import (
	"errors"
	"slices"
	"strings"
)

// Pattern is an allowed path. It is compared segment by segment, percent-decoded: "*" within a segment
// stands for any characters (a segment that is "*" alone for any segment but the empty one), "**" as the
// last segment for any number of segments, also none: /v2/items, /v2/*/lines, /files/**, /**.
type Pattern struct {
	segments []string
	rest     bool // ends with **
}

// Patterns allow a path when one of them does.
type Patterns []Pattern

// Errors of Patterns.Allow: paths that two parsers could read as two things.
var (
	ErrEscape    = errors.New("the path holds a malformed percent-encoding")
	ErrNUL       = errors.New("the path holds a NUL or an overlong character")
	ErrDots      = errors.New("the path holds a dot segment")
	ErrSeparator = errors.New("an encoded slash or a backslash changes what the path means")
)

// ParsePattern reads one pattern.
func ParsePattern(s string) (Pattern, error) {
	if !strings.HasPrefix(s, "/") {
		return Pattern{}, errors.New("a path pattern begins with /")
	}
	if strings.ContainsAny(s, "?#\\") {
		return Pattern{}, errors.New("a path pattern holds no ?, # or backslash: it is compared with the decoded path alone")
	}
	p := Pattern{segments: strings.Split(s[1:], "/")}
	if last := len(p.segments) - 1; p.segments[last] == "**" {
		p.segments, p.rest = p.segments[:last], true
	}
	for i, segment := range p.segments {
		plain, ok := decode(segment)
		switch {
		case !ok:
			return Pattern{}, errors.New("a path pattern holds a malformed percent-encoding")
		case strings.Contains(plain, "**"):
			return Pattern{}, errors.New("** stands only for the last segment of a path pattern")
		case dots(plain):
			return Pattern{}, errors.New("a path pattern holds no dot segments")
		}
		p.segments[i] = plain
	}
	return p, nil
}

func (p Pattern) match(segments []string) bool {
	if len(segments) < len(p.segments) || !p.rest && len(segments) != len(p.segments) {
		return false
	}
	for i, want := range p.segments {
		if !glob(want, segments[i]) {
			return false
		}
	}
	return true
}

func (ps Patterns) match(segments []string) bool {
	return slices.ContainsFunc(ps, func(p Pattern) bool { return p.match(segments) })
}

// Allow says whether a raw path is covered by a pattern. The path is read in two ways: as RFC 3986 has
// it, and as a server that decodes first and takes backslashes for slashes. An error means that the path
// is hostile or that the two readings differ in what they would be allowed.
func (ps Patterns) Allow(path string) (bool, error) {
	whole, ok := decode(path)
	if !ok {
		return false, ErrEscape
	}
	if strings.ContainsAny(whole, "\x00") || strings.Contains(whole, "\xc0") || strings.Contains(whole, "\xc1") {
		return false, ErrNUL
	}
	if !strings.HasPrefix(path, "/") {
		return false, nil
	}
	loose := strings.Split(strings.ReplaceAll(whole, `\`, "/")[1:], "/")
	strict := strings.Split(path[1:], "/")
	for i, segment := range strict {
		strict[i], _ = decode(segment) // the whole path decoded, so each segment does
	}
	if slices.ContainsFunc(loose, dots) || slices.ContainsFunc(strict, dots) {
		return false, ErrDots
	}
	allowed := ps.match(strict)
	if allowed != ps.match(loose) {
		return false, ErrSeparator
	}
	return allowed, nil
}

// Climbs says whether some server could read a raw path as leaving the folder it begins in.
func Climbs(path string) bool {
	whole, ok := decode(path)
	if !ok {
		whole = path
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(whole, `\`, "/"), "/") {
		if name, _, _ := strings.Cut(segment, ";"); name == ".." {
			return true
		}
	}
	return false
}

// dots says whether a decoded segment is a dot segment, also with path parameters, which some servers
// cut off before they resolve it (..;x).
func dots(segment string) bool {
	name, _, _ := strings.Cut(segment, ";")
	return name == "." || name == ".."
}

// glob matches one segment; time is linear in the product of the lengths, whatever the text.
func glob(pattern, s string) bool {
	if pattern == "*" {
		return s != ""
	}
	mark, from := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			mark, from = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case mark >= 0:
			from++
			p, i = mark+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
