package frame_test

import (
	"slices"
	"testing"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

func FuzzName(f *testing.F) {
	n := frame.Name{Recipient: identity.ID{0xa, 15: 1}, Sender: identity.ID{0xb, 15: 2}, Seq: 1763798400123042}
	for _, n.Ext = range []frame.Ext{frame.ExtFrame, frame.ExtSigned, frame.ExtPack} {
		f.Add(n.String())
	}
	f.Add(n.String() + ".tmp")
	f.Add("." + n.String() + ".part")
	f.Add("../" + n.String())
	f.Fuzz(func(t *testing.T, s string) {
		n, err := frame.ParseName(s)
		if err != nil {
			if n != (frame.Name{}) {
				t.Fatalf("a refused name gives %v", n)
			}
			return
		}
		if n.String() != s {
			t.Fatalf("%q is read as %q", s, n)
		}
		if n.Seq > frame.MaxSeq {
			t.Fatalf("%q has a seq above the bound", s)
		}
	})
}

// FuzzClaims checks that claims which parse encode to claims that parse equal.
func FuzzClaims(f *testing.F) {
	for _, path := range vectors(f) {
		_, body := readVector(f, path)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := frame.ParseClaims(text)
		if err != nil {
			if c != nil {
				t.Fatal("refused claims were returned")
			}
			return
		}
		sameAgain(t, c)
	})
}

// FuzzPlain checks that no body decodes to more than the bound.
func FuzzPlain(f *testing.F) {
	for _, body := range bodies() {
		m := encodeAndParse(f, body, true)
		f.Add(string(m.Enc), []byte(m.Body))
	}
	for _, bomb := range bombs(f) {
		f.Add(string(frame.EncZstd), bomb)
	}
	f.Fuzz(func(t *testing.T, enc string, body []byte) {
		m := frame.Message{ID: 1, Kind: frame.KindBody, Enc: frame.Enc(enc), Body: body}
		out, err := m.Plain()
		if len(out) > frame.MaxBody || cap(out) > 2*frame.MaxBody && m.Enc == frame.EncZstd {
			t.Fatalf("%d bytes (%d reserved) came out, at most %d may", len(out), cap(out), frame.MaxBody)
		}
		if err != nil && out != nil {
			t.Fatal("a body that does not decode gives bytes")
		}
	})
}

// FuzzRanges compares sets of ranges with sets of single numbers. Each three bytes are one step:
// what to do, and the two ends, which may be reversed.
func FuzzRanges(f *testing.F) {
	f.Add([]byte{0, 1, 5, 0, 7, 9, 0, 6, 6, 1, 3, 8})
	f.Add([]byte{0, 10, 20, 1, 12, 13, 1, 15, 16, 0, 0, 255, 2, 9, 30})
	f.Add([]byte{0, 0, 0, 0, 255, 255, 1, 0, 0, 0, 5, 3})
	f.Fuzz(func(t *testing.T, steps []byte) {
		steps = steps[:min(len(steps), 300)]
		for _, base := range []uint64{0, ^uint64(0) - 255} { // at both ends of the numbers
			compareRanges(t, base, steps)
		}
	})
}

func compareRanges(t *testing.T, base uint64, steps []byte) {
	var r frame.Ranges
	var naive [256]bool
	for ; len(steps) >= 3; steps = steps[3:] {
		lo, hi := steps[1], steps[2]
		before := r.Clone()
		switch steps[0] % 3 {
		case 0:
			r.Add(base+uint64(lo), base+uint64(hi))
		case 1:
			r.Remove(base+uint64(lo), base+uint64(hi))
		case 2:
			if lo <= hi {
				r.Union(frame.Ranges{{base + uint64(lo), base + uint64(hi)}})
			}
		}
		for n := int(lo); n <= int(hi); n++ {
			naive[n] = steps[0]%3 != 1
		}
		if !r.Valid() {
			t.Fatalf("%v became %v, which is no set, by step %v", before, r, steps[:3])
		}
		sameSet(t, base, r, &naive)
	}
}

func sameSet(t *testing.T, base uint64, r frame.Ranges, naive *[256]bool) {
	t.Helper()
	var want []uint64
	for i, in := range naive {
		n := base + uint64(i)
		if in {
			want = append(want, n)
		}
		if r.Contains(n) != in {
			t.Fatalf("%v: Contains(%d) is %v", r, n, !in)
		}
	}
	if got := slices.Collect(r.All()); !slices.Equal(got, want) {
		t.Fatalf("%v yields %v, want %v", r, got, want)
	}
	if r.Count() != uint64(len(want)) {
		t.Fatalf("%v counts %d, want %d", r, r.Count(), len(want))
	}
	lo, ok := r.Min()
	hi, _ := r.Max()
	if ok != (len(want) > 0) || ok && (lo != want[0] || hi != want[len(want)-1]) {
		t.Fatalf("%v: from %d to %d (%v)", r, lo, hi, ok)
	}
}
