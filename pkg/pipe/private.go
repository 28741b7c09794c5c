package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/planted"
)

// ErrNoLink says that a file cannot enter or leave the pipe without a copy: it is on another file system, or not this
// user's, or the file system knows no clones. Copy it.
var ErrNoLink = errors.New("cannot be linked, moved or cloned: copy it")

// writable are the bits of a mode by which others could write.
const writable = 0o022

// Shares says whether a file of size bytes may enter the outbox by Link, and leave the inbox by TakeOver, as far as is known;
// false: asking is in vain.
func (d *Dir) Shares(size int64) (out, in bool) {
	large := size >= cloneLeast
	return d.o.alone() == nil || large && d.clones.out.Load(), d.o.alone() == nil && !d.o.Keep || large && d.clones.in.Load()
}

// Link publishes a file of size bytes that lies at path without a copy: with Options.Private by a further name for it, and then
// neither may be written to from now on; else as a clone, where TryClone found that the file system has them. Errors as of
// Put, and ErrNoLink.
func (d *Dir) Link(ctx context.Context, n frame.Name, size int64, path string) error {
	err := d.admitSize(n, size)
	if err == nil {
		err = d.link(n, size, path)
	}
	if errors.Is(err, ErrNoLink) {
		err = d.cloneInto(ctx, n, size, path)
	}
	if err != nil {
		return wrap("link", n.String(), err)
	}
	return nil
}

func (d *Dir) link(n frame.Name, size int64, path string) error {
	if err := d.o.alone(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	dst, err := d.outbox[n.Recipient].get(true)
	if err != nil {
		return err
	}
	if err := d.private(dst); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	fi, err := src.Stat()
	if err != nil {
		return err
	}
	if fi.Size() != size || !fi.Mode().IsRegular() {
		return fmt.Errorf("%w: %s has %d bytes, want %d", ErrNoLink, path, fi.Size(), size)
	}
	if err := setFileMode(src, d.o.FileMode); err != nil {
		return err
	}
	if err := linkNew(path, dst, d.o.base(n)); err != nil {
		return err
	}
	if err := d.syncName(dst, d.o.base(n)); err != nil {
		return err
	}
	d.own.add(n.Recipient, 1)
	d.pace.busy()
	return nil
}

// TakeOver takes a file of the inbox to a path outside the pipe, where nothing may be yet, without a copy: with
// Options.Private it moves it, else it makes a clone of it and leaves it to Remove. c is what Open gave of the file. whole
// looks at what is taken, before it has moved or after it was cloned: with an error of whole, which is given back, nothing lies
// at the path. ErrNoLink: nothing has happened, it is to be copied; ErrGone and ErrChanged as of Remove.
func (d *Dir) TakeOver(file File, c Content, to string, whole func(io.ReaderAt) error) error {
	open, ok := c.(*fileContent)
	if !ok {
		return wrap("take over", file.Name.String(), ErrNoLink)
	}
	err := d.takeOver(file, open, to, whole)
	if errors.Is(err, ErrNoLink) {
		err = d.cloneOut(open, to, whole)
	}
	if err != nil {
		return wrap("take over", file.Name.String(), err)
	}
	return nil
}

func (d *Dir) takeOver(file File, open *fileContent, to string, whole func(io.ReaderAt) error) error {
	if err := d.o.alone(); err != nil || d.o.Keep {
		return errors.Join(ErrNoLink, err)
	}
	if err := whole(open); err != nil {
		return err
	}
	d.scanMu.Lock()
	defer d.scanMu.Unlock()
	f, err := d.inbox.get(false)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrGone
	}
	if err != nil {
		return err
	}
	if err := d.private(f); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	base := d.o.base(file.Name)
	fi, err := f.lstatRegular(base)
	if err != nil {
		return err
	}
	read, err := open.Stat()
	if err != nil {
		return err
	}
	if markOf(fi) != file.mark || !os.SameFile(fi, read) {
		return ErrChanged
	}
	if !ownedHere(fi) || fi.Mode()&writable != 0 {
		return fmt.Errorf("%w: others may write to it", ErrNoLink)
	}
	if err := moveOut(f, base, to); err != nil {
		return err
	}
	d.track.removed(file)
	return nil
}

// checkPrivate refuses Options.Private where others reach the folders.
func (d *Dir) checkPrivate() error {
	for _, p := range d.folders() {
		f, err := p.get(false)
		if errors.Is(err, fs.ErrNotExist) {
			continue // made by the mover later, and looked at then
		}
		if err == nil {
			err = d.private(f)
		}
		if err != nil {
			e := d.folderError("keep to itself", p, err).(*FolderError)
			e.Mend = "with pipe.private the folder must be hoft's user's own, on a local disk, and nobody else may write in it (chmod go-w); or set pipe.private: false"
			return e
		}
	}
	return nil
}

// folders are all places where files of the pipe lie.
func (d *Dir) folders() []*place {
	all := []*place{d.outTop, d.inTop, d.inbox}
	for _, p := range d.outbox {
		all = append(all, p)
	}
	return all
}

// alone says why others may write in the folders, as far as the configuration tells; nil: it says that nobody does.
func (o *Options) alone() error {
	if !o.Private && planted.Bug != planted.LinkedPack {
		return errors.New("pipe.private is not set")
	}
	return nil
}

// private says why a folder is not this user's alone to write in; nil: it is. Looked at each time, for a folder may be
// exchanged or opened to others at any time.
func (d *Dir) private(f *folder) error {
	if err := d.o.alone(); err != nil {
		return err
	}
	fi, err := f.self.Stat()
	if err != nil {
		return err
	}
	if !ownedHere(fi) {
		return errors.New("it belongs to another user")
	}
	if fi.Mode()&writable != 0 {
		return errors.New("others may write in it")
	}
	return localDisk(f.self)
}
