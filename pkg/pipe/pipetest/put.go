package pipetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
)

func testRoundTrip(t *testing.T, r *rig) {
	b := r.open(nil)
	r.ok(b.Check())
	o := pipe.Options{Self: A, Peers: []identity.ID{B}}
	a := r.o.Open(t, o, r.in, r.out)
	defer a.Close()
	n := Name(A, B, 7)
	r.ok(a.Put(t.Context(), n, []byte("one\n"), nil, []byte("two\n")))
	if got := r.in.Paths(); !slices.Equal(got, []string{Path(n)}) {
		t.Fatalf("share holds %q", got)
	}
	f := r.one(b, 0)
	if f.Name != n || f.Size != 8 || f.Settled {
		t.Fatalf("found %+v", f)
	}
	r.read(b, f, "one\ntwo\n")
	r.ok(b.Remove(f))
	if got := r.in.Paths(); len(got) != 0 {
		t.Fatalf("share holds %q after remove", got)
	}
	r.none(b, time.Minute)
	if st := b.Stats(); st.Tracked != 0 || st.Reported != 1 || st.Scans != 2 {
		t.Fatalf("stats %+v", st)
	}
}

func testPutExists(t *testing.T, r *rig) {
	p := r.open(nil)
	n := Name(B, A, 1)
	r.ok(p.Put(t.Context(), n, []byte("first")))
	r.is(p.Put(t.Context(), n, []byte("second")), pipe.ErrExists)
	if data, _ := r.out.Read(Path(n)); string(data) != "first" {
		t.Fatalf("overwritten with %q", data)
	}
	if got := r.out.Paths(); len(got) != 1 {
		t.Fatalf("left over: %q", got)
	}
}

func testPutForeign(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.MaxFile = 10 })
	r.is(p.Put(t.Context(), Name(A, B, 1), []byte("x")), pipe.ErrForeign)
	r.is(p.Put(t.Context(), Name(B, Stranger, 1), []byte("x")), pipe.ErrForeign)
	r.is(p.Put(t.Context(), Name(B, A, 1), make([]byte, 11)), pipe.ErrTooLarge)
	if got := r.out.Paths(); len(got) != 0 {
		t.Fatalf("wrote %q", got)
	}
}

func testPutContext(t *testing.T, r *rig) {
	p := r.open(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.is(p.Put(ctx, Name(B, A, 1), []byte("x")), context.Canceled)
	if got := r.out.Paths(); len(got) != 0 {
		t.Fatalf("wrote %q", got)
	}
}

func testOwn(t *testing.T, r *rig) {
	p := r.open(nil)
	for seq := uint64(1); seq <= 3; seq++ {
		r.ok(p.Put(t.Context(), Name(B, A, seq), []byte("abc")))
	}
	r.ok(p.Put(t.Context(), Name(B, C, 9), nil))
	list, err := p.ListOwn(A)
	r.ok(err)
	slices.SortFunc(list, func(x, y pipe.Entry) int { return int(x.Name.Seq) - int(y.Name.Seq) })
	if len(list) != 3 || list[0].Name != Name(B, A, 1) || list[2].Size != 3 {
		t.Fatalf("list %+v", list)
	}
	if st := p.Stats(); st.OwnFiles != 4 {
		t.Fatalf("own files %d, want 4", st.OwnFiles)
	}
	r.out.Remove(Path(Name(B, A, 1))) // the mover took it
	was, err := p.RemoveOwn(Name(B, A, 1))
	if was || err != nil {
		t.Fatalf("removing what is gone: %v, %v", was, err)
	}
	was, err = p.RemoveOwn(Name(B, A, 2))
	if !was || err != nil {
		t.Fatalf("remove: %v, %v", was, err)
	}
	list, err = p.ListOwn(A)
	r.ok(err)
	if len(list) != 1 || list[0].Name.Seq != 3 {
		t.Fatalf("list %+v", list)
	}
	if st := p.Stats(); st.OwnFiles != 2 {
		t.Fatalf("own files %d, want 2", st.OwnFiles)
	}
}

func testOwnForeign(t *testing.T, r *rig) {
	p := r.open(nil)
	foreign := []frame.Name{Name(A, C, 1), Name(A, B, 1), Name(B, Stranger, 1)}
	for _, n := range foreign {
		r.out.Write(Path(n), []byte("not ours"))
		_, err := p.RemoveOwn(n)
		r.is(err, pipe.ErrForeign)
		if _, ok := r.out.Read(Path(n)); !ok {
			t.Fatalf("%v was removed", n)
		}
	}
	if _, err := p.ListOwn(Stranger); !errors.Is(err, pipe.ErrForeign) {
		t.Fatalf("listing a stranger's: %v", err)
	}
	r.in.Write(Path(Name(A, C, 1)), []byte("for C"))
	r.is(p.Remove(pipe.File{Name: Name(A, C, 1)}), pipe.ErrForeign)
	_, err := p.Read(pipe.File{Name: Name(A, C, 1)})
	r.is(err, pipe.ErrForeign)
	r.is(p.Quarantine(pipe.File{Name: Name(A, C, 1)}, nil, "x"), pipe.ErrForeign)
	if _, ok := r.in.Read(Path(Name(A, C, 1))); !ok {
		t.Fatal("another site's file was removed")
	}
}
