package pipe

import (
	"fmt"
	"io/fs"

	"github.com/hoft/hoft/pkg/frame"
)

// Beside gives the folder in which the paths of Link and TakeOver lie; before either is used.
func (m *Mem) Beside(f *MemFolder) { m.beside = f }

// Link publishes a file that lies beside the pipe, by a further name for it; see Dir.Link.
func (m *Mem) Link(n frame.Name, size int64, path string) error {
	if err := m.admitSize(n, size); err != nil {
		return wrap("link", n.String(), err)
	}
	if err := m.link(n, size, path); err != nil {
		return wrap("link", n.String(), err)
	}
	m.own.add(n.Recipient, 1)
	m.pace.busy()
	return nil
}

func (m *Mem) link(n frame.Name, size int64, path string) error {
	if err := m.o.alone(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	if m.beside == nil {
		return ErrNoLink
	}
	f, ok := m.beside.stat(path)
	switch {
	case !ok:
		return fs.ErrNotExist
	case int64(len(f.data())) != size:
		return fmt.Errorf("%w: %s has %d bytes, want %d", ErrNoLink, path, len(f.data()), size)
	case !m.out.write(m.path(n), f.node, false):
		return ErrExists
	}
	return nil
}

// TakeOver moves a file of the inbox to a path beside the pipe; see Dir.TakeOver.
func (m *Mem) TakeOver(file File, c Content, to string) error {
	if err := m.takeOver(file, c, to); err != nil {
		return wrap("take over", file.Name.String(), err)
	}
	return nil
}

func (m *Mem) takeOver(file File, c Content, to string) error {
	if m.o.Keep || m.beside == nil {
		return ErrNoLink
	}
	if err := m.o.alone(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	read, ok := c.(memContent)
	if !ok {
		return ErrNoLink
	}
	m.scanMu.Lock()
	defer m.scanMu.Unlock()
	f, ok := m.in.stat(m.path(file.Name))
	switch {
	case !ok:
		return ErrGone
	case f.mark() != file.mark || f.node != read.node:
		return ErrChanged
	case !m.beside.write(to, f.node, false):
		return ErrExists
	}
	m.in.Remove(m.path(file.Name))
	m.track.removed(file)
	return nil
}
