package pipe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/hoft/hoft/pkg/frame"
)

// Beside gives the folder in which the paths of Link and TakeOver lie; before either is used.
func (m *Mem) Beside(f *MemFolder) { m.beside = f }

// Clones has files of any size enter and leave the pipe as clones where they are not linked and moved; before the pipe is used.
func (m *Mem) Clones() { m.clones = true }

// Shares says whether files may enter by Link and leave by TakeOver; see Dir.Shares.
func (m *Mem) Shares(int64) (out, in bool) {
	private := m.o.alone() == nil
	return private || m.clones, private && !m.o.Keep || m.clones
}

// Link publishes a file that lies beside the pipe, by a further name for it, or as a clone; see Dir.Link.
func (m *Mem) Link(_ context.Context, n frame.Name, size int64, path string) error {
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
	private := m.o.alone()
	if m.beside == nil || private != nil && !m.clones {
		return fmt.Errorf("%w: %w", ErrNoLink, private)
	}
	f, ok := m.beside.stat(path)
	if !ok {
		return fs.ErrNotExist
	}
	node := f.node
	if private != nil {
		node = newMemNode(f.data())
	}
	switch {
	case int64(len(f.data())) != size:
		return fmt.Errorf("%w: %s has %d bytes, want %d", ErrNoLink, path, len(f.data()), size)
	case !m.out.write(m.path(n), node, false):
		return ErrExists
	}
	return nil
}

// TakeOver takes a file of the inbox to a path beside the pipe; see Dir.TakeOver.
func (m *Mem) TakeOver(file File, c Content, to string, whole func(io.ReaderAt) error) error {
	read, ok := c.(memContent)
	err := ErrNoLink
	switch {
	case !ok || m.beside == nil:
	case m.o.alone() == nil && !m.o.Keep:
		if err = whole(read); err == nil {
			err = m.moveOut(file, read, to)
		}
	case m.clones && read.node != nil:
		err = m.cloneOut(read, to, whole)
	}
	if err != nil {
		return wrap("take over", file.Name.String(), err)
	}
	return nil
}

func (m *Mem) cloneOut(read memContent, to string, whole func(io.ReaderAt) error) error {
	data := *read.node.content.Load() // as it is by now
	if int64(len(data)) != read.Size() {
		return ErrNoLink
	}
	if err := whole(bytes.NewReader(data)); err != nil {
		return err
	}
	if !m.beside.write(to, newMemNode(data), false) {
		return ErrExists
	}
	return nil
}

func (m *Mem) moveOut(file File, read memContent, to string) error {
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
