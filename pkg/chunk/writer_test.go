package chunk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

// shelf is a source in memory that counts what it is asked for.
type shelf struct {
	mu    sync.Mutex
	held  map[Name][]byte
	asked map[Name]int
	order []Record
}

func newShelf() *shelf { return &shelf{held: map[Name][]byte{}, asked: map[Name]int{}} }

func (s *shelf) sink(_ Entry, r Record, ct []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = append(s.order, r)
	s.held[r.Name] = clone(ct)
	return r.Verify(ct)
}

func (s *shelf) Chunk(ctx context.Context, n Name) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[n]++
	ct, ok := s.held[n]
	if !ok {
		return nil, ErrMissing
	}
	return clone(ct), ctx.Err()
}

// store writes data onto the shelf and gives its map.
func (s *shelf) store(t *testing.T, secret Secret, o WriterOptions, data []byte) Map {
	t.Helper()
	w := NewWriter(t.Context(), NewSealer(secret), o, s.sink)
	if n, err := w.ReadFrom(bytes.NewReader(data)); err != nil || n != int64(len(data)) {
		t.Fatalf("%d bytes written: %v", n, err)
	}
	m, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if m.Size() != int64(len(data)) || w.Size() != m.Size() {
		t.Fatalf("map of %d bytes for %d", m.Size(), len(data))
	}
	return reparsed(t, m)
}

// reparsed sends a map through its JSON.
func reparsed(t *testing.T, m Map) Map {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Entries) > 0 && len(b) > MaxRoot {
		t.Errorf("root of %d bytes", len(b))
	}
	if m, err = ParseMap(b); err != nil {
		t.Fatal(err)
	}
	return m
}

