package chunk

import (
	"slices"
	"sync"
)

// maxOpen is how many files are kept open for reading when nobody reads them.
const maxOpen = 16

// files gives open files of the disk, shared by readers.
type files struct {
	d    disk
	mu   sync.Mutex
	open map[int64]*openFile
	idle []int64 // nobody reads them; the longest unused first
}

type openFile struct {
	diskFile
	id      int64
	readers int
	gone    bool // to be closed by the last reader
}

func newFiles(d disk) *files { return &files{d: d, open: map[int64]*openFile{}} }

// get opens a file or takes one that is open; put gives it back.
func (f *files) get(id int64) (*openFile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.open[id]; o != nil {
		o.readers++
		f.idle = slices.DeleteFunc(f.idle, func(x int64) bool { return x == id })
		return o, nil
	}
	file, err := f.d.open(id)
	if err != nil {
		return nil, err
	}
	o := &openFile{diskFile: file, id: id, readers: 1}
	f.open[id] = o
	return o, nil
}

func (f *files) put(o *openFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.readers--; o.readers > 0 {
		return
	}
	if o.gone {
		_ = o.Close() // it was only read
		return
	}
	f.idle = append(f.idle, o.id)
	for len(f.idle) > maxOpen {
		f.drop(f.idle[0])
	}
}

// drop closes a file, as soon as nobody reads it.
func (f *files) drop(id int64) {
	o := f.open[id]
	if o == nil {
		return
	}
	delete(f.open, id)
	f.idle = slices.DeleteFunc(f.idle, func(x int64) bool { return x == id })
	if o.readers == 0 {
		_ = o.Close() // it was only read
		return
	}
	o.gone = true
}

// forget is drop for others than files.
func (f *files) forget(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(id)
}

func (f *files) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.open {
		f.drop(id)
	}
}
