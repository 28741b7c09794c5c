package chunk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hoft/hoft/pkg/prealloc"
)

// StoreOptions are the choices of a Store; zero values stand for the defaults.
type StoreOptions struct {
	// MaxBytes bounds the store's files in bytes: 10 GiB, or a fifth of the disk where that is less. While files are
	// rewritten it may be passed by the length of one.
	MaxBytes int64
	// Closed has no record added to a file of an earlier run: such a file may be linked elsewhere (LinkAlone).
	Closed bool
	// Now is the clock by which use is noted: time.Now.
	Now func() time.Time
}

const (
	defaultMax = 10 << 30
	diskShare  = 5
	// fileBytes is the length in bytes from which on a file gets no more records; fileShare bounds it by the cap of a small store.
	fileBytes = 64 << 20
	fileShare = 8
)

// Align is where a ciphertext that is not short begins in memory and in the store's files, a multiple of it in bytes: the
// kernel copies faster between places that lie alike.
const Align = 64

// alignFrom is the length in bytes from which on a record is worth the gap before it.
const alignFrom = 64 << 10

// Store keeps chunks on disk, as records in files of some 64 MiB, and bounds what they take. Safe for concurrent use.
//
// The order of things, so that a crash at any point leaves it consistent: Put writes, Sync makes the bytes durable and
// then commits to the Index where they lie; only then may anybody be told that they are here. What the index does not
// list is removed at the next start, and what it lists and is not there is forgotten and can be asked for again.
//
// When the store is full, the longest unused chunks go that have no owner. So note the owner first (Pin), then look
// (Find, Holds) or Put: what is there then stays until Unpin. Pins of exchanges live in memory, and are made again after a
// restart before anything is put. Data that has an owner for good is pinned by a Change of the index.
type Store struct {
	d     disk
	idx   Index
	o     StoreOptions
	files *files
	ctx   context.Context // ends with Close
	stop  context.CancelFunc

	// places is held for reading from a look into the index until the file is open, and for writing when a file goes.
	places sync.RWMutex
	// syncing and freeing are held by whoever syncs, and by whoever makes room.
	syncing, freeing chan struct{}

	mu      sync.Mutex
	cur     *tail           // takes records; nil: none yet
	runs    map[*Run]bool   // each may have a file of its own
	old     []*tail         // written and not synced
	size    int64           // of all files, in bytes
	sizes   map[int64]int64 // of each
	next    int64           // number of the next file
	pending map[key]*write  // put and not in the index yet
	touched map[Name]bool
	owners  map[Owner][]Name
	needed  map[Name]int // by how many of them
	leaving map[key]bool // being evicted: as good as gone
	round   int          // of eviction
	unseen  int64        // bytes written since the free space was looked at
	short   int64        // how much the disk lacked then of what must stay free; below zero: it had more
	evicted int64
	damaged int64 // records whose bytes were lost
	fullAt  time.Time
	closed  bool
}

// tail is a file that records are appended to.
type tail struct {
	id    int64
	file  diskFile
	size  int64 // records were given room up to here
	fresh bool  // its name may not be durable yet
	dirty bool
}

// key is what a chunk is stored under. The hash belongs to it: names are seen in the pipe, and a bad peer could announce
// other bytes under the name of a chunk that somebody else sends.
type key struct {
	name Name
	hsh  Sum
}

func keyOf(r Record) key { return key{r.Name, r.Hsh} }

// write is one record on its way.
type write struct {
	row  Row
	done chan struct{} // closed when the bytes are in the file
	err  error
}

// errStoreClosed is what a Store gives after Close.
var errStoreClosed = errors.New("chunk store is closed")

// OpenStore opens the store in a folder (made 0700 if it is not there) and mends what a crash left: files that the index
// does not know are removed, rows whose bytes are not there are dropped.
func OpenStore(ctx context.Context, dir string, idx Index, o StoreOptions) (*Store, error) {
	d, err := openDisk(dir)
	if err != nil {
		return nil, fmt.Errorf("chunk store: %w", err)
	}
	return openOn(ctx, d, idx, o)
}

func openOn(ctx context.Context, d disk, idx Index, o StoreOptions) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMax
		if total, _ := d.space(); total > 0 {
			o.MaxBytes = min(o.MaxBytes, total/diskShare)
		}
	}
	s := &Store{d: d, idx: newMemo(idx), o: o, files: newFiles(d), pending: map[key]*write{}, runs: map[*Run]bool{}, touched: map[Name]bool{}, owners: map[Owner][]Name{},
		needed: map[Name]int{}, sizes: map[int64]int64{},
		syncing: make(chan struct{}, 1), freeing: make(chan struct{}, 1)}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.mend(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("chunk store: %w", err)
	}
	return s, nil
}

// fileMax is the length from which on a file gets no more records.
func (s *Store) fileMax() int64 { return min(fileBytes, s.o.MaxBytes/fileShare) }

// Close makes durable what was put and ends the store; readers under way may end their reading.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true // nothing more is put
	s.mu.Unlock()
	if closed {
		return nil
	}
	err := errors.Join(s.Sync(s.ctx), s.noteUse(s.ctx))
	s.stop()
	s.freeing <- struct{}{} // whoever makes room has ended
	s.syncing <- struct{}{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tails() {
		err = errors.Join(err, t.file.Close())
	}
	s.cur, s.old, s.runs = nil, nil, nil
	s.files.close()
	<-s.syncing
	<-s.freeing
	return err
}

// tails gives all files that are open for writing. Called with the lock held.
func (s *Store) tails() []*tail {
	all := s.old[:len(s.old):len(s.old)]
	for r := range s.runs {
		if r.cur != nil {
			all = append(all, r.cur)
		}
	}
	if s.cur != nil {
		all = append(all, s.cur)
	}
	return all
}

