package pipe

import (
	"context"
	"errors"
	"maps"
	pathpkg "path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// MemFolder is a folder in memory, for Mem and for whoever plays the mover. Paths are slash-separated as in a
// real share. All methods are safe for concurrent use; content is copied in and out.
type MemFolder struct {
	now func() time.Time

	mu       sync.Mutex
	dirs     map[string]map[string]*memFile // by folder, with its slash, and name in it
	version  uint64
	watchers map[*Mem]struct{}
}

type memFile struct {
	base    string
	name    frame.Name // that base reads as, without any suffix
	named   bool
	node    *memNode
	mtime   time.Time
	version uint64 // of the folder when it was written: what an inode and a clock are on disk
}

// memNode is what all names of a file have in common. The bytes are never changed in place.
type memNode struct{ content atomic.Pointer[[]byte] }

func newMemNode(data []byte) *memNode {
	n := &memNode{}
	n.content.Store(&data)
	return n
}

func (f *memFile) data() []byte { return *f.node.content.Load() }

// NewMemFolder makes an empty folder; now gives the modification times, nil means time.Now.
func NewMemFolder(now func() time.Time) *MemFolder {
	if now == nil {
		now = time.Now
	}
	return &MemFolder{now: now, dirs: map[string]map[string]*memFile{}, watchers: map[*Mem]struct{}{}}
}

// WriteFile creates or replaces a file.
func (f *MemFolder) WriteFile(path string, data []byte) {
	f.write(path, newMemNode(slices.Clone(data)), true)
}

// Truncate cuts a file where it lies, under all of its names, and says whether it was there.
func (f *MemFolder) Truncate(path string, size int) bool {
	file, ok := f.stat(path)
	if ok {
		data := file.data()[:size:size]
		file.node.content.Store(&data)
	}
	return ok
}

// write gives a file a name; false: it is taken, and over does not say that this one takes its place.
func (f *MemFolder) write(path string, node *memNode, over bool) bool {
	dir, base := pathpkg.Split(path)
	f.mu.Lock()
	if _, ok := f.dirs[dir][base]; ok && !over {
		f.mu.Unlock()
		return false
	}
	if f.dirs[dir] == nil {
		f.dirs[dir] = map[string]*memFile{}
	}
	f.version++
	file := &memFile{base: base, node: node, mtime: f.now(), version: f.version}
	name, err := frame.ParseName(base)
	file.name, file.named = name, err == nil
	f.dirs[dir][base] = file
	watchers := slices.Collect(maps.Keys(f.watchers))
	f.mu.Unlock()
	for _, m := range watchers {
		m.pace.poke()
	}
	return true
}

// ReadFile gives a file's content and whether it is there.
func (f *MemFolder) ReadFile(path string) ([]byte, bool) {
	file, ok := f.stat(path)
	if !ok {
		return nil, false
	}
	return slices.Clone(file.data()), true
}

// Remove deletes a file and says whether it was there.
func (f *MemFolder) Remove(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, base := pathpkg.Split(path)
	_, ok := f.dirs[dir][base]
	delete(f.dirs[dir], base)
	return ok
}

// Paths gives the paths of all files, sorted.
func (f *MemFolder) Paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for dir, files := range f.dirs {
		for base := range files {
			all = append(all, dir+base)
		}
	}
	slices.Sort(all)
	return all
}

// in gives the files in one folder whose names have a prefix, sorted by name.
func (f *MemFolder) in(dir, prefix string) []*memFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	files := make([]*memFile, 0, len(f.dirs[dir]))
	for base, file := range f.dirs[dir] {
		if strings.HasPrefix(base, prefix) {
			files = append(files, file)
		}
	}
	slices.SortFunc(files, func(a, b *memFile) int { return strings.Compare(a.base, b.base) })
	return files
}

func (f *MemFolder) stat(path string) (*memFile, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, base := pathpkg.Split(path)
	file, ok := f.dirs[dir][base]
	return file, ok
}

