//go:build unix

package pipe_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

// TestHostileInbox fills the inbox with everything another tenant could put there under a peer's names.
func TestHostileInbox(t *testing.T) {
	o := options(t)
	d := openDir(t, o)
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(inboxFile(o, 1)), "inside"), []byte("inside"), 0o600))
	must(t, os.Symlink("inside", inboxFile(o, 1)))
	must(t, os.Symlink(outside, inboxFile(o, 2)))
	must(t, os.Symlink("nowhere", inboxFile(o, 3)))
	must(t, syscall.Mkfifo(inboxFile(o, 4), 0o666))
	must(t, os.Mkdir(inboxFile(o, 5), 0o755))
	must(t, os.WriteFile(filepath.Join(inboxFile(o, 5), "x"), nil, 0o600))
	sparse, err := os.Create(inboxFile(o, 6))
	must(t, err)
	must(t, sparse.Truncate(1<<40))
	must(t, sparse.Close())
	for i := range 10_000 {
		must(t, os.WriteFile(filepath.Join(filepath.Dir(inboxFile(o, 1)), fmt.Sprintf("noise-%d", i)), nil, 0o600))
	}
	must(t, os.WriteFile(inboxFile(o, 7), []byte("real"), 0o600))

	f := scan(t, d, pipetest.T0, 1)[0]
	if f.Name.Seq != 7 {
		t.Fatalf("found %v", f.Name)
	}
	want := map[pipe.Reason]int{pipe.SkipSymlink: 3, pipe.SkipFIFO: 1, pipe.SkipFolder: 1, pipe.SkipTooLarge: 1, pipe.SkipForeign: 10_001}
	if got := d.Stats().Skipped; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("skipped %v, want %v", got, want)
	}
	must(t, d.Remove(f))
	scan(t, d, pipetest.T0.Add(time.Hour), 0)
	if data, err := os.ReadFile(outside); string(data) != "secret" || err != nil {
		t.Fatalf("outside file: %q, %v", data, err)
	}
}

