package dataapi

import (
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

// FuzzRanges: ranges lie within the data.
func FuzzRanges(f *testing.F) {
	for _, seed := range []string{"bytes=0-1", "bytes=-5,7-", "bytes=9223372036854775807-", "bytes=-0", "bytes=,", "x"} {
		f.Add(seed, int64(100))
	}
	f.Fuzz(func(t *testing.T, field string, size int64) {
		if size < 0 {
			return
		}
		for _, x := range parseRanges(field, size) {
			if x.off < 0 || x.len <= 0 || x.len > size-x.off {
				t.Fatalf("%q of %d: %v", field, size, x)
			}
		}
	})
}
