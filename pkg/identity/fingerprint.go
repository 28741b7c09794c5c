package identity

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
)

// fingerprint gives the text that two operators compare by phone: the first 160 bits of
// SHA-256("hoft/v1 identity\n" + id + "\n" + key ids, sorted, joined by "\n"), as 8 groups of 4 lower-case base32
// characters (RFC 4648 section 6). Every key that the site shows counts, so none can be slipped in.
func fingerprint(id ID, kids []string) string {
	sorted := slices.Clone(kids)
	slices.Sort(sorted)
	sum := sha256.Sum256([]byte("hoft/v1 identity\n" + id.String() + "\n" + strings.Join(sorted, "\n")))
	text := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20]))
	groups := make([]string, 0, 8)
	for len(text) > 0 {
		groups = append(groups, text[:4])
		text = text[4:]
	}
	return strings.Join(groups, " ")
}

// SameFingerprint compares a fingerprint as a person typed it: spaces, dashes and upper case do not matter.
func SameFingerprint(typed, want string) bool {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-' || r == '\t':
				return -1
			case r >= 'A' && r <= 'Z':
				return r + 'a' - 'A'
			}
			return r
		}, s)
	}
	return plain(want) != "" && plain(typed) == plain(want)
}
