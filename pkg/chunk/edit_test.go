package chunk

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// small makes maps nest with few chunks.
func small(w *Writer) *Writer {
	w.nodes.full, w.nodes.root = 3, 400
	return w
}

// fresh gives the map of data that is written at once.
func (s *shelf) fresh(t rapid.TB, o WriterOptions, data []byte) Map {
	w := small(NewWriter(context.Background(), NewSealer(secretA), o, s.sink))
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	m, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (s *shelf) edit(t rapid.TB, m Map, o WriterOptions, off int64, data []byte) Map {
	out, err := newEditor(context.Background(), m, s, small(NewWriter(context.Background(), NewSealer(secretA), o, s.sink))).edit(off, bytes.NewReader(data))
	if err != nil {
		t.Fatalf("write %d bytes at %d of %d: %v", len(data), off, m.Size(), err)
	}
	return out
}

func (s *shelf) truncate(t rapid.TB, m Map, o WriterOptions, size int64) Map {
	out, err := newEditor(context.Background(), m, s, small(NewWriter(context.Background(), NewSealer(secretA), o, s.sink))).truncate(size)
	if err != nil {
		t.Fatalf("truncate %d to %d: %v", m.Size(), size, err)
	}
	return out
}

// model is what a byte slice would be after a write.
func model(old []byte, off int, data []byte) []byte {
	out := clone(old)
	if len(data) == 0 {
		return out
	}
	if n := off + len(data) - len(out); n > 0 {
		out = append(out, make([]byte, n)...)
	}
	copy(out[off:], data)
	return out
}

// sameMap fails unless both are the same map to the byte.
func sameMap(t rapid.TB, what string, got, want Map) {
	a, err := got.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Fatalf("%s: %v is not the map of the same bytes written at once, %v", what, got, want)
	}
}

// A map that was edited, again and again, is the one of the same bytes written at once, and reads as they do.
func TestEditsAgainstBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShelf()
		o := WriterOptions{Compress: rapid.Bool().Draw(t, "compress"), Fixed: rapid.IntRange(0, 4).Draw(t, "fixed") == 0}
		length := func(what string) int {
			return rapid.SampledFrom([]int{0, 1, 17, 2999, 3000, 3001, 70_000, minCut, 1_000_001, 1_500_000}).Draw(t, what)
		}
		some := func(n int) []byte {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				return make([]byte, n)
			case 1:
				return text(byte(rapid.IntRange(1, 9).Draw(t, "seed")), n)
			}
			return random(byte(rapid.IntRange(1, 9).Draw(t, "seed")), n)
		}
		data := some(length("first"))
		m := s.fresh(t, o, data)
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				size := rapid.IntRange(0, len(data)).Draw(t, "size")
				m, data = s.truncate(t, m, o, int64(size)), data[:size:size]
			case 1:
				more := some(length("more"))
				m, data = s.edit(t, m, o, int64(len(data)), more), model(data, len(data), more)
			case 2: // past the end
				off := len(data) + rapid.SampledFrom([]int{1, 5000, 1 << 20, MaxChunk + 1, 3*MaxChunk + 5}).Draw(t, "gap")
				more := some(1 + length("more")/10)
				m, data = s.edit(t, m, o, int64(off), more), model(data, off, more)
			case 3:
				off, more := rapid.IntRange(0, len(data)).Draw(t, "off"), some(length("more")/10)
				m, data = s.edit(t, m, o, int64(off), more), model(data, off, more)
			default:
				off, more := rapid.IntRange(0, len(data)).Draw(t, "off"), random(3, 1)
				m, data = s.edit(t, m, o, int64(off), more), model(data, off, more)
			}
			if m.Size() != int64(len(data)) {
				t.Fatalf("%d bytes, want %d", m.Size(), len(data))
			}
			sameMap(t, "edited", m, s.fresh(t, o, data))
		}
		got := make([]byte, len(data))
		if err := ReadAt(t.Context(), m, s, got, 0); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("read back: %v", err)
		}
	})
	idle(t)
}

// What is not changed is not sealed again, and not even read.
func TestEditTouchesFewChunks(t *testing.T) {
	data := random(4, 24<<20)
	for name, c := range map[string]struct {
		off  int
		more []byte
		most int // new chunks
	}{
		"append":              {len(data), random(5, 100), 2},
		"one byte at the end": {len(data) - 1, []byte{7}, 2},
		"in the middle":       {11 << 20, random(6, 3), 4},
		"at the beginning":    {0, random(7, 3), 4},
	} {
		s := newShelf()
		m := s.fresh(t, WriterOptions{}, data)
		s.order, s.asked = nil, map[Name]int{}
		got := s.edit(t, m, WriterOptions{}, int64(c.off), c.more)
		data := 0
		for _, r := range s.order {
			if r.Len > minCut/2 {
				data++
			}
		}
		read := 0
		for n := range s.asked {
			if len(s.held[n]) > minCut/2 {
				read++
			}
		}
		if data > c.most || read > c.most+1 {
			t.Errorf("%s: %d chunks made and %d read, of %d", name, data, read, len(m.Entries))
		}
		if whole, err := Walk(t.Context(), got, s, func(Entry, Name) error { return nil }); err != nil || !whole {
			t.Errorf("%s: %v, %v", name, whole, err)
		}
	}
}

