package bulk

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzData: what a peer says of packs is refused or read, and never more than that.
func FuzzData(f *testing.F) {
	f.Add([]byte(`{"seq":1,"exchange":"01a202f8-de0f-786c-bf9c-99c5f0e7c08e","recs":[]}`))
	f.Add([]byte(`{"seq":1,"miss":[0,2]}`))
	f.Add([]byte(`{"exchange":"01a202f8-de0f-786c-bf9c-99c5f0e7c08e","recs":[["AQIDBAUGBwgJCgsMDQ4PEA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]]}`))
	f.Add([]byte(`{"seq":18446744073709551615,"unseen":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Decode[PackData](data)
		_, _ = Decode[HaveData](data)
		_, _ = Decode[ProbeData](data)
		_, _ = Decode[NamesData](data)
		if d, err := Decode[FetchData](data); err == nil && len(d.Recs) > 0 {
			again, err := Decode[FetchData](encode(*d))
			if err != nil || !slices.Equal(again.Recs, d.Recs) {
				t.Fatalf("%v: chunks that were asked for differ", err)
			}
		}
	})
}

// FuzzStored: stored records that are read come back the same.
func FuzzStored(f *testing.F) {
	f.Add(make([]byte, recordSize))
	f.Add([]byte{0, 1, 0, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		if recs, err := UnpackRecords(data); err == nil && !bytes.Equal(PackRecords(recs), data) {
			t.Fatal("records differ")
		}
		if miss, err := UnpackMiss(data); err == nil && !bytes.Equal(PackMiss(miss), data) {
			t.Fatal("places differ")
		}
	})
}