// TestExchangedAfterScan puts something else in the place of a file that was reported.
func TestExchangedAfterScan(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	for name, exchange := range map[string]func(path string) error{
		"link inside":  func(p string) error { return os.Symlink(filepath.Base(p)+".x", p) },
		"link outside": func(p string) error { return os.Symlink(outside, p) },
		"fifo":         func(p string) error { return syscall.Mkfifo(p, 0o666) },
		"folder":       func(p string) error { return os.Mkdir(p, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			d := openDir(t, o)
			path := inboxFile(o, 1)
			must(t, os.WriteFile(path, []byte("x"), 0o600))
			must(t, os.WriteFile(path+".x", []byte("x"), 0o600))
			f := scan(t, d, pipetest.T0, 1)[0]
			must(t, os.Remove(path))
			must(t, exchange(path))
			if data, err := d.Read(f); !errors.Is(err, pipe.ErrNotRegular) {
				t.Fatalf("read %q, %v", data, err)
			}
			if err := d.Remove(f); !errors.Is(err, pipe.ErrNotRegular) {
				t.Fatalf("remove: %v", err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Fatalf("what is not ours was removed: %v", err)
			}
			scan(t, d, pipetest.T0.Add(time.Hour), 0)
		})
	}
}

// TestRemovalFromAFolderThatIsAway has a handled file removed later, when the inbox can be reached again.
func TestRemovalFromAFolderThatIsAway(t *testing.T) {
	o := options(t)
	d := openDir(t, o)
	must(t, os.WriteFile(inboxFile(o, 1), []byte("x"), 0o600))
	scan(t, d, pipetest.T0, 1)
	f := scan(t, d, pipetest.T0.Add(time.Hour), 1)[0]
	sub := filepath.Dir(inboxFile(o, 1))
	must(t, os.Rename(sub, sub+".away"))
	must(t, os.WriteFile(sub, nil, 0o600)) // no folder, and not nothing either
	if err := d.Remove(f); err == nil {
		t.Fatal("removed from no folder")
	}
	must(t, os.Remove(sub))
	must(t, os.Rename(sub+".away", sub))
	scan(t, d, pipetest.T0.Add(2*time.Hour), 0)
	if _, err := os.Lstat(inboxFile(o, 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the handled file stays: %v", err)
	}
}

// TestLinkedSubfolder puts links in the place of the subfolders.
func TestLinkedSubfolder(t *testing.T) {
	o := options(t)
	d := openDir(t, o)
	elsewhere := filepath.Join(o.Inbox, "elsewhere")
	must(t, os.Mkdir(elsewhere, 0o755))
	for _, sub := range []string{filepath.Dir(inboxFile(o, 1)), filepath.Dir(outboxFile(o, 1))} {
		must(t, os.RemoveAll(sub))
		must(t, os.Symlink(elsewhere, sub))
	}
	must(t, os.WriteFile(filepath.Join(elsewhere, filepath.Base(inboxFile(o, 1))), []byte("x"), 0o600))
	if files, err := d.Scan(pipetest.T0); err == nil || len(files) != 0 {
		t.Fatalf("scan through a link: %v, %v", files, err)
	}
	if err := d.Put(t.Context(), pipetest.Name(pipetest.B, pipetest.A, 1), []byte("x")); err == nil {
		t.Fatal("put through a link")
	}
	own := filepath.Join(elsewhere, filepath.Base(outboxFile(o, 2)))
	must(t, os.WriteFile(own, []byte("x"), 0o600))
	if was, err := d.RemoveOwn(pipetest.Name(pipetest.B, pipetest.A, 2)); was || err == nil {
		t.Fatalf("remove through a link: %v, %v", was, err)
	}
	if paths := (folder{t, elsewhere}).Paths(); len(paths) != 2 {
		t.Fatalf("elsewhere holds %q", paths)
	}
}

// TestOwnNameTaken puts other things under own names in the outbox.
func TestOwnNameTaken(t *testing.T) {
	o := options(t)
	d := openDir(t, o)
	must(t, os.Mkdir(outboxFile(o, 1), 0o755))
	must(t, os.Symlink("nowhere", outboxFile(o, 2)))
	for seq := uint64(1); seq <= 2; seq++ {
		n := pipetest.Name(pipetest.B, pipetest.A, seq)
		if err := d.Put(t.Context(), n, []byte("x")); !errors.Is(err, pipe.ErrExists) {
			t.Fatalf("put %d: %v", seq, err)
		}
		if was, err := d.RemoveOwn(n); was || !errors.Is(err, pipe.ErrNotRegular) {
			t.Fatalf("remove %d: %v, %v", seq, was, err)
		}
	}
	if list, err := d.ListOwn(pipetest.A); len(list) != 0 || err != nil {
		t.Fatalf("own: %v, %v", list, err)
	}
}

func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	o := options(t)
	o.FileMode, o.DirMode = 0o644, fs.ModeSetgid|0o775
	must(t, os.Mkdir(o.Inbox, 0o700))
	must(t, os.Chmod(o.Inbox, 0o751)) // the operator's own choice
	theirs := filepath.Join(o.Inbox, pipetest.B.String())
	must(t, os.Mkdir(theirs, 0o700))
	must(t, os.Chmod(theirs, 0o711))
	d := openDir(t, o)
	must(t, d.Put(t.Context(), pipetest.Name(pipetest.B, pipetest.A, 1), []byte("x")))
	must(t, os.WriteFile(inboxFile(o, 1), []byte("x"), 0o600))
	must(t, d.Quarantine(scan(t, d, pipetest.T0, 1)[0], []byte("x"), "test"))
	for path, want := range map[string]fs.FileMode{
		outboxFile(o, 1):               0o644,
		filepath.Dir(outboxFile(o, 1)): fs.ModeDir | fs.ModeSetgid | 0o775,
		o.Outbox:                       fs.ModeDir | fs.ModeSetgid | 0o775,
		o.Inbox:                        fs.ModeDir | 0o751,
		theirs:                         fs.ModeDir | 0o711,
		o.QuarantineDir:                fs.ModeDir | 0o700,
	} {
		if fi, err := os.Stat(path); err != nil || fi.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, fi.Mode(), err, want)
		}
	}
	for _, path := range (folder{t, o.QuarantineDir}).Paths() {
		if fi, err := os.Stat(filepath.Join(o.QuarantineDir, path)); err != nil || fi.Mode() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, fi.Mode(), err)
		}
	}
}
