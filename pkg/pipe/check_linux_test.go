package pipe_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

// plainUser runs do without root's power over files; as another user it runs it as it is.
func plainUser(do func() error) error {
	if os.Geteuid() != 0 {
		return do()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := errors.Join(unix.Setfsgid(65534), unix.Setfsuid(65534)); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// open lets others through the test's own folders.
func open(t *testing.T, o pipe.Options) {
	t.Helper()
	for dir := filepath.Dir(o.Outbox); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		folder func(o pipe.Options) string
		op     string
	}{
		"outbox": {func(o pipe.Options) string { return filepath.Dir(outboxFile(o, 1)) }, "rename a file in"},
		"inbox":  {func(o pipe.Options) string { return filepath.Dir(inboxFile(o, 1)) }, "create a file in"},
		"temp":   {func(o pipe.Options) string { return o.TempDir }, "create a file in"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			open(t, o)
			o.TempDir = filepath.Join(filepath.Dir(o.Outbox), "tmp")
			o.DirMode = 0o777
			d := openDir(t, o)
			must(t, plainUser(d.Check))
			bad := c.folder(o)
			must(t, os.Chmod(bad, 0o555))
			err := plainUser(d.Check)
			var fe *pipe.FolderError
			if !errors.As(err, &fe) || !errors.Is(err, fs.ErrPermission) || fe.Folder != bad || fe.Op != c.op {
				t.Fatalf("error %v", err)
			}
			for _, part := range []string{bad, "owned by", "group", "mode dr-xr-xr-x", "hoft runs as", "chgrp", "chmod 2770"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error lacks %q: %v", part, err)
				}
			}
		})
	}
}

// TestMakeNamesTheFolderAround: where a subfolder cannot be made, the folder around it is what wants mending.
func TestMakeNamesTheFolderAround(t *testing.T) {
	o := options(t)
	open(t, o)
	must(t, os.MkdirAll(o.Outbox, 0o777))
	must(t, os.MkdirAll(o.Inbox, 0o777))
	must(t, os.Chmod(o.Outbox, 0o555))
	err := plainUser(func() error {
		d, err := pipe.OpenDir(o)
		if err == nil {
			d.Close()
		}
		return err
	})
	var fe *pipe.FolderError
	if !errors.As(err, &fe) || !errors.Is(err, fs.ErrPermission) || fe.Op != "make" {
		t.Fatalf("error %v", err)
	}
	for _, part := range []string{"it is in " + o.Outbox + ", which is owned by", "mode dr-xr-xr-x", "chmod 2770 \"" + o.Outbox + "\""} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q: %v", part, err)
		}
	}
}

// TestUnreadableFile plays a mover that writes files only it may read: said with the mend, tried again later,
// and read once the mode is mended, though neither size nor time changed.
func TestUnreadableFile(t *testing.T) {
	o := options(t)
	open(t, o)
	o.DirMode = 0o777
	d := openDir(t, o)
	must(t, os.WriteFile(inboxFile(o, 1), []byte("x"), 0o600))
	must(t, os.Chmod(inboxFile(o, 1), 0))
	now := pipetest.T0
	var data []byte
	for round := range 3 {
		f := scan(t, d, now, 1)[0]
		err := plainUser(func() (err error) { data, err = d.Read(f); return err })
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "mover") {
			t.Fatalf("round %d: %v", round, err)
		}
		scan(t, d, now, 0)
		now = now.Add(time.Second)
	}
	must(t, os.Chmod(inboxFile(o, 1), 0o644))
	f := scan(t, d, now, 1)[0]
	must(t, plainUser(func() (err error) { data, err = d.Read(f); return err }))
	if string(data) != "x" {
		t.Fatalf("read %q", data)
	}
}

// TestRemovalFails plays an inbox from which hoft may not delete: the file causes no work but a new try at
// each settle time, and is removed once that works.
func TestRemovalFails(t *testing.T) {
	o := options(t)
	open(t, o)
	o.DirMode = 0o777
	d := openDir(t, o)
	must(t, os.WriteFile(inboxFile(o, 1), []byte("x"), 0o644))
	f := scan(t, d, pipetest.T0, 1)[0]
	must(t, os.Chmod(filepath.Dir(inboxFile(o, 1)), 0o555))
	if err := plainUser(func() error { return d.Remove(f) }); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("remove: %v", err)
	}
	scan(t, d, pipetest.T0.Add(time.Second), 0)
	if st := d.Stats(); st.Stuck != 1 || st.Waiting != 0 {
		t.Fatalf("stats %+v", st)
	}
	must(t, os.Chmod(filepath.Dir(inboxFile(o, 1)), 0o777))
	must(t, plainUser(func() error { _, err := d.Scan(pipetest.T0.Add(6 * time.Second)); return err }))
	if _, err := os.Lstat(inboxFile(o, 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("not removed")
	}
	if st := d.Stats(); st.Stuck != 0 || st.Tracked != 0 {
		t.Fatalf("stats %+v", st)
	}
}
