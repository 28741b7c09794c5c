package chunk

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"sync"
)

// ErrPower is what everything gives after the power is gone.
var ErrPower = errors.New("the power is gone")

// FakeDisk is a disk in memory that can lose power after a number of steps. It keeps apart what was synced and what was
// only written, for file contents and for names.
type FakeDisk struct {
	mu      sync.Mutex
	files   map[int64]*fakeFile
	durable map[int64]*fakeFile // names as of the last sync of the folder
	left    int                 // steps until the power goes; negative: never
	dead    bool
	steps   int
	// Failing makes syncs of files fail.
	Failing error
	// Total is the space of the disk; 0: it does not tell.
	Total int64
}

type fakeFile struct {
	data, synced []byte
}

// NewFakeDisk gives an empty disk with power for n steps; negative: for ever.
func NewFakeDisk(n int) *FakeDisk {
	return &FakeDisk{files: map[int64]*fakeFile{}, durable: map[int64]*fakeFile{}, left: n}
}

// Step takes one step, or says that there is no power for it.
func (d *FakeDisk) Step() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.step()
}

func (d *FakeDisk) step() error {
	d.steps++
	if d.left == 0 {
		d.dead = true
	}
	if d.dead {
		return ErrPower
	}
	if d.left > 0 {
		d.left--
	}
	return nil
}

// Steps is the number of steps that were taken.
func (d *FakeDisk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps
}

// Restart gives the disk as it is found when the power is back: of what was not synced any part may be there.
func (d *FakeDisk) Restart(r *rand.Rand) *FakeDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := NewFakeDisk(-1)
	names := maps.Clone(d.durable)
	for id, f := range d.files { // created since, perhaps
		if r.IntN(2) == 0 {
			names[id] = f
		}
	}
	for id := range d.durable { // removed since, perhaps
		if d.files[id] == nil && r.IntN(2) == 0 {
			delete(names, id)
		}
	}
	for id, f := range names {
		out.files[id] = f.afterCut(r)
	}
	out.durable = maps.Clone(out.files)
	return out
}

// afterCut mixes what was synced with what was written, by blocks, with any length in between.
func (f *fakeFile) afterCut(r *rand.Rand) *fakeFile {
	n := len(f.data)
	if n != len(f.synced) {
		lo, hi := min(n, len(f.synced)), max(n, len(f.synced))
		n = lo + r.IntN(hi-lo+1)
	}
	data := make([]byte, n)
	copy(data, f.synced)
	const block = 512
	for at := 0; at < n; at += block {
		if r.IntN(2) == 0 && at < len(f.data) {
			copy(data[at:min(at+block, n)], f.data[at:])
		}
	}
	return &fakeFile{data: data, synced: append([]byte(nil), data...)}
}

// Flip changes one byte of a file.
func (d *FakeDisk) Flip(id, at int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[id].data[at] ^= 0x40
}

// Cut shortens a file behind the store's back; Lose removes it.
func (d *FakeDisk) Cut(id, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[id].data = d.files[id].data[:n]
}

// Lose removes a file behind the store's back.
func (d *FakeDisk) Lose(id int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, id)
}

// Sizes gives the length of each file.
func (d *FakeDisk) Sizes() map[int64]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[int64]int64{}
	for id, f := range d.files {
		out[id] = int64(len(f.data))
	}
	return out
}

func (d *FakeDisk) list() (map[int64]int64, error) { return d.Sizes(), d.Step() }

func (d *FakeDisk) open(id int64) (diskFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrPower
	}
	f := d.files[id]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return &fakeHandle{d, f}, nil
}

func (d *FakeDisk) reopen(id int64) (diskFile, error) { return d.open(id) }

func (d *FakeDisk) create(id int64) (diskFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	if d.files[id] != nil {
		return nil, fs.ErrExist
	}
	f := &fakeFile{}
	d.files[id] = f
	return &fakeHandle{d, f}, nil
}

func (d *FakeDisk) remove(id int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	delete(d.files, id)
	return nil
}

func (d *FakeDisk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	d.durable = maps.Clone(d.files)
	return nil
}

func (d *FakeDisk) space() (total, free int64) {
	if d.Total == 0 {
		return 0, 0
	}
	free = d.Total
	for _, n := range d.Sizes() {
		free -= n
	}
	return d.Total, free
}

type fakeHandle struct {
	d *FakeDisk
	f *fakeFile
}

func (h *fakeHandle) ReadAt(b []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.d.dead {
		return 0, ErrPower
	}
	if off >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(b, h.f.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h *fakeHandle) WriteAt(b []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if err := h.d.step(); err != nil {
		return 0, err
	}
	if grow := off + int64(len(b)) - int64(len(h.f.data)); grow > 0 {
		h.f.data = append(h.f.data, make([]byte, grow)...)
	}
	return copy(h.f.data[off:], b), nil
}

func (h *fakeHandle) Truncate(n int64) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if err := h.d.step(); err != nil {
		return err
	}
	h.f.data = h.f.data[:n:n]
	return nil
}

func (h *fakeHandle) Sync() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if err := h.d.step(); err != nil {
		return err
	}
	if h.d.Failing != nil {
		return h.d.Failing
	}
	h.f.synced = append([]byte(nil), h.f.data...)
	return nil
}

func (h *fakeHandle) Close() error { return nil }