// Data whose cuts never meet again, because it repeats itself or was cut under another secret, is not cut anew for ever.
func TestEditGivesUpOnMeeting(t *testing.T) {
	s := newShelf()
	const size = 3 * resyncChunks * MaxChunk
	m := s.edit(t, Map{}, WriterOptions{Compress: true}, size-1, []byte{1})
	s.asked = map[Name]int{}
	s.order = nil
	m = s.edit(t, m, WriterOptions{Compress: true}, MaxChunk/2, random(1, minCut+12345))
	if m.Size() != size {
		t.Fatalf("%d bytes", m.Size())
	}
	n := 0
	for _, r := range s.order {
		if r.Len != 0 {
			n++
		}
	}
	if n > 3*resyncChunks {
		t.Errorf("%d chunks were made anew", n)
	}
	want := model(make([]byte, 2*MaxChunk), MaxChunk/2, random(1, minCut+12345))
	got := make([]byte, len(want))
	if err := ReadAt(t.Context(), m, s, got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v", err)
	}
}

// A gap of a tebibyte is a few chunks, and its map is short; a byte in its middle is written and read.
func TestSparseTebibyte(t *testing.T) {
	const tib = int64(1) << 40
	s := newShelf()
	sealer := NewSealer(secretA)
	m, err := Edit(t.Context(), Map{}, s, sealer, WriterOptions{Compress: true}, s.sink, tib-1, bytes.NewReader([]byte{9}))
	if err == nil {
		m, err = Edit(t.Context(), m, s, sealer, WriterOptions{Compress: true}, s.sink, tib/2, bytes.NewReader([]byte("middle")))
	}
	if err == nil {
		m, err = Edit(t.Context(), m, s, sealer, WriterOptions{Compress: true}, s.sink, tib, bytes.NewReader([]byte("appended")))
	}
	if err != nil {
		t.Fatal(err)
	}
	m = reparsed(t, m)
	if m.Size() != tib+8 {
		t.Errorf("%d bytes", m.Size())
	}
	shortID(t, m)
	for off, want := range map[int64]string{tib/2 - 2: "\x00\x00middle\x00", tib - 2: "\x00\x09appended", 12345678901: "\x00\x00\x00"} {
		got := make([]byte, len(want))
		if err := ReadAt(t.Context(), m, s, got, off); err != nil || string(got) != want {
			t.Errorf("at %d: %q, %v", off, got, err)
		}
	}
	visits := 0
	whole, err := Walk(t.Context(), m, s, func(Entry, Name) error { visits++; return nil })
	if err != nil || !whole || visits > 5000 {
		t.Errorf("a walk visits %d entries: %v, %v", visits, whole, err)
	}
	if m, err = Truncate(t.Context(), m, s, sealer, WriterOptions{Compress: true}, s.sink, tib/2+3); err != nil || m.Size() != tib/2+3 {
		t.Errorf("truncate: %v, %v", m, err)
	}
}

// maxID bounds the identifier of any data, in bytes.
const maxID = 6 << 10

func shortID(t *testing.T, m Map) {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if n := base64.RawURLEncoding.EncodedLen(len(b)); n > maxID {
		t.Errorf("an identifier of %d bytes for %d bytes of data", n, m.Size())
	}
}

// However long data is, its identifier is short: by arithmetic for the longest lists, and at the longest content.
func TestIdentifiersAreShort(t *testing.T) {
	if n := base64.RawURLEncoding.EncodedLen(MaxRoot); n > maxID {
		t.Errorf("%d bytes for a list", n)
	}
	shortID(t, Map{Cnt: make([]byte, MaxInline)})
	// The least that a node's entries stand for, but for the last chunk, is minCut; levels must suffice for MaxSize.
	reach := int64(minCut)
	for range MaxLevel {
		reach *= nodeEntries
	}
	if reach < MaxSize {
		t.Errorf("%d levels of %d entries reach %d bytes", MaxLevel, nodeEntries, reach)
	}
	for _, size := range []int64{2 << 30, 1 << 40, MaxSize - 1} {
		s := newShelf()
		m, err := Edit(t.Context(), Map{}, s, NewSealer(secretA), WriterOptions{Compress: true}, s.sink, size, bytes.NewReader([]byte{1}))
		if err != nil || m.Size() != size+1 {
			t.Fatalf("%d: %v, %v", size, m, err)
		}
		shortID(t, m)
	}
}

func TestEditRefuses(t *testing.T) {
	s := newShelf()
	m := s.fresh(t, WriterOptions{}, random(1, 3<<20))
	sealer := NewSealer(secretA)
	broken := errors.New("broken off")
	for name, c := range map[string]struct {
		off  int64
		data io.Reader
		want error
	}{
		"negative":       {-1, bytes.NewReader([]byte{1}), ErrRange},
		"beyond all":     {MaxSize, bytes.NewReader([]byte{1}), ErrTooLarge},
		"beyond numbers": {MaxSize + 1, bytes.NewReader([]byte{1}), ErrRange},
		"broken at once": {0, iotest.ErrReader(broken), broken},
		"broken later":   {5, io.MultiReader(bytes.NewReader(random(2, 1000)), iotest.ErrReader(broken)), broken},
	} {
		if _, err := Edit(t.Context(), m, s, sealer, WriterOptions{}, s.sink, c.off, c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int64{-1, m.Size() + 1} {
		if _, err := Truncate(t.Context(), m, s, sealer, WriterOptions{}, s.sink, size); !errors.Is(err, ErrRange) {
			t.Errorf("to %d: %v", size, err)
		}
	}
	if got, err := Edit(t.Context(), m, s, sealer, WriterOptions{}, s.sink, 1<<40, bytes.NewReader(nil)); err != nil {
		t.Error(err)
	} else {
		sameMap(t, "nothing written", got, m)
	}
	delete(s.held, m.Entries[0].Name())
	if _, err := Edit(t.Context(), m, s, sealer, WriterOptions{}, s.sink, 0, bytes.NewReader([]byte{1})); !errors.Is(err, ErrMissing) {
		t.Errorf("a chunk is missing: %v", err)
	}
	idle(t)
}
