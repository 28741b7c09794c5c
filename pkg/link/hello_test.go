package link_test

import (
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// knows says whether both sides have each other's caps.
func (w *world) knows() bool {
	return w.sides[0].l.Takes(frame.KindReq) && len(w.sides[0].l.State().PeerCaps) > 0 && len(w.sides[1].l.State().PeerCaps) > 0
}

// A hello holds no message, so no loss detection looks after it. When it is lost, or when the peer's own hello comes
// while it is being written and makes it stale, another one must follow: without caps nothing but the oldest kinds flows.
func TestCapsArriveWhateverBecomesOfTheFirstHello(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(t, seed, faults{commitDelay: time.Millisecond, drop: 0.5, delay: 5 * time.Millisecond})
		for end := w.now.Add(time.Hour); !w.knows(); w.step() {
			if w.now.After(end) {
				t.Fatalf("seed %d: after an hour a knows %q of b, b knows %q of a", seed, w.sides[0].l.State().PeerCaps, w.sides[1].l.State().PeerCaps)
			}
		}
	}
}

func TestHelloThatBecomesStaleWhileItIsWritten(t *testing.T) {
	w := newWorld(t, 1, faults{})
	a, b := w.sides[0], w.sides[1]
	for len(w.air) == 0 { // b's hello, for nobody yet
		b.work()
	}
	fromB := w.air[0]
	w.air = nil
	if a.work(); a.staged == nil {
		t.Fatal("a has nothing to commit at its start")
	}
	a.commitDone()
	if a.l.Next(w.now) == nil {
		t.Fatal("a writes no hello at its start")
	}
	a.receive(fromB)
	a.l.Wrote(w.now, 1000, nil) // and the mover has not taken it when it is removed
	w.settle(t)
	w.pass(time.Minute)
	if !w.knows() {
		t.Errorf("a knows %q of b, b knows %q of a", a.l.State().PeerCaps, b.l.State().PeerCaps)
	}
}

// No hello is repeated once the peer said that it has one.
func TestHelloEndsWhenItWasSeen(t *testing.T) {
	w := newWorld(t, 1, faults{commitDelay: time.Millisecond, delay: 5 * time.Millisecond})
	w.settle(t)
	w.pass(time.Minute)
	before := [2]uint64{w.sides[0].l.Stats().FilesWritten, w.sides[1].l.Stats().FilesWritten}
	w.pass(10 * time.Minute)
	for n, s := range w.sides {
		if wrote := s.l.Stats().FilesWritten - before[n]; wrote > 10 {
			t.Errorf("side %d wrote %d files in ten idle minutes, want a heartbeat a minute", n, wrote)
		}
	}
}
