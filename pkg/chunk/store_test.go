package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

// sample gives record n of the tests: its bytes follow from n.
func sample(n, size int) (chunk.Record, []byte) {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return chunk.Record{Name: chunk.Name{byte(n), byte(n >> 8)}, Hsh: blake3.Sum256(b), Len: int64(size)}, b
}

// clock gives a time that goes on by a second each time it is asked.
func clock() func() time.Time {
	var mu sync.Mutex
	now := time.UnixMilli(1_763_798_400_000)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

// bed is a store with what it stands on.
type bed struct {
	*chunk.Store
	t    *testing.T
	disk *chunk.FakeDisk
	idx  *store.Mem
}

const smallCap = 64 << 10 // files of 8 KiB

func newBed(t *testing.T, max int64) *bed {
	t.Helper()
	return openBed(t, chunk.NewFakeDisk(-1), store.NewMem(), max)
}

func openBed(t *testing.T, d *chunk.FakeDisk, idx *store.Mem, max int64) *bed {
	t.Helper()
	s, err := chunk.OpenOn(t.Context(), d, idx, chunk.StoreOptions{MaxBytes: max, Now: clock()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &bed{s, t, d, idx}
}

func (b *bed) put(n, size int) {
	b.t.Helper()
	if err := b.Put(sample(n, size)); err != nil {
		b.t.Fatalf("put %d: %v", n, err)
	}
}

func (b *bed) sync() {
	b.t.Helper()
	if err := b.Sync(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// kept pins chunks for good.
func kept(owner byte, names []chunk.Name) chunk.Change {
	return chunk.Change{Now: time.UnixMilli(1_763_798_400_000), Pin: []chunk.Pin{{Owner: chunk.Owner{owner}, Names: names}}}
}

func (b *bed) pin(owner byte, ns ...int) {
	b.t.Helper()
	var names []chunk.Name
	for _, n := range ns {
		r, _ := sample(n, 17)
		names = append(names, r.Name)
	}
	if owner%2 == 0 {
		b.Pin(chunk.Owner{owner}, names)
	} else if err := b.idx.CommitChunks(b.t.Context(), kept(owner, names)); err != nil {
		b.t.Fatal(err)
	}
}

// whole says whether record n is here with its own bytes; other bytes fail the test.
func (b *bed) whole(n, size int) bool {
	b.t.Helper()
	r, want := sample(n, size)
	got, err := b.Chunk(b.t.Context(), r.Name)
	if errors.Is(err, chunk.ErrMissing) {
		if b.Holds(r) {
			b.t.Fatalf("%d is said to be here, and is missing", n)
		}
		return false
	}
	if err != nil {
		b.t.Fatalf("read %d: %v", n, err)
	}
	if !bytes.Equal(got, want) {
		b.t.Fatalf("%d has other bytes", n)
	}
	var out bytes.Buffer
	if err := b.WriteRecord(b.t.Context(), &out, r, true); err != nil || !bytes.Equal(out.Bytes(), append(r.AppendHeader(nil), want...)) {
		b.t.Fatalf("record %d: %v", n, err)
	}
	return true
}

// consistent compares disk and index.
func (b *bed) consistent() {
	b.t.Helper()
	files, err := b.idx.ChunkFiles(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	sizes := b.disk.Sizes()
	var total int64
	for i, f := range files {
		if n, ok := sizes[f.ID]; !ok || n < f.Size {
			b.t.Errorf("file %d has %d bytes, the index knows %d", f.ID, n, f.Size)
		}
		if f.Live == 0 && i < len(files)-1 { // the last takes more
			b.t.Errorf("file %d holds nothing", f.ID)
		}
	}
	for _, n := range sizes {
		total += n
	}
	if len(sizes) != len(files) {
		b.t.Errorf("files %v, of which the index knows %v", sizes, files)
	}
	st, err := b.Stats(b.t.Context())
	if err != nil || st.DiskBytes != total || st.Files != len(files) {
		b.t.Errorf("stats say %+v of %d bytes in %d files: %v", st, total, len(files), err)
	}
}

func TestStoreKeeps(t *testing.T) {
	b := newBed(t, 1<<20)
	for n := range 20 {
		b.put(n, 100+n*37)
		if !b.whole(n, 100+n*37) {
			t.Fatal("not here before the sync")
		}
	}
	b.sync()
	for n := range 20 {
		b.put(n, 100+n*37) // once more: nothing happens
	}
	b.sync()
	st, err := b.Stats(t.Context())
	if err != nil || st.Chunks != 20 {
		t.Fatalf("%+v, %v", st, err)
	}
	b.consistent()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(sample(99, 100)); err == nil {
		t.Error("a closed store takes more")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	again := openBed(t, b.disk, b.idx, 1<<20)
	for n := range 20 {
		if !again.whole(n, 100+n*37) {
			t.Fatalf("%d is missing after a restart", n)
		}
	}
	again.put(50, 500)
	again.sync()
	again.consistent()
}

func TestStoreRefusesWhatIsNoRecord(t *testing.T) {
	b := newBed(t, 1<<20)
	r, ct := sample(1, 100)
	for name, x := range map[string]chunk.Record{
		"another length": {Name: r.Name, Hsh: r.Hsh, Len: 99}, "no content": {Name: r.Name, Hsh: r.Hsh, Len: chunk.Overhead},
		"too long": {Name: r.Name, Hsh: r.Hsh, Len: chunk.MaxSealed + 1},
	} {
		if err := b.Put(x, ct); !errors.Is(err, chunk.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Chunk(t.Context(), chunk.Name{77}); !errors.Is(err, chunk.ErrMissing) {
		t.Errorf("unknown: %v", err)
	}
	if err := b.WriteRecord(t.Context(), io.Discard, r, false); !errors.Is(err, chunk.ErrMissing) {
		t.Errorf("unknown: %v", err)
	}
}

// Other bytes under the same name are another chunk: nobody can take a name that he saw.
func TestStoreTellsHashesApart(t *testing.T) {
	b := newBed(t, 1<<20)
	mine, ct := sample(1, 300)
	theirs, bad := sample(2, 200)
	theirs.Name = mine.Name
	if err := b.Put(theirs, bad); err != nil {
		t.Fatal(err)
	}
	b.sync()
	if b.Holds(mine) || !b.Holds(theirs) {
		t.Fatal("the name alone decides")
	}
	if err := b.Put(mine, ct); err != nil {
		t.Fatal(err)
	}
	for range 2 { // pending, then durable
		for r, want := range map[chunk.Record][]byte{mine: ct, theirs: bad} {
			if got, err := b.Fill(t.Context(), r.Name, r.Hsh, nil); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v", err)
			}
		}
		b.sync()
	}
}

// Full: the longest unused go first, what is needed stays, and when all is needed nothing more is taken.
func TestStoreEvicts(t *testing.T) {
	b := newBed(t, smallCap)
	const size = 1000
	keep := []int{0, 7, 14, 21}
	b.pin(1, keep...)
	for n := range 40 {
		b.put(n, size)
		b.sync()
	}
	if !b.whole(5, size) { // use makes it young
		t.Fatal("5 is gone early")
	}
	for n := 40; n < 90; n++ {
		b.put(n, size)
		b.sync()
		if st, _ := b.Stats(t.Context()); st.DiskBytes > smallCap {
			t.Fatalf("%d bytes on the disk", st.DiskBytes)
		}
	}
	for _, n := range keep {
		if !b.whole(n, size) {
			t.Errorf("%d was needed and is gone", n)
		}
	}
	if !b.whole(5, size) || b.whole(6, size) || !b.whole(89, size) {
		t.Errorf("5 here: %v, 6 here: %v, 89 here: %v", b.whole(5, size), b.whole(6, size), b.whole(89, size))
	}
	st, err := b.Stats(t.Context())
	if err != nil || st.Evicted == 0 || st.Pinned != 4*(size+chunk.HeaderLen) {
		t.Errorf("%+v, %v", st, err)
	}
	b.consistent()

	// Everything is needed: full. Then it is not, and there is room.
	var all []int
	for n := range 300 {
		all = append(all, 1000+n)
	}
	b.pin(2, all...)
	var full error
	stored := 0
	for _, n := range all {
		if full = b.Put(sample(n, size)); full != nil {
			break
		}
		stored++
		b.sync()
	}
	if !errors.Is(full, chunk.ErrFull) || stored < 40 {
		t.Fatalf("%d stored, then %v", stored, full)
	}
	for _, n := range append(keep, all[:stored]...) {
		if !b.whole(n, size) {
			t.Fatalf("%d is gone", n)
		}
	}
	b.Unpin(chunk.Owner{2})
	b.put(5000, size)
	b.sync()
	b.consistent()
}

// slowLook is an index that lets an eviction come between what a look finds and its end.
type slowLook struct {
	*store.Mem
	name chunk.Name // whose first look waits
	look func()
	drop func() // called before chunks are dropped
}

func (x *slowLook) FindChunks(ctx context.Context, names []chunk.Name) ([]chunk.Row, error) {
	rows, err := x.Mem.FindChunks(ctx, names)
	if slices.Contains(names, x.name) {
		x.look()
	}
	return rows, err
}

func (x *slowLook) CommitChunks(ctx context.Context, c chunk.Change) error {
	if len(c.Drop) > 0 {
		x.drop()
	}
	return x.Mem.CommitChunks(ctx, c)
}

// A chunk that is pinned and looked for while it is being evicted is missing, although the look saw it: who was told that it is here
// would wait for nothing that comes.
func TestStoreFindsNothingThatGoes(t *testing.T) {
	for name, find := range map[string]func(*chunk.Store, chunk.Record) bool{
		"Find": func(s *chunk.Store, r chunk.Record) bool {
			_, err := s.Find(t.Context(), r.Name, r.Hsh)
			return err == nil
		},
		"Holds": func(s *chunk.Store, r chunk.Record) bool { return s.Holds(r) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, smallCap)
			b.put(0, 1000)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			goes, _ := sample(0, 1000)
			read, evicted := make(chan struct{}), make(chan struct{})
			x := &slowLook{Mem: b.idx, name: goes.Name, look: sync.OnceFunc(func() { close(read); <-evicted })}
			s, err := chunk.OpenOn(t.Context(), b.disk, x, chunk.StoreOptions{MaxBytes: smallCap, Now: clock()})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			found, dropped := make(chan bool, 1), false
			x.drop = sync.OnceFunc(func() {
				s.Pin(chunk.Owner{2}, []chunk.Name{goes.Name})
				go func() { found <- find(s, goes) }()
				<-read
				dropped = true
			})
			for n := 1; !dropped; n++ {
				if err := s.Put(sample(n, 1000)); err != nil {
					t.Fatal(err)
				}
			}
			close(evicted)
			if <-found {
				t.Error("the evicted chunk is found")
			}
		})
	}
}

// A disk that is nearly full is left alone: what may go goes, and when nothing may, nothing more is taken. With room again
// all goes on.
func TestStoreLeavesRoomOnTheDisk(t *testing.T) {
	const size, total = 1 << 20, 40 << 20
	const most = total - total/20 + 5<<20 // beyond what must stay free by what is written between two looks
	d := chunk.NewFakeDisk(-1)
	d.Total = total
	b := openBed(t, d, store.NewMem(), 1<<30)
	used := func() (n int64) {
		for _, x := range d.Sizes() {
			n += x
		}
		return n
	}
	for n := range 100 {
		b.put(n, size)
		if used() > most+64<<20 { // a file that is being rewritten may be there twice
			t.Fatalf("%d bytes after %d chunks on a disk of %d", used(), n, total)
		}
	}
	if st, err := b.Stats(t.Context()); err != nil || st.Evicted == 0 || !st.FullAt.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
	if !b.whole(99, size) {
		t.Error("the newest is gone")
	}
	full := -1
	for n := 200; n < 300; n++ {
		b.pin(2, n)
		if err := b.Put(sample(n, size)); err != nil {
			if full = n; !errors.Is(err, chunk.ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if full < 0 || used() > most {
		t.Fatalf("all was taken, %d bytes of %d", used(), total)
	}
	if st, err := b.Stats(t.Context()); err != nil || st.FullAt.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
	b.Unpin(chunk.Owner{2})
	b.put(full, size)
	b.sync()
	b.consistent()
}

// Files of which most is dead are rewritten, so that what is needed does not hold the space of what is not.
func TestStoreRewrites(t *testing.T) {
	b := newBed(t, smallCap)
	const size = 900
	var keep []int
	for n := 0; n < 60; n += 5 { // in every file
		keep = append(keep, n)
	}
	b.pin(1, keep...)
	for n := range 60 {
		b.put(n, size)
	}
	b.sync()
	for n := 100; n < 220; n++ {
		b.put(n, size)
		b.sync()
	}
	for _, n := range keep {
		if !b.whole(n, size) {
			t.Errorf("%d is gone", n)
		}
	}
	b.consistent()
	if files, _ := b.idx.ChunkFiles(t.Context()); len(files) > 9 {
		t.Errorf("%d files for 64 KiB", len(files))
	}
}

func TestStoreFindsDamage(t *testing.T) {
	const size = 500
	open := func(t *testing.T) *bed {
		b := newBed(t, 1<<20)
		for n := range 4 {
			b.put(n, size)
		}
		b.sync()
		return b
	}
	// gone checks that a record is missing now, and that a fresh copy is taken.
	gone := func(t *testing.T, b *bed, n int) {
		t.Helper()
		r, ct := sample(n, size)
		if b.Holds(r) {
			t.Error("it is still said to be here")
		}
		if err := b.Put(r, ct); err != nil {
			t.Fatal(err)
		}
		b.sync()
		if !b.whole(n, size) {
			t.Error("the fresh copy is missing")
		}
	}
	at := func(n int) int64 { return int64(n) * (size + chunk.HeaderLen) }
	t.Run("sent again", func(t *testing.T) {
		b := open(t)
		b.disk.Flip(0, at(2)+100)
		r, _ := sample(2, size)
		if err := b.WriteRecord(t.Context(), io.Discard, r, true); !errors.Is(err, chunk.ErrDamaged) {
			t.Fatalf("%v", err)
		}
		gone(t, b, 2)
	})
	t.Run("header", func(t *testing.T) {
		b := open(t)
		b.disk.Flip(0, at(2)+3)
		r, _ := sample(2, size)
		if err := b.WriteRecord(t.Context(), io.Discard, r, true); !errors.Is(err, chunk.ErrDamaged) {
			t.Fatalf("%v", err)
		}
		gone(t, b, 2)
	})
	t.Run("suspected", func(t *testing.T) {
		b := open(t)
		b.disk.Flip(0, at(1)+100)
		for n := range 3 {
			r, _ := sample(n, size)
			b.Suspect(t.Context(), r.Name, r.Hsh)
		}
		if !b.whole(0, size) || !b.whole(2, size) {
			t.Error("a good chunk was forgotten")
		}
		gone(t, b, 1)
	})
	t.Run("cut", func(t *testing.T) {
		b := open(t)
		b.disk.Cut(0, at(3)+50)
		if b.whole(3, size) {
			t.Error("a cut chunk is whole")
		}
	})
	t.Run("file lost at a restart", func(t *testing.T) {
		b := open(t)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b.disk.Lose(0)
		again := openBed(t, b.disk, b.idx, 1<<20)
		again.consistent()
		gone(t, again, 0)
	})
	t.Run("file shorter at a restart", func(t *testing.T) {
		b := open(t)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b.disk.Cut(0, at(2)+1)
		again := openBed(t, b.disk, b.idx, 1<<20)
		if !again.whole(0, size) || !again.whole(1, size) || again.whole(2, size) || again.whole(3, size) {
			t.Error("not exactly what lies before the cut is here")
		}
		gone(t, again, 3)
	})
}

// A sync that fails leaves nothing that counts as durable, and loses nothing either.
func TestStoreSyncFails(t *testing.T) {
	b := newBed(t, 1<<20)
	b.put(1, 300)
	b.sync()
	b.disk.Failing = errors.New("disk error")
	b.put(2, 300)
	for range 3 {
		if err := b.Sync(t.Context()); !errors.Is(err, b.disk.Failing) {
			t.Fatalf("%v", err)
		}
	}
	if rows, _ := b.idx.FindChunks(t.Context(), []chunk.Name{{2}}); len(rows) != 0 {
		t.Error("the index lists what is not durable")
	}
	if !b.whole(1, 300) || !b.whole(2, 300) {
		t.Error("something is lost")
	}
	b.disk.Failing = nil
	b.sync()
	if !b.whole(1, 300) || !b.whole(2, 300) {
		t.Error("something is lost")
	}
	b.consistent()
}

// A commit that fails is tried again by the next sync.
func TestStoreCommitFails(t *testing.T) {
	b := newBed(t, 1<<20)
	full := errors.New("database full")
	b.idx.Fault(func(*store.Batch) error { return full }, nil)
	b.put(1, 300)
	if err := b.Sync(t.Context()); !errors.Is(err, full) {
		t.Fatalf("%v", err)
	}
	b.idx.Fault(nil, nil)
	b.sync()
	if rows, _ := b.idx.FindChunks(t.Context(), []chunk.Name{{1}}); len(rows) != 1 {
		t.Error("not in the index")
	}
}

// The power goes after every single step of a life with puts, syncs, pins, evictions and rewrites. Whatever was promised
// (synced and needed) is there after the restart, and what is said to be there has its bytes.
func TestStorePowerCuts(t *testing.T) {
	life := chunk.NewFakeDisk(-1)
	live(life, store.NewMem(), t.Context())
	steps := life.Steps()
	if steps < 300 {
		t.Fatalf("only %d steps", steps)
	}
	every := 1
	if testing.Short() {
		every = 7
	}
	for cut := 0; cut < steps; cut += every {
		rnd := rand.New(rand.NewPCG(uint64(cut), 9))
		d, idx := chunk.NewFakeDisk(cut), store.NewMem()
		promised := live(d, idx, t.Context())
		for range 2 { // the second time after a start that changed nothing
			d, idx = d.Restart(rnd), idx.Clone()
			b := openBed(t, d, idx, smallCap)
			b.consistent()
			for n := range promised {
				if !b.whole(n, lifeSize(n)) {
					t.Fatalf("power cut after step %d: %d was promised and is gone", cut, n)
				}
			}
			for n := cut % 7; n < lifeChunks; n += 7 {
				b.whole(n, lifeSize(n))
			}
			if t.Failed() {
				t.Fatalf("power cut after step %d", cut)
			}
		}
		b := openBed(t, d.Restart(rnd), idx.Clone(), smallCap)
		b.put(9999, 700)
		b.sync()
		if !b.whole(9999, 700) {
			t.Fatalf("power cut after step %d: it takes nothing more", cut)
		}
		b.consistent()
	}
	t.Logf("%d power cuts", steps)
}

const lifeChunks = 130

func lifeSize(n int) int { return 400 + n*53%1100 }

// live leads a store through its life until the power goes, and gives the chunks that must survive.
func live(d *chunk.FakeDisk, idx *store.Mem, ctx context.Context) (promised map[int]bool) {
	idx.Fault(func(*store.Batch) error { return d.Step() }, func(*store.Batch) error { return d.Step() })
	promised = map[int]bool{}
	s, err := chunk.OpenOn(ctx, d, idx, chunk.StoreOptions{MaxBytes: smallCap, Now: clock()})
	if err != nil {
		return promised
	}
	defer s.Close()
	for n := 0; n < lifeChunks; n += 5 {
		group := []int{n, n + 1, n + 2, n + 3, n + 4}
		needed := n%15 == 0
		if needed {
			var names []chunk.Name
			for _, k := range group {
				r, _ := sample(k, 17)
				names = append(names, r.Name)
			}
			if idx.CommitChunks(ctx, kept(byte(n), names)) != nil {
				return promised
			}
		}
		for _, k := range group {
			if s.Put(sample(k, lifeSize(k))) != nil {
				return promised
			}
		}
		if s.Sync(ctx) != nil {
			return promised
		}
		if needed {
			for _, k := range group {
				promised[k] = true
			}
		}
		if old := n - 60; needed && old >= 0 {
			for k := old; k < old+5; k++ { // from here on it may go
				delete(promised, k)
			}
			if idx.CommitChunks(ctx, chunk.Change{Now: time.UnixMilli(1_763_798_500_000), Unpin: []chunk.Owner{{byte(old)}}}) != nil {
				return promised
			}
		}
	}
	return promised
}

// On a real folder, with a real database, many at once.
func TestStoreOnFiles(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	folder := filepath.Join(dir, "chunks")
	s, err := chunk.OpenStore(t.Context(), folder, db, chunk.StoreOptions{MaxBytes: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const each, workers, size = 60, 4, 10_000
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				n := w/2*1000 + i // two put the same
				if err := s.Put(sample(n, size)); err != nil {
					t.Error(err)
				}
				if i%7 == 0 {
					if err := s.Sync(t.Context()); err != nil {
						t.Error(err)
					}
				}
				r, want := sample(n-n%1000+i/2, size)
				if got, err := s.Fill(t.Context(), r.Name, r.Hsh, make([]byte, size)); !errors.Is(err, chunk.ErrMissing) && (err != nil || !bytes.Equal(got, want)) {
					t.Errorf("read %d: %v", n, err)
				}
			}
		})
	}
	for w := range 2 { // eviction and rewriting meanwhile
		wg.Go(func() {
			for i := range 200 {
				if err := s.Put(sample(10_000+1000*w+i, size)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	files, err := db.ChunkFiles(t.Context())
	if err != nil || len(files) != len(entries) {
		t.Errorf("%d files, %d known: %v", len(entries), len(files), err)
	}
	if runtime.GOOS != "windows" {
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
}

// A record is copied into a file whole, verified or not.
func TestStoreCopiesIntoFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := chunk.OpenStore(t.Context(), filepath.Join(dir, "chunks"), store.NewMem(), chunk.StoreOptions{MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var want bytes.Buffer
	var recs []chunk.Record
	for n, size := range []int{17, 5000, 1 << 20, 4096, chunk.MaxSealed} {
		r, ct := sample(n, size)
		if err := s.Put(r, ct); err != nil {
			t.Fatal(err)
		}
		recs = append(recs, r)
		want.Write(append(r.AppendHeader(nil), ct...))
	}
	for _, verify := range []bool{false, true} {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("pack", verify)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, r := range recs {
			if err := s.WriteRecord(t.Context(), f, r, verify); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(f.Name())
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("verify %v: %d bytes, %v", verify, len(got), err)
		}
		p, err := chunk.OpenPack(f, int64(want.Len()), recs)
		if err != nil {
			t.Fatal(err)
		}
		for range recs {
			if piece, err := p.Next(nil); err != nil || piece.Err != nil {
				t.Fatal(err, piece.Err)
			}
		}
	}
}

// A body goes through a Writer into the store and back, with a Reader that tells the store of damage.
func TestStoreAsSource(t *testing.T) {
	b := newBed(t, 64<<20)
	data := make([]byte, 9_000_000)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(data)
	w := chunk.NewWriter(t.Context(), chunk.NewSealer(chunk.Secret{1}), chunk.WriterOptions{}, func(_ chunk.Entry, r chunk.Record, ct []byte) error { return b.Put(r, ct) })
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	m, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	b.sync()
	read := func() ([]byte, error) {
		r := chunk.NewReader(t.Context(), m, b)
		defer r.Close()
		return io.ReadAll(r)
	}
	if got, err := read(); err != nil || !bytes.Equal(got, data) {
		t.Fatal(err)
	}
	file := slices.Sorted(maps.Keys(b.disk.Sizes()))[0]
	b.disk.Flip(file, 3_000_000)
	if _, err := read(); !errors.Is(err, chunk.ErrDamaged) {
		t.Fatalf("%v", err)
	}
	_, err = read()
	var ce *chunk.ChunkError
	if !errors.As(err, &ce) || !errors.Is(err, chunk.ErrMissing) {
		t.Fatalf("the damaged chunk is still there: %v", err)
	}
	for i := range m.Entries {
		r := chunk.Record{Name: m.Entries[i].Name(), Hsh: m.Entries[i].Hsh}
		if b.Holds(r) == (r.Name == ce.Name) {
			t.Errorf("chunk %d is said to be here: %v", i, b.Holds(r))
		}
	}
}