// Put keeps a ciphertext: it is there for readers at once, and durable after Sync. A chunk that is here already is no
// error. The bytes are not checked against the hash; whoever got them from outside has verified them. ErrFull says that
// there is no room although everything that may go is gone.
func (s *Store) Put(r Record, ct []byte) error { return s.put(&s.cur, r, ct) }

// put is Put into one of the files that take records.
func (s *Store) put(into **tail, r Record, ct []byte) error {
	if !r.Valid() || int64(len(ct)) != r.Len {
		return fmt.Errorf("chunk store: %w: record of %d bytes with %d", ErrDamaged, r.Len, len(ct))
	}
	s.mu.Lock()
	old := s.pending[keyOf(r)]
	s.mu.Unlock()
	if old != nil {
		<-old.done
		return old.err
	}
	if s.Holds(r) {
		s.touch(r.Name)
		return nil
	}
	if err := s.makeRoom(r.Size()); err != nil {
		return err
	}
	return s.append(into, r, ct)
}

// append writes a record behind the others and leaves it pending.
func (s *Store) append(into **tail, r Record, ct []byte) error {
	s.mu.Lock()
	if old := s.pending[keyOf(r)]; old != nil { // another was quicker
		s.mu.Unlock()
		<-old.done
		return old.err
	}
	t, err := s.reserve(into, r.Size())
	if err != nil {
		s.mu.Unlock()
		return s.diskError(err)
	}
	w := &write{row: Row{Record: r, File: t.id, At: t.size - r.Size()}, done: make(chan struct{})}
	s.pending[keyOf(r)] = w
	s.mu.Unlock()

	if f, ok := t.file.(*os.File); ok { // a test's disk has none
		prealloc.Range(f, w.row.At, r.Size())
	}
	var head [HeaderLen]byte
	if _, err = t.file.WriteAt(r.AppendHeader(head[:0]), w.row.At); err == nil {
		_, err = t.file.WriteAt(ct, w.row.At+HeaderLen)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.dirty = true // again: a sync may have come between
	if err != nil {
		w.err = s.diskError(err)
		delete(s.pending, keyOf(r))
	}
	close(w.done)
	return w.err
}

// reserve gives the file that takes n more bytes, which end at its size. Called with the lock held.
func (s *Store) reserve(into **tail, n int64) (*tail, error) {
	if s.closed {
		return nil, errStoreClosed
	}
	if t := *into; t != nil && t.size > 0 && t.size+n > s.fileMax() {
		s.roll(into)
	}
	if *into == nil {
		f, err := s.d.create(s.next)
		if err != nil {
			return nil, err
		}
		*into = &tail{id: s.next, file: f, fresh: true}
		s.next++
	}
	t := *into
	if into == &s.cur && n >= alignFrom { // a run's file is a pack and has no gaps
		n += Align - 1 - (t.size+HeaderLen+Align-1)%Align
	}
	t.size += n
	s.size += n
	s.sizes[t.id] = t.size
	return t, nil
}

// roll ends a file that takes records. Called with the lock held.
func (s *Store) roll(from **tail) {
	if *from != nil {
		s.old = append(s.old, *from)
		*from = nil
	}
}

// diskError says that the disk is full in words that callers look for.
func (s *Store) diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: no room on the disk of the state folder: free some, or lower chunks.max_bytes: %w", ErrFull, err)
	}
	return fmt.Errorf("chunk store: %w", err)
}

// touch notes a use, to be committed some time later.
func (s *Store) touch(n Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.touched) < maxTouched {
		s.touched[n] = true
	}
}

// maxTouched bounds the uses that wait for a commit; losing some is harmless.
const maxTouched = 1 << 14

// noteUse commits what was used.
func (s *Store) noteUse(ctx context.Context) error {
	s.mu.Lock()
	c := Change{Now: s.o.Now()}
	for n := range s.touched {
		c.Touch = append(c.Touch, n)
	}
	s.touched = map[Name]bool{}
	s.mu.Unlock()
	if len(c.Touch) == 0 {
		return nil
	}
	return s.idx.CommitChunks(ctx, c)
}

// Pin notes that an owner needs chunks, stored or not: they stay until Unpin or the end of the process. It may be called
// several times for one owner. It does not block.
func (s *Store) Pin(owner Owner, names []Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners[owner] = append(s.owners[owner], names...)
	for _, n := range names {
		s.needed[n]++
	}
}

// Unpin releases all that an owner needed by Pin, and counts as use. It does not block.
func (s *Store) Unpin(owner Owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.owners[owner] {
		if s.needed[n]--; s.needed[n] == 0 {
			delete(s.needed, n)
		}
		if len(s.touched) < maxTouched {
			s.touched[n] = true
		}
	}
	delete(s.owners, owner)
}

// StoreStats is a Store in numbers.
type StoreStats struct {
	IndexStats
	// DiskBytes is the length of all files, MaxBytes their bound.
	DiskBytes, MaxBytes int64
	// Files is the number of files, Evicted that of chunks that had to go since the start, Damaged that of chunks that
	// the disk did not give back as they were written.
	Files            int
	Evicted, Damaged int64
	// FullAt is when there was no room for a chunk last; zero: always was.
	FullAt time.Time
}

// Stats gives the use of the store.
func (s *Store) Stats(ctx context.Context) (StoreStats, error) {
	st, err := s.idx.ChunkStats(ctx)
	if err != nil {
		return StoreStats{}, err
	}
	known, err := s.idx.ChunkFiles(ctx)
	if err != nil {
		return StoreStats{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return StoreStats{IndexStats: st, DiskBytes: s.size, MaxBytes: s.o.MaxBytes, Files: len(known), Evicted: s.evicted, Damaged: s.damaged, FullAt: s.fullAt}, nil
}
