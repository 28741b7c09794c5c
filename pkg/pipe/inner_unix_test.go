//go:build unix

package pipe

import (
	"io/fs"
	"os"
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
