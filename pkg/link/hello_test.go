package link_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
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

// Where a mover takes files, one that lies in the outbox merely waits. A hello that is lost behind it comes again as soon as
// the peer has handled a later file, not a heartbeat later: until then the peer writes no long bodies.
func TestALostHelloComesAgainWhereFilesAreTaken(t *testing.T) {
	for lost := 1; lost <= 3; lost++ {
		w := newWorldOf(t, uint64(lost), faults{commitDelay: time.Millisecond, least: 20 * time.Millisecond, habit: moves}, link.Config{})
		w.habit = moves
		a, b := w.sides[0], w.sides[1]
		for i := range 10 {
			b.accept(fmt.Sprintf("m%d", i))
			w.settle(t)
		}
		if !b.l.State().Learned.Takes {
			t.Fatal("b has not learned that files are taken")
		}
		a.disk = disk{rows: map[uint64]link.Item{}, sent: map[uint64]link.SentFile{}, got: map[uint64]bool{}}
		w.now = w.now.Add(time.Minute)
		a.crash()
		b.onGet = func(string) { b.submit("answer") } // there is traffic, so b hears what a has handled
		a.onGet = func(string) { a.submit("call") }
		a.accept("call")
		began, left := w.now, lost
		for len(a.l.State().PeerCaps) == 0 {
			w.step()
			for i := 0; i < len(w.air); i++ {
				if f := w.air[i]; f.to == 0 && left > 0 && bytes.Contains(f.raw[0], []byte(`"caps"`)) {
					w.air = slices.Delete(w.air, i, i+1)
					left--
				}
			}
			if took := w.now.Sub(began); took > 10*time.Second {
				t.Fatalf("%d hellos of b were lost, and a still knows no caps of it after %v", lost, took)
			}
		}
		t.Logf("%d lost: %v", lost, w.now.Sub(began))
	}
}

// What a peer is waiting for that was started again, that its run was met, must not be told by a file alone that may be removed before
// the peer takes it, for its messages are not wanted any more or came by another copy: where files are taken the peer's own hello
// comes again a heartbeat later, and until then it begins no call that must not be made twice.
func TestARunIsMetWhateverBecomesOfMessages(t *testing.T) {
	w := newWorldOf(t, 1, faults{commitDelay: time.Millisecond, least: 20 * time.Millisecond, habit: moves}, link.Config{})
	w.habit = moves
	a, b := w.sides[0], w.sides[1]
	for i := range 10 {
		b.accept(fmt.Sprintf("m%d", i))
		w.settle(t)
	}
	w.pass(10 * time.Second)
	w.air = nil
	if b.crash(); b.l.Met() || !b.l.FilesLeave() {
		t.Fatal("b has been met before it said anything, or has forgotten that files are taken")
	}
	for len(w.air) == 0 { // its hello
		if b.work(); b.staged != nil {
			b.commitDone()
		}
	}
	hello := w.air[0]
	w.air = nil
	a.receive(hello)
	a.accept("call")
	a.l.Withdraw(frame.Ranges{{a.l.State().LastID, a.l.State().LastID}})
	a.drain() // their file is removed before it was taken
	w.air = slices.DeleteFunc(w.air, func(f flying) bool { return len(parse(t, f.raw[0]).Msg) > 0 })
	began := w.now
	for !b.l.Met() {
		if w.step(); w.now.Sub(began) > 5*time.Second {
			t.Fatal("after five seconds b has not heard that a has met its new run")
		}
	}
}

// A state that was set back to before the peer's hello came has no caps of it. Where no id was used since, nobody notices that it is
// an older copy; so the hello comes again for each new run.
func TestCapsComeAgainToAnOlderCopy(t *testing.T) {
	w := newWorld(t, 1, faults{commitDelay: time.Millisecond, delay: 5 * time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	w.settle(t)
	w.pass(time.Minute)
	if !w.knows() {
		t.Fatal("caps never came")
	}
	b.disk.state.PeerCaps = nil
	b.crash()
	w.pass(30 * time.Second)
	if !w.knows() {
		t.Errorf("a knows %q of b, b knows %q of a", a.l.State().PeerCaps, b.l.State().PeerCaps)
	}
}
