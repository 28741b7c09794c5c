package chunk

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// Whatever a map says: it is refused with ErrMap, or it is within every limit and comes back the same.
func FuzzMap(f *testing.F) {
	for _, m := range []Map{{Cnt: []byte("hello")}, {Entries: entries(3, 0, 1000)}, {Entries: entries(2, 3, 1<<30)}} {
		b, err := m.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`[{"num":0,"hsh":"","phs":"","len":1e3,"alg":"zstd","lvl":9}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMap(b)
		if err != nil {
			if !errors.Is(err, ErrMap) {
				t.Fatal(err)
			}
			return
		}
		if m.Size() < 0 || m.Size() > MaxSize || m.Level() > MaxLevel || len(m.Cnt) > MaxInline || len(m.Entries) > MaxEntries {
			t.Fatalf("%s is within no limits", m)
		}
		out, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseMap(out)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(out, second) {
			t.Fatal("a map changes on its way through JSON")
		}
	})
}

// Whatever lies in a pack: only records that are as announced come out, each in its place.
func FuzzPack(f *testing.F) {
	recs, raw := packOf(NewSealer(secretA), random(1, 40), text(2, 300), random(3, 1))
	f.Add(raw, int64(0))
	f.Add(raw[:len(raw)-1], int64(5))
	f.Add([]byte{}, int64(1<<40))
	f.Fuzz(func(t *testing.T, b []byte, extra int64) {
		p, err := OpenPack(bytes.NewReader(b), int64(len(b))+extra%1000, recs)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; ; n++ {
			piece, err := p.Next(nil)
			if err == io.EOF && n == len(recs) {
				return
			}
			if err != nil || piece.Index != n {
				t.Fatal(piece.Index, err)
			}
			if piece.Err == nil && recs[n].Verify(piece.Bytes()) != nil {
				t.Fatal("a bad record came out as a good one")
			}
		}
	})
}

// Whatever a sender seals, by the rules or not: opening ends within the limits, and what opens is what was promised.
func FuzzOpen(f *testing.F) {
	z, ok := compress(nil, text(1, 400))
	if !ok {
		f.Fatal("text does not compress")
	}
	f.Add(z, uint8(1), uint8(0), int64(400))
	f.Add(random(1, 100), uint8(0), uint8(0), int64(100))
	f.Add(appendEntries(nil, entries(2, 0, 10)), uint8(0), uint8(1), int64(20))
	s := NewSealer(secretA)
	buf := make([]byte, 0, MaxChunk)
	f.Fuzz(func(t *testing.T, z []byte, alg, lvl uint8, size int64) {
		e := Entry{Len: size, Alg: Alg(alg), Lvl: lvl}
		if e.check(0) != nil {
			return // never gets that far
		}
		x := sealRaw(s, z, e.Alg, lvl, size)
		if lvl > 0 {
			below, err := x.Entry.openNode(x.Bytes, buf)
			if err != nil {
				if !errors.Is(err, ErrMap) && !errors.Is(err, ErrDamaged) {
					t.Fatal(err)
				}
				return
			}
			if n, err := checkEntries(below); err != nil || n != size || below[0].Lvl != lvl-1 {
				t.Fatalf("node of %d bytes for %d: %v", n, size, err)
			}
			return
		}
		plain, err := x.Entry.Open(x.Bytes, buf)
		if err != nil {
			if !errors.Is(err, ErrMap) && !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if int64(len(plain)) != size || alg == 0 && !bytes.Equal(plain, z) {
			t.Fatalf("%d bytes, want %d", len(plain), size)
		}
	})
}
