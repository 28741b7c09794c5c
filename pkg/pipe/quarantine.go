package pipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// quarantine is a folder outside the share where files are kept that nobody could make sense of. Names begin
// with the time, so the oldest sort first.
type quarantine struct {
	dir      string // "": keep no copies
	maxFiles int
	maxBytes int64

	mu sync.Mutex
	n  uint32
}

// add stores data, cut to a quarter of the room, under a name that tells when, why and what.
func (q *quarantine) add(now time.Time, base string, data []byte, reason string) error {
	if q.dir == "" {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := os.MkdirAll(q.dir, 0o700); err != nil {
		return fmt.Errorf("make folder %s: %w", q.dir, err)
	}
	root, err := os.OpenRoot(q.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if limit := q.maxBytes / 4; int64(len(data)) > limit {
		data = data[:limit]
	}
	if err := q.makeRoom(root, int64(len(data))); err != nil {
		return err
	}
	q.n++
	name := fmt.Sprintf("%s-%04d--%s--%s", now.UTC().Format("20060102T150405.000"), q.n%10000, slug(reason), base)
	if err := writeNew(root, name, data); err != nil {
		return fmt.Errorf("write in %s: %w", q.dir, err)
	}
	return nil
}

// makeRoom removes the oldest files until one more of size bytes fits.
func (q *quarantine) makeRoom(root *os.Root, size int64) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	list, err := dir.ReadDir(-1)
	dir.Close()
	if err != nil {
		return fmt.Errorf("list %s: %w", q.dir, err)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	files, sizes, bytes := list[:0], []int64{}, int64(0)
	for _, e := range list {
		fi, err := root.Lstat(e.Name())
		if err != nil || !fi.Mode().IsRegular() {
			continue
		}
		files, sizes, bytes = append(files, e), append(sizes, fi.Size()), bytes+fi.Size()
	}
	for i := 0; i < len(files) && (len(files)-i >= q.maxFiles || bytes+size > q.maxBytes); i++ {
		if err := root.Remove(files[i].Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make room in %s: %w", filepath.Clean(q.dir), err)
		}
		bytes -= sizes[i]
	}
	return nil
}

func writeNew(root *os.Root, name string, data []byte) (err error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = root.Remove(name)
	}
	return err
}

// slug makes a reason safe for a file name.
func slug(reason string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, reason)
	return strings.Trim(s[:min(len(s), 40)], "-")
}
