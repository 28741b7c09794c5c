package pipe

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// FolderError says what failed on which folder, whose it is, who hoft runs as, and what mends it.
type FolderError struct {
	Op     string // what was tried, in words
	Folder string
	State  string // owner, group and mode of the folder, as far as they can be told
	Runner string // user and groups that this process runs as
	Mend   string
	Err    error
}

// Error gives all of it in one line.
func (e *FolderError) Error() string {
	s := fmt.Sprintf("pipe: cannot %s folder %s: %v", e.Op, e.Folder, e.Err)
	if e.State != "" {
		s += "; it is " + e.State
	}
	if e.Runner != "" {
		s += "; hoft runs as " + e.Runner
	}
	if e.Mend != "" {
		s += "; " + e.Mend
	}
	return s
}

// Unwrap gives the cause.
func (e *FolderError) Unwrap() error { return e.Err }

func (d *Dir) folderError(op string, p *place, err error) error {
	var known *FolderError
	if errors.As(err, &known) {
		return err
	}
	cause := err
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		cause = pe.Err // the path is named already, and a temporary name says nothing to anybody
	}
	e := &FolderError{Op: op, Folder: p.path, Runner: runner(), Err: cause}
	blame := p.path // the folder whose owner and mode decide
	fi, statErr := os.Stat(blame)
	if errors.Is(statErr, fs.ErrNotExist) && errors.Is(err, fs.ErrPermission) {
		blame = filepath.Dir(blame)
		fi, statErr = os.Stat(blame)
	}
	if statErr == nil {
		e.State = ownership(fi)
	}
	if blame != p.path && statErr == nil {
		e.State = "in " + blame + ", which is " + e.State
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Mend = "make the folder, or mount the share that holds it"
	case errors.Is(err, fs.ErrPermission):
		e.Mend = permissionMend(blame)
	case errors.Is(err, errNotFolder):
		e.Mend = "put a real folder there"
	case errors.Is(err, syscall.EXDEV):
		e.Mend = "set pipe.temp_dir to a folder on the same file system as pipe.outbox, or leave it out"
	}
	return e
}

// Check tries what hoft will do: create, rename, read and delete a file in each own folder (with Options.Keep
// only listing the inbox), including a rename out of TempDir, and with Options.Fsync a sync of the outbox. The probe has a temporary name, which movers
// should pass over. The error is a *FolderError.
func (d *Dir) Check() error {
	for id, p := range d.outbox {
		if err := d.probe(p, id, true); err != nil {
			return err
		}
	}
	f, err := d.inbox.get(false)
	if errors.Is(err, fs.ErrNotExist) && d.inbox.parent != nil {
		if _, err = d.inTop.get(false); err == nil {
			return nil // the mover makes the own subfolder with the first file
		}
	}
	if err != nil {
		return d.folderError("open", d.inbox, err)
	}
	if _, err := f.list(func(string) bool { return false }); err != nil {
		return d.folderError("list", d.inbox, err)
	}
	if d.o.Keep {
		return nil
	}
	if err := stickyProblem(f.info, os.Geteuid()); err != nil {
		return &FolderError{Op: "remove the peers' files in", Folder: d.inbox.path, State: ownership(f.info), Runner: runner(), Err: err,
			Mend: "clear the sticky bit (chmod -t), or set pipe.consume: keep"}
	}
	return d.probe(d.inbox, d.o.Self, false)
}

// probe goes through the life of a file in p.
func (d *Dir) probe(p *place, recipient [16]byte, viaTemp bool) error {
	dst, err := p.get(true)
	if err != nil {
		return d.folderError("open", p, err)
	}
	from, src := p, dst
	if viaTemp && d.temp != nil {
		from = d.temp
		if src, err = d.temp.get(false); err != nil {
			return d.folderError("open", from, err)
		}
	}
	first, second := d.o.partName(recipient, rand.Uint64()), d.o.partName(recipient, rand.Uint64())
	if err := writeNew(src.root, first, []byte("hoft looks whether it can write here\n")); err != nil {
		return d.folderError("create a file in", from, err)
	}
	if err := renameNew(src, first, dst, second); err != nil {
		_ = src.root.Remove(first)
		return d.folderError("rename a file in", p, err)
	}
	var syncErr error
	if viaTemp && d.o.Fsync {
		syncErr = syncFolder(dst.self)
	}
	_, readErr := dst.root.ReadFile(second)
	if err := dst.root.Remove(second); err != nil {
		return d.folderError("delete a file in", p, err)
	}
	if readErr != nil {
		return d.folderError("read a file in", p, readErr)
	}
	if syncErr != nil {
		return d.folderError("sync", p, syncErr)
	}
	return nil
}

// readError adds whose file it is when the mover left it unreadable.
func readError(fi fs.FileInfo, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w; the file is %s; hoft runs as %s; let the mover write files that this user's group may read", fs.ErrPermission, ownership(fi), runner())
}
