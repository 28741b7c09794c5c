package chunk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// few is the entries of a node in these tests.
const few = 50

// nested stores n chunks of 64 bytes: enough for maps of several levels.
func nested(t *testing.T, s *shelf, n int) (Map, []byte) {
	t.Helper()
	data := random(8, 64*n)
	w := NewWriter(t.Context(), NewSealer(secretA), WriterOptions{}, s.sink)
	w.nodes.full = few
	for i := range n {
		if _, err := w.Write(data[64*i : 64*i+64]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return reparsed(t, m), data
}

func TestNestedMaps(t *testing.T) {
	for _, c := range []struct{ chunks, level int }{{1, 0}, {20, 0}, {30, 1}, {few, 1}, {few + 1, 1}, {20 * few, 1}, {30 * few, 2}, {3000, 2}} {
		s := newShelf()
		m, data := nested(t, s, c.chunks)
		if m.Level() != c.level {
			t.Errorf("%d chunks: level %d, want %d", c.chunks, m.Level(), c.level)
		}
		if m.Size() != int64(len(data)) {
			t.Errorf("%d chunks: %d bytes, want %d", c.chunks, m.Size(), len(data))
		}
		if !bytes.Equal(readAll(t, m, s), data) {
			t.Errorf("%d chunks: not what was written", c.chunks)
		}
		checkWalk(t, m, s)
	}
	idle(t)
}

// checkWalk compares what Walk lists with what was stored.
func checkWalk(t *testing.T, m Map, s *shelf) {
	t.Helper()
	var names []Name
	whole, err := Walk(t.Context(), m, s, func(e Entry, n Name) error {
		if e.Name() != n || e.Hsh != sum(s.held[n]) {
			t.Fatal("entry of another chunk")
		}
		names = append(names, n)
		return nil
	})
	if err != nil || !whole {
		t.Fatalf("whole %v: %v", whole, err)
	}
	if len(names) != len(s.order) {
		t.Fatalf("%d chunks listed, %d stored", len(names), len(s.order))
	}
	for _, r := range s.order {
		if s.held[r.Name] == nil || !slices.Contains(names[:min(len(names), 3000)], r.Name) && len(names) <= 3000 {
			t.Fatal("a stored chunk is not listed")
		}
	}
}

func TestWalkKnowsWhatItCannotKnow(t *testing.T) {
	s := newShelf()
	m, _ := nested(t, s, 3*few)
	name := m.Entries[1].Name()
	delete(s.held, name)
	n := 0
	whole, err := Walk(t.Context(), m, s, func(Entry, Name) error { n++; return nil })
	if err != nil || whole || n != 2*few+3 {
		t.Errorf("%d entries, whole %v, %v", n, whole, err)
	}
	s.held[name] = []byte("damaged, and long enough")
	if _, err := Walk(t.Context(), m, s, func(Entry, Name) error { return nil }); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged node: %v", err)
	}
	boom := errors.New("boom")
	if _, err := Walk(t.Context(), m, s, func(Entry, Name) error { return boom }); err != boom {
		t.Errorf("stopped: %v", err)
	}
}

func TestRanges(t *testing.T) {
	s := newShelf()
	data := random(1, 9_000_000)
	flat := s.store(t, secretA, WriterOptions{}, data)
	deep, deepData := nested(t, s, 3*few+77)
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		m    Map
		data []byte
	}{{flat, data}, {deep, deepData}, {Map{Cnt: data[:100]}, data[:100]}} {
		for range 60 {
			off := rnd.IntN(len(c.data) + 1)
			b := make([]byte, rnd.IntN(min(len(c.data)-off, 3_000_000)+1))
			if err := ReadAt(t.Context(), c.m, s, b, int64(off)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, c.data[off:off+len(b)]) {
				t.Fatalf("%d bytes from %d are wrong", len(b), off)
			}
		}
		n := int64(len(c.data))
		for _, bad := range [][2]int64{{-1, 1}, {0, -1}, {0, n + 1}, {n, 1}, {n + 1, 0}, {1, n}, {1, 1<<63 - 1}} {
			if _, err := NewRange(t.Context(), c.m, s, bad[0], bad[1]); !errors.Is(err, ErrRange) {
				t.Errorf("range %v: %v", bad, err)
			}
		}
	}
	idle(t)
}

// A range touches its own chunks and the nodes above them, and nothing else.
func TestRangeTouchesLittle(t *testing.T) {
	s := newShelf()
	m, data := nested(t, s, 20*few)
	off := int64(2*few*64 + 100*64)
	b := make([]byte, 128)
	if err := ReadAt(t.Context(), m, s, b, off); err != nil || !bytes.Equal(b, data[off:off+128]) {
		t.Fatal(err)
	}
	if len(s.asked) != 3 {
		t.Errorf("%d chunks asked for, want a node and two chunks", len(s.asked))
	}
}