func (f *MemFolder) watch(m *Mem) (stop func()) {
	f.mu.Lock()
	f.watchers[m] = struct{}{}
	f.mu.Unlock()
	return func() {
		f.mu.Lock()
		delete(f.watchers, m)
		f.mu.Unlock()
	}
}

// Mem is the twin of Dir on folders in memory. It keeps the same contract but for what only a file system
// has: modes, owners, free space, temporary files. Its Quarantine keeps the copies in memory, see Quarantined.
// With scans driven by a given time and no Run it starts no goroutine and uses no timer. All methods are
// safe for concurrent use.
type Mem struct {
	desk
	out, in *MemFolder
	beside  *MemFolder // where the paths of Link and TakeOver lie; nil: nowhere
	clones  bool

	scanMu sync.Mutex
	quarMu sync.Mutex
	quar   []Quarantined
}

// Quarantined is a file that a Mem set aside.
type Quarantined struct {
	Name   frame.Name
	Reason string
	Data   []byte
}

// OpenMem opens a pipe on two folders in memory, which may be one. The folder paths in o are not used.
func OpenMem(o Options, outbox, inbox *MemFolder) (*Mem, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if outbox == nil || inbox == nil {
		return nil, errors.New("pipe: outbox and inbox must both be given")
	}
	return &Mem{desk: newDesk(o), out: outbox, in: inbox}, nil
}

// path gives the place of a file in its folder.
func (m *Mem) path(n frame.Name) string {
	return m.dir(n.Recipient) + m.o.base(n)
}

// dir gives the folder of a recipient's files, with its slash.
func (m *Mem) dir(recipient identity.ID) string {
	if m.o.Flat {
		return ""
	}
	return recipient.String() + "/"
}

// Close does nothing; the folders stay.
func (m *Mem) Close() error { return nil }

// Check finds nothing wrong: folders in memory have no owner.
func (m *Mem) Check() error { return nil }

// Run feeds Hints until ctx ends, then returns nil. It starts no goroutine.
func (m *Mem) Run(ctx context.Context) error {
	defer m.in.watch(m)()
	m.pace.run(ctx, func() {})
	return nil
}

// Stats gives a snapshot; free space is not told.
func (m *Mem) Stats() Stats { return m.stats() }

// Put publishes a file; see Dir.Put.
func (m *Mem) Put(ctx context.Context, n frame.Name, chunks ...[]byte) error {
	_, err := m.admit(n, chunks)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && !m.out.write(m.path(n), newMemNode(slices.Concat(chunks...)), false) {
		err = ErrExists
	}
	if err != nil {
		return wrap("put", n.String(), err)
	}
	m.own.add(n.Recipient, 1)
	m.pace.busy()
	return nil
}

// RemoveOwn takes an own file out of the outbox; see Dir.RemoveOwn.
func (m *Mem) RemoveOwn(n frame.Name) (bool, error) {
	if !m.mine(n) {
		return false, wrap("remove", n.String(), ErrForeign)
	}
	if !m.out.Remove(m.path(n)) {
		return false, nil
	}
	m.own.add(n.Recipient, -1)
	return true, nil
}

// ListOwn gives the own files for peer that are still in the outbox; see Dir.ListOwn.
func (m *Mem) ListOwn(peer identity.ID) ([]Entry, error) {
	if m.track.peers[peer] == nil {
		return nil, wrap("list files for", peer.String(), ErrForeign)
	}
	var list []Entry
	for _, f := range m.out.in(m.dir(peer), peer.String()+"--"+m.o.Self.String()) {
		if n, ok := m.nameOf(f); ok && n.Recipient == peer && m.mine(n) {
			list = append(list, Entry{Name: n, Size: int64(len(f.data())), ModTime: f.mtime})
		}
	}
	m.own.set(peer, len(list))
	return list, nil
}

