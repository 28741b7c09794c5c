//go:build unix

package pipe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

// large is a file that is worth a clone.
var large = bytes.Repeat([]byte("records "), 200_000)

// emptyBut demands that nothing but these files is in a folder.
func emptyBut(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("in %s lie %v, want %v", dir, got, names)
	}
}

// What can be cloned is found out by trying, and nothing is left of that.
func TestTryClone(t *testing.T) {
	wrong := func(dst, _ *os.File, size int64) error { return dst.Truncate(size) }
	for name, c := range map[string]struct {
		clone func(dst, src *os.File, size int64) error
		want  error // nil with works unset: any
		works bool
		temp  bool
	}{
		"it can":             {clone: pipetest.Clone, works: true},
		"with temp_dir":      {clone: pipetest.Clone, works: true, temp: true},
		"it cannot":          {clone: func(_, _ *os.File, _ int64) error { return syscall.EOPNOTSUPP }, want: errors.ErrUnsupported},
		"another disk":       {clone: func(_, _ *os.File, _ int64) error { return syscall.EXDEV }, want: syscall.EXDEV},
		"with other content": {clone: wrong},
	} {
		t.Run(name, func(t *testing.T) {
			pipetest.CloneWith(t, c.clone)
			o, beside := options(t), t.TempDir()
			if c.temp {
				o.TempDir = t.TempDir()
			}
			d := openDir(t, o)
			err := d.TryClone(filepath.Join(beside, "try"))
			if (err == nil) != c.works || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("%v", err)
			}
			if out, in := d.Shares(1 << 20); out != c.works || !in {
				t.Errorf("it shares: %v, %v", out, in)
			}
			if out, in := d.Shares(1<<20 - 1); out || in {
				t.Error("small files too")
			}
			emptyBut(t, beside)
			emptyBut(t, filepath.Dir(outboxFile(o, 1)))
			if c.temp {
				emptyBut(t, o.TempDir)
			}
		})
	}
}

// This system's own way is refused, or it makes a file with the same bytes that shares nothing when either is written to.
func TestCloneFile(t *testing.T) {
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
		must(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	src, dst := open("src"), open("dst")
	_, err := src.Write(large)
	must(t, err)
	if err := pipe.CloneFile(dst, src, int64(len(large))); err != nil {
		t.Logf("this file system has no clones: %v", err)
		if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.ENOTTY) {
			t.Errorf("it says so by %v", err)
		}
		return
	}
	_, err = src.WriteAt([]byte("others!"), 0)
	must(t, err)
	if got, err := io.ReadAll(dst); err != nil || !bytes.Equal(got, large) {
		t.Errorf("the clone: %d bytes, %v", len(got), err)
	}
	if err := pipe.CloneFile(open("more"), src, int64(len(large)-1)); err == nil {
		t.Error("a file that is longer by a byte is cloned")
	}
}

// A clone in the outbox is a file of its own: what others do to it does no harm to the one that it was made from.
func TestCloneInto(t *testing.T) {
	pipetest.CloneWith(t, pipetest.Clone)
	o, beside := options(t), t.TempDir()
	d := openDir(t, o)
	src := filepath.Join(beside, "pack")
	must(t, os.WriteFile(src, large, 0o600))
	link := func(seq uint64, size int) error {
		return d.Link(t.Context(), pipetest.PackName(pipetest.B, pipetest.A, seq), int64(size), src)
	}
	if err := link(1, len(large)); !errors.Is(err, pipe.ErrNoLink) {
		t.Errorf("before it was tried: %v", err)
	}
	must(t, d.TryClone(filepath.Join(beside, "try")))
	must(t, link(1, len(large)))
	published := filepath.Join(o.Outbox, filepath.FromSlash(pipetest.Path(pipetest.PackName(pipetest.B, pipetest.A, 1))))
	a, err := os.Stat(src)
	must(t, err)
	b, err := os.Stat(published)
	must(t, err)
	if os.SameFile(a, b) || b.Mode().Perm() != 0o640 {
		t.Errorf("it is the file itself, or has mode %v", b.Mode())
	}
	if got, err := os.ReadFile(published); err != nil || !bytes.Equal(got, large) {
		t.Errorf("published: %d bytes, %v", len(got), err)
	}
	must(t, os.Truncate(published, 10))
	if got, err := os.ReadFile(src); err != nil || !bytes.Equal(got, large) {
		t.Errorf("the source after it was cut in the pipe: %d bytes, %v", len(got), err)
	}
	if err := link(1, len(large)); !errors.Is(err, pipe.ErrExists) {
		t.Errorf("the name again: %v", err)
	}
	if err := link(2, len(large)+1); !errors.Is(err, pipe.ErrNoLink) {
		t.Errorf("another length: %v", err)
	}
	if err := link(2, 1000); !errors.Is(err, pipe.ErrNoLink) {
		t.Errorf("a small one: %v", err)
	}
	if own := d.Stats(); own.OwnFiles != 1 || own.Cloned != 1 {
		t.Errorf("%d own files, %d cloned", own.OwnFiles, own.Cloned)
	}
	emptyBut(t, filepath.Dir(published), filepath.Base(published))
}

