package chunk

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// packOf seals pieces of data into the bytes of a pack.
func packOf(s *Sealer, plain ...[]byte) (recs []Record, raw []byte) {
	for _, p := range plain {
		x := s.Seal(nil, p, true)
		recs = append(recs, x.Record)
		raw = append(x.Record.AppendHeader(raw), x.Bytes...)
	}
	return recs, raw
}

// came reads a pack and gives which records are whole.
func came(t *testing.T, raw []byte, recs []Record) (whole []int) {
	t.Helper()
	p, err := OpenPack(bytes.NewReader(raw), int64(len(raw)), recs)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	for n := 0; ; n++ {
		piece, err := p.Next(buf)
		if err == io.EOF {
			if n != len(recs) {
				t.Fatalf("%d of %d records reported", n, len(recs))
			}
			return whole
		}
		if err != nil {
			t.Fatal(err)
		}
		if piece.Index != n || piece.Record != recs[n] {
			t.Fatalf("record %d reported as %d", n, piece.Index)
		}
		if piece.Err != nil {
			if !errors.Is(piece.Err, ErrMissing) && !errors.Is(piece.Err, ErrDamaged) {
				t.Fatal(piece.Err)
			}
			continue
		}
		if !bytes.Equal(piece.Raw, raw[piece.At:piece.At+recs[n].Size()]) {
			t.Fatal("record from another place")
		}
		whole = append(whole, n)
	}
}

// For every length that a pack may be cut to: exactly the records that lie before the cut come.
func TestPackEveryCut(t *testing.T) {
	recs, raw := packOf(NewSealer(secretA), random(1, 50), text(2, 300), random(3, 1), random(4, 77))
	var ends []int64
	var at int64
	for _, r := range recs {
		at += r.Size()
		ends = append(ends, at)
	}
	if at != int64(len(raw)) || at != PackSize(recs) {
		t.Fatalf("pack of %d bytes, want %d", len(raw), at)
	}
	for n := range len(raw) + 1 {
		want := 0
		for want < len(ends) && ends[want] <= int64(n) {
			want++
		}
		if got := came(t, raw[:n], recs); len(got) != want {
			t.Fatalf("cut at %d: %v, want %d records", n, got, want)
		}
	}
	if got := came(t, append(clone(raw), "behind"...), recs); len(got) != len(recs) {
		t.Errorf("something behind the pack: %v", got)
	}
}

// Every flipped bit costs the one record it lies in.
func TestPackEveryBitFlip(t *testing.T) {
	recs, raw := packOf(NewSealer(secretA), random(1, 20), random(2, 30), random(3, 10))
	for i := range raw {
		for bit := range 8 {
			bad := clone(raw)
			bad[i] ^= 1 << bit
			if got := came(t, bad, recs); len(got) != len(recs)-1 {
				t.Fatalf("bit %d of byte %d flipped: %v are whole", bit, i, got)
			}
		}
	}
}

func TestPackOfAnotherAnnouncement(t *testing.T) {
	recs, raw := packOf(NewSealer(secretA), random(1, 20), random(2, 20))
	recs[0], recs[1] = recs[1], recs[0]
	if got := came(t, raw, recs); len(got) != 0 {
		t.Errorf("records in another order: %v", got)
	}
	for _, n := range []int64{-1, 0, MaxSealed + 1, 1 << 40} {
		if _, err := OpenPack(bytes.NewReader(nil), 0, []Record{{Len: n}}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a record of %d bytes: %v", n, err)
		}
	}
	if _, err := OpenPack(bytes.NewReader(nil), 0, make([]Record, MaxPackRecords+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many records: %v", err)
	}
}

type failing struct{ error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.error }

// A disk that fails is no damaged record: the pack is read again later.
func TestPackReadError(t *testing.T) {
	recs, raw := packOf(NewSealer(secretA), random(1, 20))
	p, err := OpenPack(failing{io.ErrClosedPipe}, int64(len(raw)), recs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Next(nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}
