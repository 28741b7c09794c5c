package pipe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// folder is one directory held open. Every name used in it is a single component, so nothing in the share can
// lead out of it.
type folder struct {
	path string // for messages and the folder watch only
	root *os.Root
	self *os.File // the directory itself: for renames, sync and free space
	info fs.FileInfo

	plainRename atomic.Bool // the file system knows no rename that refuses to overwrite
}

func (f *folder) close() {
	f.root.Close()
	f.self.Close()
}

// openFolder takes over root.
func openFolder(path string, root *os.Root) (*folder, error) {
	self, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	info, err := self.Stat()
	if err != nil {
		self.Close()
		root.Close()
		return nil, err
	}
	return &folder{path: path, root: root, self: self, info: info}, nil
}

// list streams the names of the folder to each until it returns false; whole says that it never did.
func (f *folder) list(each func(name string) bool) (whole bool, err error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return false, err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			if !each(name) {
				return false, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// lstatRegular describes a regular file without following a link.
func (f *folder) lstatRegular(name string) (fs.FileInfo, error) {
	fi, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrGone
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, ErrNotRegular
	}
	return fi, nil
}

// openRegular opens a regular file for reading and tells its size in bytes. A name may be exchanged for a FIFO
// or a link after the look: opening must not block, and what was opened must be what was looked at.
func (f *folder) openRegular(name string) (*os.File, int64, error) {
	seen, err := f.lstatRegular(name)
	if err != nil {
		return nil, 0, err
	}
	open, err := f.root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, ErrGone
	}
	if err != nil {
		return nil, 0, readError(seen, err)
	}
	fi, err := open.Stat()
	switch {
	case err != nil:
	case !fi.Mode().IsRegular():
		err = ErrNotRegular
	case !os.SameFile(seen, fi):
		err = ErrChanged
	}
	if err != nil {
		open.Close()
		return nil, 0, err
	}
	return open, fi.Size(), nil
}

// place is where a folder is expected: a path the operator configured, or a subfolder of another place. The
// folder there may be deleted and made again by a mover at any time, so get looks before each use.
type place struct {
	path   string
	parent *place // nil: path is configured, links in it are the operator's own
	name   string // below parent: one component, never a link
	mode   fs.FileMode

	mu  sync.Mutex
	cur *folder
}

func (p *place) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cur != nil {
		p.cur.close()
		p.cur = nil
	}
}

// get opens the folder, or gives the one already open when it is still the one at that place.
// With create a missing subfolder is made.
func (p *place) get(create bool) (*folder, error) {
	var up *folder
	if p.parent != nil {
		var err error
		if up, err = p.parent.get(false); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fi, err := p.look(up)
	made := false
	if errors.Is(err, fs.ErrNotExist) && create && up != nil {
		err = up.root.Mkdir(p.name, 0o700)
		made = err == nil
		if made || errors.Is(err, fs.ErrExist) {
			fi, err = p.look(up)
		}
	}
	if err != nil {
		return nil, err
	}
	if p.cur != nil && os.SameFile(p.cur.info, fi) {
		return p.cur, nil
	}
	next, err := p.open(up)
	if err != nil {
		return nil, err
	}
	if up != nil && !os.SameFile(next.info, fi) {
		next.close()
		return nil, fmt.Errorf("folder %s was exchanged while it was opened", p.path)
	}
	if made {
		if err := setMode(next.self, next.info, p.mode); err != nil {
			next.close()
			return nil, err
		}
	}
	if p.cur != nil {
		p.cur.close()
	}
	p.cur = next
	return next, nil
}

func (p *place) look(up *folder) (fs.FileInfo, error) {
	var fi fs.FileInfo
	var err error
	if up == nil {
		fi, err = os.Stat(p.path)
	} else {
		fi, err = up.root.Lstat(p.name)
	}
	if err == nil && !fi.IsDir() {
		err = &fs.PathError{Op: "open", Path: p.path, Err: errNotFolder}
	}
	return fi, err
}

var errNotFolder = errors.New("not a folder (links to folders are not followed in the share)")

func (p *place) open(up *folder) (*folder, error) {
	var root *os.Root
	var err error
	if up == nil {
		root, err = os.OpenRoot(p.path)
	} else {
		root, err = up.root.OpenRoot(p.name)
	}
	if err != nil {
		return nil, err
	}
	return openFolder(p.path, root)
}

// makeTop makes a configured folder, but not the folders above it: a missing one is more likely a share that
// is not mounted than a wish.
func makeTop(path string, mode fs.FileMode) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	fi, err := dir.Stat()
	if err != nil {
		return err
	}
	return setMode(dir, fi, mode)
}

func (p *place) sub(name string) *place {
	return &place{path: filepath.Join(p.path, name), parent: p, name: name, mode: p.mode}
}
