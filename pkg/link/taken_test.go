package link_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/link"
)

// carried gives two links on a pipe with a mover of some habit, after some traffic.
func carried(t *testing.T, h habit) *world {
	t.Helper()
	w := newWorldOf(t, 11, faults{commitDelay: time.Millisecond, least: 10 * time.Millisecond}, link.Config{})
	w.habit = h
	for i := range 10 {
		w.sides[i%2].accept(fmt.Sprintf("before%d", i))
		w.settle(t)
	}
	return w
}

func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.step()
	}
}

// TestWhatWasNotTakenIsNotLost: where a mover takes files away, those that still lie in the outbox are not written again,
// however long the mover stands still.
func TestWhatWasNotTakenIsNotLost(t *testing.T) {
	w := carried(t, moves)
	a := w.sides[0]
	if !a.l.FilesLeave() {
		t.Fatal("it was not noticed that files leave the outbox")
	}
	w.halted = true
	for i := range 3 {
		a.accept(fmt.Sprintf("waits%d", i))
		w.pass(time.Second)
	}
	a.crash() // and it is remembered
	before := a.l.Stats()
	w.pass(7 * 24 * time.Hour)
	st := a.l.Stats()
	if st.Resent != 0 || st.Timeouts != 0 || st.FilesLost != 0 {
		t.Errorf("%+v, want nothing sent again while the mover stands still", st)
	}
	if n, most := st.FilesWritten-before.FilesWritten, uint64(7*24*60+3); n > most {
		t.Errorf("%d files in a week, want no more than a heartbeat a minute", n)
	}
	if n, since := a.l.Waiting(); n != 3 || w.now.Sub(since) < 7*24*time.Hour {
		t.Errorf("%d files wait since %v ago, want 3 for a week", n, w.now.Sub(since))
	}
	if a.looks > 7*24*60+40 {
		t.Errorf("the outbox was looked at %d times in a week", a.looks)
	}
	w.resume()
	w.settle(t)
	if st := a.l.Stats(); st.Resent != 0 {
		t.Errorf("%d messages were sent again although all of them came", st.Resent)
	}
	if n, _ := a.l.Waiting(); n != 0 {
		t.Errorf("%d files are said to wait", n)
	}
}

// TestTakenAndLostIsSentAgain: a file that left and is lost is written again after a timeout, as without a habit.
func TestTakenAndLostIsSentAgain(t *testing.T) {
	w := carried(t, moves)
	a := w.sides[0]
	w.mute[0] = true
	a.write("lost")
	w.pass(50 * time.Millisecond)
	w.mute[0] = false
	if took := w.until("acknowledged", a.holdsNothing); took > time.Second {
		t.Errorf("it took %v of simulated time", took)
	}
}

// TestDearLooksAreSpacedOut: a listing that takes long is made for a fifth of the time at most.
func TestDearLooksAreSpacedOut(t *testing.T) {
	w := carried(t, moves)
	a := w.sides[0]
	w.halted = true
	a.accept("waits")
	for !a.l.Look(w.now) {
		w.now = maxTime(a.l.Deadline(w.now), w.now.Add(time.Microsecond))
		a.l.Tick(w.now)
	}
	const took = 10 * time.Second
	w.now = w.now.Add(took)
	a.l.Looked(w.now, slices.Sorted(maps.Keys(a.outbox)))
	for until := w.now.Add(4 * took); w.now.Before(until); w.now = w.now.Add(time.Second / 4) {
		a.l.Tick(w.now)
		if a.l.Look(w.now) {
			t.Fatalf("looked again %v before it was due", until.Sub(w.now))
		}
	}
}

// TestACopyingMoverIsNoticed: where files that came stay in the outbox, lying there means nothing.
func TestACopyingMoverIsNoticed(t *testing.T) {
	w := carried(t, copies)
	if w.sides[0].l.FilesLeave() {
		t.Fatal("files that stay were taken for files that leave")
	}
	w = carried(t, moves)
	a := w.sides[0]
	w.habit = copies // somebody exchanged the mover
	w.mute[0] = true
	a.write("lost")
	w.pass(100 * time.Millisecond)
	w.mute[0] = false
	w.until("acknowledged, some heartbeats later", a.holdsNothing)
	if a.l.FilesLeave() {
		t.Error("it was not noticed that files stay")
	}
}

// TestAFileThatIsPassedOverIsSentAgain: a mover that takes all files but one does not hold up its content for ever.
func TestAFileThatIsPassedOverIsSentAgain(t *testing.T) {
	w := carried(t, moves)
	a := w.sides[0]
	w.halted = true
	a.write("passed over")
	w.halted = false
	a.waiting = nil
	for i := 0; !a.holdsNothing(); i++ {
		if i > 200 {
			t.Fatal("still not sent again after 200 later files")
		}
		a.write(fmt.Sprintf("later%d", i))
		w.pass(100 * time.Millisecond)
	}
}

// TestAFileThatIsLeftBehindIsSentAgain: the same where nothing but heartbeats follows it.
func TestAFileThatIsLeftBehindIsSentAgain(t *testing.T) {
	w := carried(t, moves)
	a := w.sides[0]
	w.halted = true
	a.write("left behind")
	w.halted = false
	a.waiting = nil
	before := a.l.Stats()
	took := w.until("sent again", a.holdsNothing)
	if n := a.l.Stats().Resent - before.Resent; n != 1 || took < 5*time.Minute {
		t.Errorf("sent again %d times after %v, want once, and not before the mover can be said to pass it over", n, took)
	}
}
