package pipe

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hoft/hoft/pkg/frame"
)

// A file whose folder cannot be synced is not published: it can be put again by its name.
func TestPutWithoutSync(t *testing.T) {
	d := openInner(t)
	d.o.Fsync = true
	n := nameTo(1, frame.ExtFrame)
	f, err := d.outbox[n.Recipient].get(true)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(f.self.Name(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) // by which files are renamed, and nothing is synced
	if err != nil {
		t.Fatal(err)
	}
	whole := f.self
	f.self = os.NewFile(uintptr(fd), whole.Name())
	if err := d.Put(t.Context(), n, []byte("x")); !errors.Is(err, syscall.EBADF) {
		t.Fatalf("put: %v", err)
	}
	if err := d.Check(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("check: %v", err)
	}
	if files, err := d.ListOwn(n.Recipient); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
	f.self.Close()
	f.self = whole
	if err := d.Put(t.Context(), n, []byte("x")); err != nil {
		t.Errorf("again: %v", err)
	}
}

// A file system without a sync of folders has nothing to sync there.
func TestFolderThatKnowsNoSync(t *testing.T) {
	dir, err := os.Open("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := dir.Sync(); !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("sync: %v", err)
	}
	if err := syncFolder(dir); err != nil {
		t.Error(err)
	}
}
