//go:build unix

package pipe_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

func privateOptions(t *testing.T) pipe.Options {
	o := options(t)
	o.Private = true
	return o
}

// TestPrivateIsRefusedWhereOthersWrite opens a pipe on folders that others may write in.
func TestPrivateIsRefusedWhereOthersWrite(t *testing.T) {
	for _, mode := range []os.FileMode{0o770, 0o707, 0o777} {
		for _, which := range []string{"outbox", "inbox", "subfolder"} {
			o := privateOptions(t)
			openDir(t, o)
			folder := map[string]string{"outbox": o.Outbox, "inbox": o.Inbox, "subfolder": filepath.Dir(outboxFile(o, 1))}[which]
			must(t, os.Chmod(folder, mode))
			_, err := pipe.OpenDir(o)
			if e := (*pipe.FolderError)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), "pipe.private") {
				t.Errorf("%s with mode %o: %v", which, mode, err)
			}
		}
	}
}

// TestLink publishes a file by a further name, and only in a folder that nobody else writes in.
func TestLink(t *testing.T) {
	o := privateOptions(t)
	d := openDir(t, o)
	src := filepath.Join(t.TempDir(), "pack")
	must(t, os.WriteFile(src, []byte("records"), 0o600))
	name := pipetest.PackName(pipetest.B, pipetest.A, 1)
	must(t, d.Link(t.Context(), name, 7, src))
	own, err := d.ListOwn(pipetest.A)
	must(t, err)
	if len(own) != 1 || own[0].Name != name || own[0].Size != 7 {
		t.Fatalf("own files %v", own)
	}
	published := filepath.Join(o.Outbox, filepath.FromSlash(pipetest.Path(name)))
	a, err := os.Stat(src)
	must(t, err)
	b, err := os.Stat(published)
	must(t, err)
	if !os.SameFile(a, b) || b.Mode().Perm() != 0o640 {
		t.Errorf("not the same file, or its mode is %v", b.Mode())
	}
	if err := d.Link(t.Context(), name, 7, src); !errors.Is(err, pipe.ErrExists) {
		t.Errorf("the name again: %v", err)
	}
	if err := d.Link(t.Context(), pipetest.PackName(pipetest.B, pipetest.A, 2), 8, src); !errors.Is(err, pipe.ErrNoLink) {
		t.Errorf("another length: %v", err)
	}
	if err := d.Link(t.Context(), pipetest.PackName(pipetest.A, pipetest.B, 3), 7, src); !errors.Is(err, pipe.ErrForeign) {
		t.Errorf("a peer's name: %v", err)
	}
	must(t, os.Chmod(filepath.Dir(published), 0o770))
	if err := d.Link(t.Context(), pipetest.PackName(pipetest.B, pipetest.A, 4), 7, src); !errors.Is(err, pipe.ErrNoLink) {
		t.Errorf("a folder that was opened to others: %v", err)
	}
	there, err := d.RemoveOwn(name)
	if err != nil || !there {
		t.Errorf("removing: %v, %v", there, err)
	}
	if data, err := os.ReadFile(src); err != nil || string(data) != "records" {
		t.Errorf("the source: %q, %v", data, err)
	}
	shared := openDir(t, options(t))
	if err := shared.Link(t.Context(), name, 7, src); !errors.Is(err, pipe.ErrNoLink) {
		t.Errorf("without pipe.private: %v", err)
	}
}

// TestTakeOver moves a file out of the inbox, if it is the one that was read and nobody else can write to it.
func TestTakeOver(t *testing.T) {
	for name, c := range map[string]struct {
		before func(path string) error // the file is read
		after  func(path string) error // it was read
		want   error
	}{
		"ours": {},
		"others may write to it": {
			before: func(p string) error { return os.Chmod(p, 0o666) }, want: pipe.ErrNoLink},
		"the folder was opened to others": {
			after: func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) }, want: pipe.ErrNoLink},
		"exchanged": {
			after: func(p string) error {
				if err := os.WriteFile(p+".new", []byte("others!"), 0o600); err != nil {
					return err
				}
				return os.Rename(p+".new", p)
			}, want: pipe.ErrChanged},
		"cut": {
			after: func(p string) error { return os.Truncate(p, 3) }, want: pipe.ErrChanged},
		"gone":            {after: os.Remove, want: pipe.ErrGone},
		"a name is taken": {want: pipe.ErrExists},
	} {
		t.Run(name, func(t *testing.T) {
			o := privateOptions(t)
			d := openDir(t, o)
			path := filepath.Join(o.Inbox, filepath.FromSlash(pipetest.Path(pipetest.PackName(pipetest.A, pipetest.B, 1))))
			must(t, os.WriteFile(path, []byte("records"), 0o600))
			if c.before != nil {
				must(t, c.before(path))
			}
			f := scan(t, d, pipetest.T0, 1)[0]
			content, err := d.Open(f)
			must(t, err)
			defer content.Close()
			if c.after != nil {
				must(t, c.after(path))
			}
			to := filepath.Join(t.TempDir(), "taken")
			if c.want == pipe.ErrExists {
				must(t, os.WriteFile(to, []byte("mine"), 0o600))
			}
			if err := d.TakeOver(f, content, to, takesAll); !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			got, err := os.ReadFile(to)
			switch {
			case c.want == nil:
				if string(got) != "records" || err != nil {
					t.Errorf("taken: %q, %v", got, err)
				}
				if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("it is still in the inbox: %v", err)
				}
				scan(t, d, pipetest.T0.Add(1), 0)
				must(t, d.Remove(f)) // what is gone is removed
			case c.want == pipe.ErrExists && string(got) != "mine", c.want != pipe.ErrExists && err == nil:
				t.Errorf("something lies at the target: %q", got)
			}
		})
	}
}
