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
	"sync/atomic"
	"syscall"

	"github.com/hoft/hoft/pkg/frame"
)

// CloneFile has dst, an open empty file, share the blocks of src, which has just size bytes: nothing is copied, and whoever
// writes to one of them later gets blocks of its own, so that the other stays as it was. It takes src as it is at one
// moment, whatever others do to it meanwhile. After an error dst may hold anything. Tests put another function here before a
// pipe is opened, for most file systems cannot do this.
var CloneFile = cloneFile

// cloneLeast is the size in bytes from which on files are cloned: less is copied as fast, and the store would have a file
// for each.
const cloneLeast = 1 << 20

// cloner is what a pipe knows of clones.
type cloner struct {
	clone   func(dst, src *os.File, size int64) error
	out, in atomic.Bool   // files can be cloned into the outbox, and out of the inbox, as far as is known
	count   atomic.Uint64 // since the start
}

// TryClone tries whether files can be cloned into the outbox, and gives the reason if not; from then on Link does so where
// they can. At path, which is where files of Link lie, there must be none: one is made there and removed. Whether files of the
// inbox can be cloned the first one tells (TakeOver). Call it before the pipe is used.
func (d *Dir) TryClone(path string) error {
	err := d.tryClone(path)
	d.clones.out.Store(err == nil)
	d.clones.in.Store(true)
	return err
}

func (d *Dir) tryClone(path string) (err error) {
	if len(d.o.Peers) == 0 {
		return errors.New("there are no peers")
	}
	src, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close(), os.Remove(path)) }()
	data := bytes.Repeat([]byte("hoft looks whether it can clone\n"), 4<<10)
	if _, err := src.Write(data); err != nil {
		return err
	}
	peer := d.o.Peers[0]
	in := d.outbox[peer]
	if d.temp != nil {
		in = d.temp
	}
	f, err := in.get(true)
	if err != nil {
		return err
	}
	part := d.o.partName(peer, rand.Uint64())
	dst, err := f.root.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close(), f.root.Remove(part)) }()
	if err := d.clones.clone(dst, src, int64(len(data))); err != nil {
		return err
	}
	if got, err := io.ReadAll(dst); err != nil || !bytes.Equal(got, data) {
		return errors.Join(errors.New("a clone is not what was cloned"), err)
	}
	return nil
}

// never says that an error of CloneFile is one that the next file would meet too.
func never(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.ENOTTY)
}

// cloneInto is Link by a clone: a file of its own in the pipe, so that nothing done to it there reaches the one at path.
func (d *Dir) cloneInto(ctx context.Context, n frame.Name, size int64, path string) error {
	if size < cloneLeast || !d.clones.out.Load() {
		return ErrNoLink
	}
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	// It takes no room yet, so none is asked for.
	err = d.publish(ctx, n, 0, func(dst *os.File) error {
		err := d.clones.clone(dst, src, size)
		if never(err) {
			d.clones.out.Store(false)
		}
		return err
	})
	if errors.Is(err, ErrExists) {
		return err
	}
	if err != nil { // whatever it is, a copy succeeds or tells it
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	cool(src)
	d.clones.count.Add(1)
	return nil
}

// cloneOut is TakeOver by a clone: a file of this user alone, of which no other has any name. Others may write to the file of
// the pipe before the clone and after it, so the clone is what is looked at.
func (d *Dir) cloneOut(c *fileContent, to string, whole func(io.ReaderAt) error) (err error) {
	if c.size < cloneLeast || !d.clones.in.Load() {
		return ErrNoLink
	}
	dst, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	defer func() {
		err = errors.Join(err, dst.Close())
		if err != nil {
			_ = os.Remove(to)
		}
	}()
	if err := d.clones.clone(dst, c.File, c.size); err != nil {
		if never(err) {
			d.clones.in.Store(false)
		}
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	if fi, err := dst.Stat(); err != nil || fi.Size() != c.size {
		return errors.Join(ErrNoLink, err)
	}
	if err := whole(dst); err != nil {
		return err
	}
	d.clones.count.Add(1)
	return nil
}
