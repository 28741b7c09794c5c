package dataapi

import (
	"slices"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
)

// FuzzIdentifier: whatever is given as a map is refused, or is a map that has an identifier of its own.
func FuzzIdentifier(f *testing.F) {
	_, long, err := encodeMap(&chunk.Map{Entries: []chunk.Entry{{Len: 5000}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "eyJjbnQiOiIifQ", "eyJjbnQiOiIifQ==", "W10", long, "///+++", "bnVsbA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		m, p := decodeMap(id)
		if p != nil {
			return
		}
		_, again, err := encodeMap(&m)
		if err != nil {
			t.Fatal(err)
		}
		same, p := decodeMap(again)
		if p != nil || same.Size() != m.Size() || len(same.Entries) != len(m.Entries) {
			t.Fatalf("%v, then %v", m, p)
		}
	})
}

// FuzzRanges: ranges lie within the data, and of a query only what is known is taken, its numbers within their bounds.
func FuzzRanges(f *testing.F) {
	for _, seed := range []string{"bytes=0-1", "bytes=-5,7-", "bytes=9223372036854775807-", "bytes=-0", "bytes=,", "x", "offset=1&length=2", "offset=9223372036854775808", "offset=1&offset=2", "%zz"} {
		f.Add(seed, int64(100))
	}
	f.Fuzz(func(t *testing.T, field string, size int64) {
		if size < 0 {
			return
		}
		known := []string{"offset", "length"}
		if p, problem := parseParams(field, known); problem == nil {
			for name := range p {
				if n, problem := p.number(name, 0); problem == nil && n < 0 || !slices.Contains(known, name) {
					t.Fatalf("%q: %s is %d", field, name, n)
				}
			}
		}
		for _, x := range parseRanges(field, size) {
			if x.off < 0 || x.len <= 0 || x.len > size-x.off {
				t.Fatalf("%q of %d: %v", field, size, x)
			}
		}
	})
}