func readAll(t *testing.T, m Map, src Source) []byte {
	t.Helper()
	r := NewReader(t.Context(), m, src)
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// idle checks that nobody holds a buffer any more.
func idle(t *testing.T) {
	t.Helper()
	memory.mu.Lock()
	defer memory.mu.Unlock()
	if memory.used != 0 || memory.held != 0 || memory.users != 0 {
		t.Errorf("%d bytes in use, %d held, %d users", memory.used, memory.held, memory.users)
	}
}

func TestWriteRead(t *testing.T) {
	for _, n := range []int{0, 1, MaxInline, MaxInline + 1, 16 << 10, minCut - 1, minCut, minCut + 1, 1 << 20, MaxChunk, MaxChunk + 1, 9_000_000} {
		for name, data := range map[string][]byte{"random": random(1, n), "text": text(1, n), "zeros": make([]byte, n)} {
			for _, o := range []WriterOptions{{}, {Compress: true}, {Fixed: true}, {Fixed: true, Compress: true}} {
				s := newShelf()
				m := s.store(t, secretA, o, data)
				if n <= MaxInline && (len(m.Entries) > 0 || len(s.order) > 0) {
					t.Errorf("%d bytes are not in the map itself", n)
				}
				if !bytes.Equal(readAll(t, m, s), data) {
					t.Fatalf("%d bytes of %s, %+v: not what was written", n, name, o)
				}
			}
		}
	}
	idle(t)
}

// Cuts follow from content and secret alone: not from how the data comes in.
func TestCutsDoNotDependOnReads(t *testing.T) {
	data := random(5, 6_000_000)
	want := newShelf()
	want.store(t, secretA, WriterOptions{}, data)
	if len(want.order) < 4 {
		t.Fatalf("only %d chunks", len(want.order))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	ways := map[string]func(w *Writer) error{
		"one write": func(w *Writer) error { _, err := w.Write(data); return err },
		"odd writes": func(w *Writer) error {
			for rest := data; len(rest) > 0; {
				n := min(len(rest), 1+rnd.IntN(70_001))
				if _, err := w.Write(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		},
		"half reads": func(w *Writer) error { _, err := w.ReadFrom(iotest.HalfReader(bytes.NewReader(data))); return err },
		"end with data": func(w *Writer) error {
			_, err := w.ReadFrom(iotest.DataErrReader(bytes.NewReader(data)))
			return err
		},
	}
	for name, way := range ways {
		got := newShelf()
		w := NewWriter(t.Context(), NewSealer(secretA), WriterOptions{}, got.sink)
		if err := way(w); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if len(got.order) != len(want.order) {
			t.Fatalf("%s: %d chunks, want %d", name, len(got.order), len(want.order))
		}
		for i := range got.order {
			if got.order[i] != want.order[i] {
				t.Fatalf("%s: chunk %d differs", name, i)
			}
		}
	}
}

// The quick scan finds what the plain definition of the cut says.
func TestScanIsTheDefinition(t *testing.T) {
	s := NewSealer(secretA)
	slow := func(b []byte) int {
		var h uint64
		for i := minCut; i < len(b) && i < MaxChunk; i++ {
			h = h<<1 + s.table.one[b[i]]
			mask := maskBefore
			if i >= normalCut {
				mask = maskAfter
			}
			if h&mask == 0 {
				return i + 1
			}
			if h&maskLeap == 0 {
				h, i = 0, i+leap
			}
		}
		if len(b) >= MaxChunk {
			return MaxChunk
		}
		return 0
	}
	before, after, most := 0, 0, 0
	for seed := range byte(16) {
		b := random(seed, MaxChunk)
		if seed%4 == 0 { // long runs of one byte are cut seldom
			clear(b[minCut : 3<<20])
		}
		want := slow(b)
		c := cutter{g: &s.table}
		if got := c.scan(b); got != want {
			t.Fatalf("seed %d: cut at %d, want %d", seed, got, want)
		}
		switch {
		case want == MaxChunk:
			most++
		case want > normalCut:
			after++
		default:
			before++
		}
		c = cutter{g: &s.table}
		got := 0
		for n := 1; n < len(b) && got == 0; n += 37_777 {
			got = c.scan(b[:n])
		}
		if got == 0 {
			got = c.scan(b)
		}
		if got != want {
			t.Fatalf("seed %d in pieces: cut at %d, want %d", seed, got, want)
		}
	}
	if before == 0 || after == 0 {
		t.Errorf("%d cuts before the normal size, %d after it, %d at the largest: the test does not see all", before, after, most)
	}
}

func TestCutSizes(t *testing.T) {
	s := newShelf()
	s.store(t, secretA, WriterOptions{}, random(7, 24<<20))
	for i, r := range s.order[:len(s.order)-1] {
		if n := r.Len - Overhead; r.Len < 1<<17 || n > MaxChunk {
			t.Errorf("chunk %d has %d bytes", i, n)
		}
	}
	if n := len(s.order); n < 24*3/4 || n > 24*5/4 {
		t.Errorf("%d chunks of 24 MiB", n)
	}
}

// A changed copy shares all chunks but those around the change; under another secret nothing is shared.
func TestChangedCopy(t *testing.T) {
	data := random(1, 16<<20)
	changed := bytes.Join([][]byte{data[:7_000_001], random(2, 1_000_000), data[7_000_001:]}, nil)
	s := newShelf()
	s.store(t, secretA, WriterOptions{}, data)
	known := len(s.held)
	m := s.store(t, secretA, WriterOptions{}, changed)
	if fresh := len(s.held) - known; fresh > 6 {
		t.Errorf("a megabyte inserted makes %d new chunks of %d", fresh, len(s.order)-known)
	}
	if !bytes.Equal(readAll(t, m, s), changed) {
		t.Error("the changed copy reads otherwise")
	}
	before := len(s.held)
	other := newShelf()
	other.store(t, secretB, WriterOptions{}, data)
	for name := range other.held {
		if s.held[name] != nil {
			t.Error("a chunk is shared under another secret")
		}
	}
	if len(s.held) != before {
		t.Error("the shelf changed")
	}
}

// A chunk reaches the sink while the source is silent: chunks travel while the upload goes on.
func TestSinkDoesNotWaitForMore(t *testing.T) {
	first := make(chan struct{})
	var once sync.Once
	w := NewWriter(t.Context(), NewSealer(secretA), WriterOptions{Fixed: true}, func(Entry, Record, []byte) error {
		once.Do(func() { close(first) })
		return nil
	})
	defer w.Abort()
	if _, err := w.Write(make([]byte, fixedCut)); err != nil {
		t.Fatal(err)
	}
	<-first
}

func TestSinkFails(t *testing.T) {
	boom := errors.New("boom")
	for fail := range 6 {
		calls := 0
		w := NewWriter(t.Context(), NewSealer(secretA), WriterOptions{Fixed: true}, func(Entry, Record, []byte) error {
			if calls++; calls > fail {
				return boom
			}
			return nil
		})
		_, err := io.Copy(w, io.LimitReader(rand.NewChaCha8([32]byte{}), 5<<20))
		if err != nil && !errors.Is(err, boom) {
			t.Fatal(err)
		}
		_, cerr := w.Close()
		if want := fail < 5; errors.Is(cerr, boom) != want {
			t.Errorf("failing call %d: write %v, close %v", fail+1, err, cerr)
		}
		if calls > fail+1 {
			t.Errorf("the sink was called %d times after it failed", calls-fail-1)
		}
		if _, err := w.Write([]byte{1}); err == nil {
			t.Error("a closed writer takes more")
		}
	}
	idle(t)
}

func TestAbort(t *testing.T) {
	for _, n := range []int{0, 100, 3 << 20} {
		w := NewWriter(t.Context(), NewSealer(secretA), WriterOptions{}, func(Entry, Record, []byte) error { return nil })
		if _, err := w.Write(random(1, n)); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		w.Abort()
		if _, err := w.Close(); err == nil {
			t.Error("an aborted writer gives a map")
		}
	}
	idle(t)
}

// A source that fails leaves the Writer as it was: the caller decides.
func TestSourceFails(t *testing.T) {
	boom := errors.New("boom")
	s := newShelf()
	w := NewWriter(t.Context(), NewSealer(secretA), WriterOptions{}, s.sink)
	if n, err := w.ReadFrom(io.MultiReader(bytes.NewReader(random(1, 5000)), iotest.ErrReader(boom))); n != 5000 || err != boom {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := w.Write(random(2, 5000)); err != nil {
		t.Fatal(err)
	}
	m, err := w.Close()
	if err != nil || !bytes.Equal(readAll(t, m, s), append(random(1, 5000), random(2, 5000)...)) {
		t.Errorf("%v", err)
	}
}

// Many Writers at once stay near the memory that is meant for all: each has one small chunk that fills and one under way.
func TestManyWritersShareMemory(t *testing.T) {
	const n = 80
	data := random(3, 1_200_000)
	var ws []*Writer
	shelves := make([]*shelf, n)
	for i := range n {
		shelves[i] = newShelf()
		w := NewWriter(t.Context(), NewSealer(secretA), WriterOptions{}, shelves[i].sink)
		ws = append(ws, w)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	memory.mu.Lock()
	held := memory.held
	memory.mu.Unlock()
	if most := int64(growing + n*2*minCut); held > most {
		t.Errorf("%d bytes held, want at most %d", held, most)
	}
	for i, w := range ws {
		m, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readAll(t, m, shelves[i]), data) {
			t.Fatal("not what was written")
		}
	}
	idle(t)
}

// A Writer that waits for memory which others use is ended by its context, although their chunks do not pass.
func TestWriterLeavesWaitForMemory(t *testing.T) {
	for name, fixed := range map[string]bool{"to let a chunk grow": false, "to have one under way": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sealer := NewSealer(secretA).Apart()
				m := sealer.memory
				m.join()
				m.begin() // a chunk whose sink stands still
				for range budget / MaxChunk {
					m.get(classOf(MaxChunk))
				}
				ctx, leave := context.WithCancel(t.Context())
				w := NewWriter(ctx, sealer, WriterOptions{Fixed: fixed}, func(Entry, Record, []byte) error { return nil })
				written := make(chan error, 1)
				go func() {
					_, err := w.Write(make([]byte, 8<<20))
					written <- err
				}()
				synctest.Wait()
				if len(written) != 0 {
					t.Fatalf("did not wait: %v", <-written)
				}
				leave()
				synctest.Wait()
				if len(written) == 0 {
					t.Fatal("waits on")
				}
				if err := <-written; !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
				w.Abort()
			})
		})
	}
}
