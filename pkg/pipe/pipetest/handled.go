package pipetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/pipe"
)

func testDone(t *testing.T, r *rig) {
	p := r.open(nil)
	n := r.arrive(A, 1, "whole")
	p.Done(r.one(p, 0))
	r.none(p, time.Hour)
	if st := p.Stats(); st.Waiting != 0 || st.Tracked != 1 {
		t.Fatalf("stats %+v", st)
	}
	r.in.Remove(Path(n))
	r.none(p, time.Second)
	if st := p.Stats(); st.Tracked != 0 {
		t.Fatalf("a vanished file is still tracked: %+v", st)
	}
	r.arrive(A, 1, "whole")
	r.one(p, time.Second) // new again: only the current listing is remembered
}

func testRemoveChanged(t *testing.T, r *rig) {
	p := r.open(nil)
	n := r.arrive(A, 1, "half")
	f := r.one(p, 0)
	r.arrive(A, 1, "half, and more came since")
	r.is(p.Remove(f), pipe.ErrChanged)
	if _, ok := r.in.Read(Path(n)); !ok {
		t.Fatal("removed what had changed")
	}
	f = r.one(p, time.Second)
	r.ok(p.Remove(f))
	r.none(p, time.Second)
}

func testGone(t *testing.T, r *rig) {
	p := r.open(nil)
	n := r.arrive(A, 1, "x")
	f := r.one(p, 0)
	r.in.Remove(Path(n))
	_, err := p.Read(f)
	r.is(err, pipe.ErrGone)
	r.ok(p.Remove(f))
	r.none(p, time.Second)
	if st := p.Stats(); st.Tracked != 0 {
		t.Fatalf("stats %+v", st)
	}
}

// testBack has a file away just when it is read: as it comes back it looks as before.
func testBack(t *testing.T, r *rig) {
	p := r.open(nil)
	n := r.arrive(A, 1, "cut in half")
	p.Pending(r.one(p, 0))
	f := r.one(p, time.Hour)
	back := r.in.Aside(Path(n))
	_, err := p.Read(f)
	r.is(err, pipe.ErrGone)
	_, err = p.Open(f)
	r.is(err, pipe.ErrGone)
	back()
	f = r.one(p, time.Hour)
	r.read(p, f, "cut in half")
	r.ok(p.Remove(f))
}

func testReappeared(t *testing.T, r *rig) {
	p := r.open(nil)
	for i := range 3 { // a mover that brings files back
		r.arrive(A, 1, "same")
		f := r.one(p, time.Second)
		r.read(p, f, "same")
		r.ok(p.Remove(f))
		r.none(p, time.Second)
		if st := p.Stats(); st.Reappeared != uint64(i) || st.Settle != 5*time.Second {
			t.Fatalf("round %d: stats %+v", i, st)
		}
	}
	if got := r.in.Paths(); len(got) != 0 {
		t.Fatalf("left: %q", got)
	}
}

func testKeep(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.Keep = true })
	r.ok(p.Check())
	r.arrive(A, 1, "whole")
	r.arrive(A, 2, "cu")
	files := r.scan(p, 0)
	if len(files) != 2 {
		t.Fatalf("found %v", files)
	}
	r.ok(p.Remove(files[0]))
	cut := r.one(p, 5*time.Second)
	r.ok(p.Remove(cut))
	r.none(p, time.Hour)
	r.arrive(A, 2, "cut no more")
	f := r.one(p, time.Second)
	if f.Name.Seq != 2 || p.Stats().Settle != 10*time.Second {
		t.Fatalf("found %+v, settle %v", f, p.Stats().Settle)
	}
	r.arrive(A, 3, "rubbish")
	f = r.one(p, time.Second)
	r.ok(p.Quarantine(f, []byte("rubbish"), "no line verified"))
	r.none(p, time.Second)
	if got := len(r.in.Paths()); got != 3 {
		t.Fatalf("%d files left, want 3", got)
	}
}

func testQuarantine(t *testing.T, r *rig) {
	p := r.open(nil)
	r.arrive(A, 1, "rubbish")
	f := r.one(p, 0)
	r.ok(p.Quarantine(f, []byte("rubbish"), "../No line/verified"))
	if got := r.in.Paths(); len(got) != 0 {
		t.Fatalf("left: %q", got)
	}
	got := r.o.Quarantined(t, p)
	if len(got) != 1 || string(got[0]) != "rubbish" || p.Stats().Quarantined != 1 {
		t.Fatalf("quarantine holds %q, stats %+v", got, p.Stats())
	}
	r.none(p, time.Second)
}

func testQuarantineBounds(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.QuarantineFiles, o.QuarantineBytes = 5, 40 })
	add := func(seq uint64, data string) {
		r.arrive(A, seq, data)
		r.ok(p.Quarantine(r.one(p, time.Second), []byte(data), "test"))
	}
	for seq := uint64(1); seq <= 8; seq++ {
		add(seq, fmt.Sprint(seq))
	}
	if got := fmt.Sprintf("%s", r.o.Quarantined(t, p)); got != "[4 5 6 7 8]" {
		t.Fatalf("quarantine holds %s", got)
	}
	for seq := uint64(11); seq <= 15; seq++ {
		add(seq, fmt.Sprintf("%d long enough to be cut", seq))
	}
	if got := fmt.Sprintf("%q", r.o.Quarantined(t, p)); got != `["12 long en" "13 long en" "14 long en" "15 long en"]` {
		t.Fatalf("quarantine holds %s", got)
	}
}