// What is before a bad chunk is given, what is behind it never, and the error names the chunk.
func TestBadChunkEndsReading(t *testing.T) {
	data := random(1, 6<<20)
	for name, spoil := range map[string]func(*shelf, Name){
		"missing": func(s *shelf, n Name) { delete(s.held, n) },
		"flipped": func(s *shelf, n Name) { s.held[n][1000] ^= 1 },
		"cut":     func(s *shelf, n Name) { s.held[n] = s.held[n][:100_000] },
		"swapped": func(s *shelf, n Name) { s.held[n] = s.held[s.order[0].Name] },
	} {
		s := newShelf()
		m := s.store(t, secretA, WriterOptions{Fixed: true}, data)
		bad := s.order[3].Name
		spoil(s, bad)
		for _, src := range []Source{s, filler{s}} {
			endsAt(t, name, m, src, bad, data[:3<<20])
		}
	}
	idle(t)
}

func endsAt(t *testing.T, name string, m Map, src Source, bad Name, before []byte) {
	t.Helper()
	r := NewReader(t.Context(), m, src)
	got, err := io.ReadAll(r)
	var ce *ChunkError
	if !errors.As(err, &ce) || ce.Name != bad || !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrMissing) {
		t.Errorf("%s: %v", name, err)
	}
	if !bytes.Equal(got, before) {
		t.Errorf("%s: %d bytes before it", name, len(got))
	}
	if _, again := r.Read(make([]byte, 1)); again == nil || again == io.EOF {
		t.Errorf("%s: reading on gives %v", name, again)
	}
	r.Close()
	r.Close()
}

// Maps whose parts are right by themselves but not together are refused where they are used.
func TestMapsThatLie(t *testing.T) {
	s := newShelf()
	seal := NewSealer(secretA)
	put := func(x Sealed) Entry { s.held[x.Record.Name] = x.Bytes; return x.Entry }
	a, b := put(seal.Seal(nil, random(1, 100), false)), put(seal.Seal(nil, random(2, 50), false))
	b.Num = 1
	node := appendEntries(nil, []Entry{a, b})
	good := put(seal.seal(nil, node, 150, 1, true))
	if got := readAll(t, Map{Entries: []Entry{good}}, s); len(got) != 150 {
		t.Fatal("the true map does not read")
	}
	nodeAsLevel2 := put(seal.seal(nil, node, 150, 2, true))
	for name, m := range map[string]Map{
		"node says more":            {Entries: []Entry{put(seal.seal(nil, node, 151, 1, true))}},
		"node says less":            {Entries: []Entry{put(seal.seal(nil, node, 149, 1, true))}},
		"a level is left out":       {Entries: []Entry{nodeAsLevel2}},
		"node that is no map":       {Entries: []Entry{put(seal.seal(nil, random(4, 99), 150, 1, true))}},
		"node that is inline":       {Entries: []Entry{put(seal.seal(nil, []byte(`{"cnt":"YQ"}`), 1, 1, true))}},
		"empty node":                {Entries: []Entry{put(seal.seal(nil, []byte(`[]`), 1, 1, true))}},
		"data as a node":            {Entries: []Entry{{Hsh: a.Hsh, Phs: a.Phs, Len: 100, Lvl: 1}}},
		"node as data":              {Entries: []Entry{{Hsh: good.Hsh, Phs: good.Phs, Len: good.Len, Alg: good.Alg}}},
		"not numbered":              {Entries: []Entry{b}},
		"chunk longer than a chunk": {Entries: []Entry{{Hsh: a.Hsh, Phs: a.Phs, Len: MaxChunk + 1}}},
	} {
		r := NewReader(t.Context(), m, filler{s})
		got, err := io.ReadAll(r)
		r.Close()
		if len(got) > 0 || !errors.Is(err, ErrMap) && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	idle(t)
}

// filler is a shelf that uses the buffers it is given.
type filler struct{ *shelf }

func (f filler) Suspect(context.Context, Name, Sum) {}

func (f filler) Fill(ctx context.Context, n Name, _ Sum, buf []byte) ([]byte, error) {
	ct, err := f.Chunk(ctx, n)
	return append(buf[:0], ct...), err
}

func TestReaderWays(t *testing.T) {
	s := newShelf()
	data := append(random(1, 5_000_000), text(1, 5_000_000)...)
	m := s.store(t, secretA, WriterOptions{Compress: true}, data)
	for name, src := range map[string]Source{"chunk": s, "fill": filler{s}} {
		var out bytes.Buffer
		r := NewReader(t.Context(), m, src)
		head := make([]byte, 1000)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		n, err := r.WriteTo(&out)
		r.Close()
		if err != nil || n != int64(len(data)-1000) || !bytes.Equal(append(head, out.Bytes()...), data) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	idle(t)
}

func TestReaderIsLeftEarly(t *testing.T) {
	s := newShelf()
	m := s.store(t, secretA, WriterOptions{}, random(1, 20<<20))
	r := NewReader(t.Context(), m, s)
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("a closed reader gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r = NewReader(ctx, m, s)
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	r.Close()
	if len(s.asked) > 12 {
		t.Errorf("%d chunks were fetched ahead", len(s.asked))
	}
	idle(t)
}
