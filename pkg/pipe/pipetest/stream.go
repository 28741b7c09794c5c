package pipetest

import (
	"errors"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
)

// PackName gives the name of a pack from one site to another.
func PackName(from, to identity.ID, seq uint64) frame.Name {
	return frame.Name{Recipient: to, Sender: from, Seq: seq, Ext: frame.ExtPack}
}

func testStream(t *testing.T, r *rig) {
	b := r.open(nil)
	a := r.o.Open(t, pipe.Options{Self: A, Peers: []identity.ID{B}}, r.in, r.out)
	defer a.Close()
	n := PackName(A, B, 7)
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	r.ok(a.PutStream(t.Context(), n, 11, text("one two six")))
	r.is(a.PutStream(t.Context(), n, 1, text("x")), pipe.ErrExists)
	f := r.one(b, 0)
	c, err := b.Open(f)
	r.ok(err)
	got := make([]byte, 3)
	if _, err := c.ReadAt(got, 4); err != nil || string(got) != "two" || c.Size() != 11 {
		t.Fatalf("read %q of %d, %v", got, c.Size(), err)
	}
	if n, err := c.ReadAt(make([]byte, 9), 8); n != 3 || !errors.Is(err, io.EOF) {
		t.Fatalf("past the end: %d, %v", n, err)
	}
	r.ok(c.Close())
	r.ok(b.Remove(f))
	_, err = b.Open(f)
	r.is(err, pipe.ErrGone)
}

func testStreamFails(t *testing.T, r *rig) {
	a := r.open(nil)
	broken := errors.New("no more")
	for name, fill := range map[string]func(io.Writer) error{
		"error": func(w io.Writer) error { _, _ = io.WriteString(w, "ab"); return broken },
		"short": func(w io.Writer) error { _, err := io.WriteString(w, "ab"); return err },
		"long":  func(w io.Writer) error { _, err := io.WriteString(w, "abcd"); return err },
	} {
		err := a.PutStream(t.Context(), PackName(B, A, 1), 3, fill)
		if err == nil || name == "error" && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.is(a.PutStream(t.Context(), PackName(A, B, 1), 0, func(io.Writer) error { return nil }), pipe.ErrForeign)
	if got := r.out.Paths(); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}
