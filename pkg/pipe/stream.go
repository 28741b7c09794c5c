package pipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/prealloc"
)

// Content is an open file of the inbox: read at any place, closed by who opened it. Others may change or cut the
// file meanwhile, so what is read is checked before it is used.
type Content interface {
	io.ReaderAt
	io.Closer
	// Size is the length in bytes when it was opened.
	Size() int64
}

// PutStream publishes a file of size bytes that fill writes, so that it need not fit into memory; otherwise as Put.
// Writing more or less than size bytes is an error, and then, or with an error of fill, nothing is published.
func (d *Dir) PutStream(ctx context.Context, n frame.Name, size int64, fill func(io.Writer) error) error {
	if err := d.admitSize(n, size); err != nil {
		return wrap("put", n.String(), err)
	}
	err := d.publish(ctx, n, size, func(f *os.File) error {
		prealloc.Range(f, 0, size)
		return fillFile(f, size, fill)
	})
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrExists) || errors.Is(err, ErrNoSpace) || errors.Is(err, errFill) || ctx.Err() != nil {
		return wrap("put", n.String(), err)
	}
	return d.folderError("write in", d.outbox[n.Recipient], err)
}

// errFill marks errors that are not the pipe's.
var errFill = errors.New("cannot get the content")

func fillFile(f *os.File, size int64, fill func(io.Writer) error) error {
	if err := fill(f); err != nil {
		return fmt.Errorf("%w: %w", errFill, err)
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() != size {
		return fmt.Errorf("%w: %d bytes were written, %d announced", errFill, fi.Size(), size)
	}
	return nil
}

// publish writes a temporary file by write and gives it its name.
func (d *Dir) publish(ctx context.Context, n frame.Name, size int64, write func(*os.File) error) (err error) {
	place := d.outbox[n.Recipient]
	// A mover may delete or exchange the folder between the look and the write: then once more.
	for try := 0; ; try++ {
		err = d.publishIn(ctx, place, n, size, write)
		if try == 0 && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrClosed)) && !errors.Is(err, errFill) {
			continue
		}
		break
	}
	if diskFull(err) {
		err = fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	if err == nil {
		d.own.add(n.Recipient, 1)
		d.pace.busy()
	}
	return err
}

func (d *Dir) publishIn(ctx context.Context, target *place, n frame.Name, size int64, write func(*os.File) error) error {
	dst, err := target.get(true)
	if err != nil {
		return err
	}
	src := dst
	if d.temp != nil {
		if src, err = d.temp.get(false); err != nil {
			return err
		}
	}
	if err := d.space.admit(dst, size); err != nil {
		return err
	}
	part := d.o.partName(n.Recipient, rand.Uint64())
	if err := d.writePart(ctx, src, part, write); err != nil {
		return err
	}
	base := d.o.base(n)
	if err := renameNew(src, part, dst, base); err != nil && !renamed(src, part, dst, base) {
		_ = src.root.Remove(part)
		return err
	}
	return d.syncName(dst, base)
}

// renamed says whether a rename that failed was made all the same: a network file system that lost the answer asks again, and
// is told that there is no such file. The name would look as if a copy of this site had used it.
func renamed(src *folder, part string, dst *folder, base string) bool {
	_, gone := src.root.Lstat(part)
	_, err := dst.lstatRegular(base)
	return errors.Is(gone, fs.ErrNotExist) && err == nil
}

// syncName has the name of a file that was just published survive a power cut, with Options.Fsync.
func (d *Dir) syncName(dst *folder, base string) error {
	if !d.o.Fsync {
		return nil
	}
	err := syncFolder(dst.self)
	if err != nil { // else nobody knew of the file, and a pack, which is written again by its name, could not be
		_ = dst.root.Remove(base)
	}
	return err
}

// Open opens a file of the inbox for reading piece by piece. Errors as of Read.
func (d *Dir) Open(file File) (Content, error) {
	c, err := d.open(file)
	if err == nil {
		return c, nil
	}
	d.Again(file)
	return nil, wrap("open", file.Name.String(), err)
}

func (d *Dir) open(file File) (Content, error) {
	open, size, err := d.openFound(file)
	if err != nil {
		return nil, err
	}
	if size > d.o.limit(file.Name.Ext) {
		open.Close()
		return nil, ErrTooLarge
	}
	return &fileContent{open, size}, nil
}

type fileContent struct {
	*os.File
	size int64
}

func (c *fileContent) Size() int64 { return c.size }

// PutStream publishes a file that fill writes; see Dir.PutStream.
func (m *Mem) PutStream(ctx context.Context, n frame.Name, size int64, fill func(io.Writer) error) error {
	if err := m.admitSize(n, size); err != nil {
		return wrap("put", n.String(), err)
	}
	var b bytes.Buffer
	if err := fill(&b); err != nil {
		return wrap("put", n.String(), fmt.Errorf("%w: %w", errFill, err))
	}
	if int64(b.Len()) != size {
		return wrap("put", n.String(), fmt.Errorf("%w: %d bytes were written, %d announced", errFill, b.Len(), size))
	}
	return m.Put(ctx, n, b.Bytes())
}

// Open opens a file of the inbox; see Dir.Open.
func (m *Mem) Open(file File) (Content, error) {
	data, err := m.Read(file)
	if err != nil {
		return nil, err
	}
	c := memContent{Reader: bytes.NewReader(data)}
	if f, ok := m.in.stat(m.path(file.Name)); ok && bytes.Equal(f.data(), data) { // else it was exchanged just now
		c.node = f.node
	}
	return c, nil
}

type memContent struct {
	*bytes.Reader
	node *memNode // that was read; nil: nobody knows
}

func (memContent) Close() error  { return nil }
func (c memContent) Size() int64 { return c.Reader.Size() }
