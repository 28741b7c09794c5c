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
	f.Add([]byte(`{"seq":1,"miss":[0],"unwanted":[1,639]}`))
	f.Add(encode(announcement(7, records(1, 5, 1000), []Run{{id(1), 2}, {id(2), 1}, {id(3), 2}})))
	f.Add(encode(announcement(7, records(1, 2, 1000), []Run{{id(1), 1}, {id(1), 1}})))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := Decode[PackData](data); err == nil {
			recs, runs := d.all()
			again, err := Decode[PackData](encode(announcement(d.Seq, recs, runs)))
			if err != nil || len(owners(runs)) != len(recs) || len(recs) > maxRecords || len(runs) > maxRuns {
				t.Fatalf("%v: %d records in %d runs", err, len(recs), len(runs))
			}
			if recs2, runs2 := again.all(); !slices.Equal(recs2, recs) || !slices.Equal(runs2, runs) {
				t.Fatal("an announcement differs")
			}
			New(Config{}).Announce(began, d)
		}
		if d, err := Decode[HaveData](data); err == nil {
			k := &pack{recs: records(1, 3, 1000)}
			s := newSizer(1<<20, 1<<20)
			s.settled(k, k.fates(d))
		}
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
	f.Add(PackRuns([]Run{{id(1), 2}, {id(2), 3}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if recs, err := UnpackRecords(data); err == nil && !bytes.Equal(PackRecords(recs), data) {
			t.Fatal("records differ")
		}
		if runs, err := UnpackRuns(data, id(1), nil); err == nil && len(runs) > 1 && !bytes.Equal(PackRuns(runs), data) {
			t.Fatal("runs differ")
		}
		if miss, err := UnpackMiss(data); err == nil && !bytes.Equal(PackMiss(miss), data) {
			t.Fatal("places differ")
		}
	})
}
