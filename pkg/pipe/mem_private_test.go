package pipe_test

import (
	"errors"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

// takesAll takes over whatever it is.
func takesAll(io.ReaderAt) error { return nil }

// memWorld is a pipe in memory with a folder beside it.
type memWorld struct {
	*pipe.Mem
	out, in, beside *pipe.MemFolder
}

func openMem(t *testing.T, private bool) memWorld {
	t.Helper()
	w := memWorld{out: pipe.NewMemFolder(nil), in: pipe.NewMemFolder(nil), beside: pipe.NewMemFolder(nil)}
	var err error
	w.Mem, err = pipe.OpenMem(pipe.Options{Self: pipetest.B, Peers: []identity.ID{pipetest.A}, Outbox: "/o", Inbox: "/i", Private: private}, w.out, w.in)
	must(t, err)
	w.Beside(w.beside)
	return w
}

// The twin links what lies beside it as a Dir does, and both names are of one file.
func TestMemLink(t *testing.T) {
	w := openMem(t, true)
	w.beside.WriteFile("src", []byte("records"))
	name := pipetest.PackName(pipetest.B, pipetest.A, 1)
	must(t, w.Link(t.Context(), name, 7, "src"))
	if data, ok := w.out.ReadFile(pipetest.Path(name)); !ok || string(data) != "records" {
		t.Errorf("published: %q", data)
	}
	if err := w.Link(t.Context(), name, 7, "src"); !errors.Is(err, pipe.ErrExists) {
		t.Errorf("the name again: %v", err)
	}
	if err := w.Link(t.Context(), pipetest.PackName(pipetest.B, pipetest.A, 2), 8, "src"); !errors.Is(err, pipe.ErrNoLink) {
		t.Errorf("another length: %v", err)
	}
	if err := w.Link(t.Context(), pipetest.PackName(pipetest.A, pipetest.B, 3), 7, "src"); !errors.Is(err, pipe.ErrForeign) {
		t.Errorf("a peer's name: %v", err)
	}
	w.out.Truncate(pipetest.Path(name), 3)
	if data, _ := w.beside.ReadFile("src"); string(data) != "rec" {
		t.Errorf("cut under the other name: %q", data)
	}
	there, err := w.RemoveOwn(name)
	if _, ok := w.beside.ReadFile("src"); err != nil || !there || !ok {
		t.Errorf("removing: %v, %v, %v", there, ok, err)
	}
	shared := openMem(t, false)
	shared.beside.WriteFile("src", []byte("records"))
	if err := shared.Link(t.Context(), name, 7, "src"); !errors.Is(err, pipe.ErrNoLink) {
		t.Errorf("without pipe.private: %v", err)
	}
}

// The twin moves a file out of the inbox as a Dir does, if it is the one that was read.
func TestMemTakeOver(t *testing.T) {
	path := pipetest.Path(pipetest.PackName(pipetest.A, pipetest.B, 1))
	for name, c := range map[string]struct {
		after func(w memWorld) // it was read
		want  error
	}{
		"ours":            {},
		"exchanged":       {func(w memWorld) { w.in.WriteFile(path, []byte("others!")) }, pipe.ErrChanged},
		"cut":             {func(w memWorld) { w.in.Truncate(path, 3) }, pipe.ErrChanged},
		"gone":            {func(w memWorld) { w.in.Remove(path) }, pipe.ErrGone},
		"a name is taken": {func(w memWorld) { w.beside.WriteFile("taken", []byte("mine")) }, pipe.ErrExists},
	} {
		t.Run(name, func(t *testing.T) {
			w := openMem(t, true)
			w.in.WriteFile(path, []byte("records"))
			files, err := w.Scan(pipetest.T0)
			must(t, err)
			content, err := w.Open(files[0])
			must(t, err)
			if c.after != nil {
				c.after(w)
			}
			if err := w.TakeOver(files[0], content, "taken", takesAll); !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			got, taken := w.beside.ReadFile("taken")
			if _, left := w.in.ReadFile(path); c.want == nil && (left || string(got) != "records") {
				t.Errorf("taken: %q, still in the inbox: %v", got, left)
			}
			if c.want != nil && taken && string(got) != "mine" {
				t.Errorf("something lies at the target: %q", got)
			}
		})
	}
}
