package chunk

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// disk is the folder that a Store keeps its files in; tests have one that loses power.
type disk interface {
	// list gives the numbers of the files and their lengths; other files are not the store's.
	list() (map[int64]int64, error)
	// open opens a file for reading; create makes an empty one, and reopen an existing one, for both.
	open(id int64) (diskFile, error)
	create(id int64) (diskFile, error)
	reopen(id int64) (diskFile, error)
	remove(id int64) error
	// sync makes the names of files durable.
	sync() error
	// space is the size of the file system in bytes, and what of it this user may still take; zero if unknown.
	space() (total, free int64)
}

// diskFile is one file of a disk. Safe for concurrent use.
type diskFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// osDisk is a folder of the file system. Its files are of this user alone.
type osDisk struct{ dir string }

const fileExt = ".chunks"

// openDisk makes the folder if needed.
func openDisk(dir string) (*osDisk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &osDisk{dir}, os.Chmod(dir, 0o700)
}

func (d *osDisk) path(id int64) string {
	return filepath.Join(d.dir, fmt.Sprintf("%016x%s", id, fileExt))
}

func (d *osDisk) list() (map[int64]int64, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	out := map[int64]int64{}
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), fileExt)
		id, err := strconv.ParseInt(text, 16, 64)
		if !ok || err != nil || len(text) != 16 {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			out[id] = info.Size()
		}
	}
	return out, nil
}

func (d *osDisk) open(id int64) (diskFile, error) { return asFile(os.Open(d.path(id))) }

func (d *osDisk) create(id int64) (diskFile, error) {
	return asFile(os.OpenFile(d.path(id), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600))
}

func (d *osDisk) reopen(id int64) (diskFile, error) {
	return asFile(os.OpenFile(d.path(id), os.O_RDWR, 0))
}

// asFile keeps a nil file from becoming a diskFile that is not nil.
func asFile(f *os.File, err error) (diskFile, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *osDisk) remove(id int64) error { return os.Remove(d.path(id)) }

func (d *osDisk) sync() error { return syncFolder(d.dir) }

func (d *osDisk) space() (total, free int64) { return diskSpace(d.dir) }