// What a file system says it can never do is asked for once; what it refuses of one file, with each.
func TestCloningEndsWhereItIsInVain(t *testing.T) {
	for _, c := range []struct {
		err   error
		again bool
	}{{syscall.EOPNOTSUPP, false}, {syscall.EXDEV, false}, {syscall.EINVAL, true}, {syscall.ENOSPC, true}} {
		t.Run(c.err.Error(), func(t *testing.T) {
			var asked int
			clone := pipetest.Clone
			pipetest.CloneWith(t, func(dst, src *os.File, size int64) error { asked++; return clone(dst, src, size) })
			o, beside := options(t), t.TempDir()
			d := openDir(t, o)
			must(t, d.TryClone(filepath.Join(beside, "try")))
			clone = func(dst, _ *os.File, _ int64) error { return errors.Join(dst.Truncate(10), c.err) }
			src := filepath.Join(beside, "pack")
			must(t, os.WriteFile(src, large, 0o600))
			f, content := inInbox(t, o, d)
			asked = 0
			for seq := range uint64(3) {
				if err := d.Link(t.Context(), pipetest.PackName(pipetest.B, pipetest.A, 1+seq), int64(len(large)), src); !errors.Is(err, pipe.ErrNoLink) {
					t.Errorf("into the pipe: %v", err)
				}
				if err := d.TakeOver(f, content, filepath.Join(beside, "taken"), takesAll); !errors.Is(err, pipe.ErrNoLink) {
					t.Errorf("out of it: %v", err)
				}
			}
			want := 2
			if c.again {
				want = 6
			}
			out, in := d.Shares(int64(len(large)))
			if asked != want || out != c.again || in != c.again {
				t.Errorf("asked %d times, want %d; then %v and %v", asked, want, out, in)
			}
			emptyBut(t, beside, "pack")
			emptyBut(t, filepath.Dir(outboxFile(o, 1)))
		})
	}
}

// inInbox lays the large file into the inbox, and opens it.
func inInbox(t *testing.T, o pipe.Options, d *pipe.Dir) (pipe.File, pipe.Content) {
	t.Helper()
	path := filepath.Join(o.Inbox, filepath.FromSlash(pipetest.Path(pipetest.PackName(pipetest.A, pipetest.B, 1))))
	must(t, os.WriteFile(path, large, 0o666))
	f := scan(t, d, pipetest.T0, 1)[0]
	content, err := d.Open(f)
	must(t, err)
	t.Cleanup(func() { content.Close() })
	return f, content
}

// What is taken over as a clone is looked at after it was cloned, and stays as it was then. The file in the pipe may be
// anybody's, and stays where it is.
func TestCloneOut(t *testing.T) {
	damaged := errors.New("damaged")
	write := func(f *os.File) error {
		return os.WriteFile(f.Name(), bytes.Repeat([]byte("others! "), 200_000), 0o666) // in place
	}
	for name, c := range map[string]struct {
		before, after func(src *os.File) error // the clone is made
		keep, taken   bool
		want          error
	}{
		"ours":                       {},
		"files are kept":             {keep: true},
		"written to before":          {before: write, want: damaged},
		"written to after":           {after: write},
		"cut after":                  {after: func(f *os.File) error { return os.Truncate(f.Name(), 10) }},
		"gone after":                 {after: func(f *os.File) error { return os.Remove(f.Name()) }},
		"cut before":                 {before: func(f *os.File) error { return os.Truncate(f.Name(), 10) }, want: pipe.ErrNoLink},
		"grown before":               {before: func(f *os.File) error { return os.Truncate(f.Name(), 1<<30) }, want: pipe.ErrNoLink},
		"something is where it goes": {taken: true, want: pipe.ErrExists},
	} {
		t.Run(name, func(t *testing.T) {
			busy := false // TryClone clones too
			pipetest.CloneWith(t, func(dst, src *os.File, size int64) (err error) {
				if busy && c.before != nil {
					err = c.before(src)
				}
				if err == nil {
					err = pipetest.Clone(dst, src, size)
				}
				if busy && err == nil && c.after != nil {
					err = c.after(src)
				}
				return err
			})
			o, beside := options(t), t.TempDir()
			o.Keep = c.keep
			d := openDir(t, o)
			must(t, d.TryClone(filepath.Join(beside, "try")))
			busy = true
			f, content := inInbox(t, o, d)
			to := filepath.Join(beside, "taken")
			if c.taken {
				must(t, os.WriteFile(to, []byte("mine"), 0o600))
			}
			err := d.TakeOver(f, content, to, func(src io.ReaderAt) error {
				got, err := io.ReadAll(io.NewSectionReader(src, 0, int64(len(large))))
				must(t, err)
				if !bytes.Equal(got, large) {
					return damaged
				}
				return nil
			})
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			got, err := os.ReadFile(to)
			switch {
			case c.taken:
				if string(got) != "mine" {
					t.Errorf("at the target lie %d bytes", len(got))
				}
			case c.want != nil:
				emptyBut(t, beside)
			default:
				fi, serr := os.Stat(to)
				if err := errors.Join(err, serr); err != nil || !bytes.Equal(got, large) {
					t.Fatalf("taken: %d bytes, %v", len(got), err)
				}
				if fi.Mode().Perm() != 0o600 {
					t.Errorf("its mode is %v", fi.Mode())
				}
			}
			if _, err := os.Stat(filepath.Join(o.Inbox, filepath.FromSlash(pipetest.Path(f.Name)))); (err == nil) == (name == "gone after") {
				t.Errorf("the file in the inbox: %v", err)
			}
		})
	}
}
