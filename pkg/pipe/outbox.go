package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// Put publishes a file whose content is the chunks one after the other: written under a temporary name that
// only this user can read, given its mode, renamed. It never overwrites: ErrExists says that the name is
// taken. ErrNoSpace says that the outbox is too full. When Put fails or ctx ends nothing is published.
func (d *Dir) Put(ctx context.Context, n frame.Name, chunks ...[]byte) error {
	size, err := d.admit(n, chunks)
	if err != nil {
		return wrap("put", n.String(), err)
	}
	err = d.publish(ctx, n, size, func(f *os.File) error {
		for _, c := range chunks {
			if err := writeChunk(ctx, f, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrExists) || errors.Is(err, ErrNoSpace) || ctx.Err() != nil {
		return wrap("put", n.String(), err)
	}
	return d.folderError("write in", d.outbox[n.Recipient], err)
}

// writePart writes a temporary file; after an error nothing is left of it.
func (d *Dir) writePart(ctx context.Context, in *folder, part string, write func(*os.File) error) (err error) {
	f, err := in.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = in.root.Remove(part)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := setFileMode(f, d.o.FileMode); err != nil {
		return err
	}
	if d.o.Fsync {
		return f.Sync()
	}
	return nil
}

// writeChunk writes in pieces, so that the end of ctx is noticed within a long one.
func writeChunk(ctx context.Context, f *os.File, c []byte) error {
	const piece = 4 << 20
	for len(c) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Write(c[:min(len(c), piece)])
		if err != nil {
			return err
		}
		c = c[n:]
	}
	return ctx.Err()
}

// RemoveOwn takes an own file out of the outbox. It says whether the file was still there; that it is not,
// because the mover took it, is no error.
func (d *Dir) RemoveOwn(n frame.Name) (bool, error) {
	if !d.mine(n) {
		return false, wrap("remove", n.String(), ErrForeign)
	}
	place := d.outbox[n.Recipient]
	f, err := place.get(false)
	if errors.Is(err, fs.ErrNotExist) && place.parent != nil {
		return false, nil
	}
	if err != nil {
		return false, d.folderError("open", place, err)
	}
	base := d.o.base(n)
	if _, err = f.lstatRegular(base); err == nil {
		err = f.root.Remove(base)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrGone) {
		return false, nil
	}
	if err != nil {
		return false, wrap("remove", n.String(), err)
	}
	d.own.add(n.Recipient, -1)
	return true, nil
}

// ListOwn gives the own files for peer that are still in the outbox, in no order.
func (d *Dir) ListOwn(peer identity.ID) ([]Entry, error) {
	place := d.outbox[peer]
	if place == nil {
		return nil, wrap("list files for", peer.String(), ErrForeign)
	}
	f, err := place.get(false)
	if errors.Is(err, fs.ErrNotExist) && place.parent != nil {
		d.own.set(peer, 0)
		return nil, nil
	}
	if err != nil {
		return nil, d.folderError("open", place, err)
	}
	var list []Entry
	if _, err := f.list(func(base string) bool {
		n, ok := d.o.parse(base)
		if !ok || n.Recipient != peer || !d.mine(n) {
			return true
		}
		if fi, err := f.lstatRegular(base); err == nil {
			list = append(list, Entry{Name: n, Size: fi.Size(), ModTime: fi.ModTime()})
		}
		return true
	}); err != nil {
		return nil, d.folderError("list", place, err)
	}
	d.own.set(peer, len(list))
	return list, nil
}