// Scan gives the files that are new, changed or settled; see Dir.Scan.
func (m *Mem) Scan(now time.Time) ([]File, error) {
	m.scanMu.Lock()
	defer m.scanMu.Unlock()
	s := m.track.begin(now)
	whole := true
	for _, f := range m.in.in(m.dir(m.o.Self), "") {
		n, named := m.nameOf(f)
		if m.sifted(s, f.base, n, named) && s.known(n) == stepLook {
			m.look(s, f, n)
		}
		if s.spent() {
			whole = false
			break
		}
	}
	files := s.end(whole)
	m.pace.scanned(len(files) > 0, s.more, 0)
	return files, nil
}

// nameOf reads the name of a file.
func (m *Mem) nameOf(f *memFile) (n frame.Name, ok bool) {
	if m.o.Suffix == "" {
		return f.name, f.named
	}
	return m.o.parse(f.base)
}

func (m *Mem) look(s *survey, f *memFile, n frame.Name) {
	if int64(len(f.data())) > m.o.limit(n.Ext) {
		s.skip(SkipTooLarge)
		return
	}
	s.see(n, f.mark(), f.mtime)
}

func (f *memFile) mark() mark { return mark{size: int64(len(f.data())), inode: f.version} }

// Read gives the whole content as it is now; see Dir.Read.
func (m *Mem) Read(file File) ([]byte, error) {
	if file.Name.Recipient != m.o.Self {
		return nil, wrap("read", file.Name.String(), ErrForeign)
	}
	data, ok := m.in.ReadFile(m.path(file.Name))
	if !ok {
		m.Again(file)
		return nil, wrap("read", file.Name.String(), ErrGone)
	}
	if int64(len(data)) > m.o.limit(file.Name.Ext) {
		m.Again(file)
		return nil, wrap("read", file.Name.String(), ErrTooLarge)
	}
	return data, nil
}

// Remove takes a handled file out of the inbox; see Dir.Remove.
func (m *Mem) Remove(file File) error {
	if file.Name.Recipient != m.o.Self {
		return wrap("remove", file.Name.String(), ErrForeign)
	}
	if m.o.Keep {
		m.keep(file)
		return nil
	}
	m.scanMu.Lock()
	defer m.scanMu.Unlock()
	dir, base := m.dir(m.o.Self), m.o.base(file.Name)
	m.in.mu.Lock()
	f, ok := m.in.dirs[dir][base]
	same := ok && f.mark() == file.mark
	if same {
		delete(m.in.dirs[dir], base)
	}
	m.in.mu.Unlock()
	if ok && !same {
		m.Pending(file)
		return wrap("remove", file.Name.String(), ErrChanged)
	}
	m.track.removed(file)
	return nil
}

// Quarantine sets a settled file aside; see Dir.Quarantine.
func (m *Mem) Quarantine(file File, data []byte, reason string) error {
	if file.Name.Recipient != m.o.Self {
		return wrap("quarantine", file.Name.String(), ErrForeign)
	}
	m.setAside(Quarantined{Name: file.Name, Reason: reason, Data: slices.Clone(data[:min(int64(len(data)), m.o.QuarantineBytes/4)])})
	m.quarantined.Add(1)
	if m.o.Keep {
		m.track.set(file, stateKept, 0)
		return nil
	}
	return m.Remove(file)
}

func (m *Mem) setAside(q Quarantined) {
	m.quarMu.Lock()
	defer m.quarMu.Unlock()
	m.quar = append(m.quar, q)
	var bytes int64
	for _, q := range m.quar {
		bytes += int64(len(q.Data))
	}
	for len(m.quar) > m.o.QuarantineFiles || bytes > m.o.QuarantineBytes {
		bytes -= int64(len(m.quar[0].Data))
		m.quar = m.quar[1:]
	}
}

// Quarantined gives the files set aside, oldest first.
func (m *Mem) Quarantined() []Quarantined {
	m.quarMu.Lock()
	defer m.quarMu.Unlock()
	return slices.Clone(m.quar)
}
