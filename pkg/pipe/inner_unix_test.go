//go:build unix

package pipe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestStickyProblem(t *testing.T) {
	dir := t.TempDir()
	owner := os.Geteuid()
	for _, c := range []struct {
		mode fs.FileMode
		euid int
		bad  bool
	}{
		{0o777, owner + 1, false}, {fs.ModeSticky | 0o777, owner, false}, {fs.ModeSticky | 0o777, 0, false}, {fs.ModeSticky | 0o777, owner + 1, true},
	} {
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := stickyProblem(fi, c.euid); (err != nil) != c.bad {
			t.Errorf("mode %v, user %d: %v", c.mode, c.euid, err)
		}
	}
}

// TestTakeOverWithoutRemoval: a file of the inbox whose name cannot be removed is not taken over, and leaves nothing.
func TestTakeOverWithoutRemoval(t *testing.T) {
	d := openInner(t)
	f, err := d.inbox.get(true)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeNew(f.root, "file", []byte("x")); err != nil {
		t.Fatal(err)
	}
	root, to := f.root, filepath.Join(t.TempDir(), "to")
	if f.root, err = os.OpenRoot(f.path); err != nil {
		t.Fatal(err)
	}
	f.root.Close() // names are given by the other descriptor
	if err := moveOut(f, "file", to); !errors.Is(err, ErrNoLink) {
		t.Errorf("%v, want ErrNoLink", err)
	}
	f.root = root
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was left: %v", err)
	}
	if err := moveOut(f, "file", to); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestFolderErrorMends(t *testing.T) {
	d := openInner(t)
	for cause, want := range map[error]string{
		syscall.EXDEV: "temp_dir", syscall.EACCES: "chgrp", syscall.ENOENT: "mount", errNotFolder: "real folder",
	} {
		err := d.folderError("rename a file in", d.outTop, &fs.PathError{Op: "renameat", Path: ".secret.part", Err: cause})
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), ".secret.part") {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if err := d.folderError("x", d.inTop, d.folderError("y", d.outTop, syscall.EIO)); strings.Count(err.Error(), "pipe:") != 1 {
		t.Errorf("told twice: %v", err)
	}
}
