package link_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
)

// settle lets the world run until both sides are synchronized.
func (w *world) settle(t *testing.T) {
	t.Helper()
	end := w.now.Add(24 * time.Hour)
	for !w.synchronized() {
		if w.now.After(end) {
			t.Fatalf("not synchronized after a day: %+v / %+v", w.sides[0].l.Stats(), w.sides[1].l.Stats())
		}
		w.step()
	}
}

// accept submits and commits a message at once.
func (s *side) accept(text string) {
	s.submit(text)
	for s.staged != nil || len(s.pending.rows) > 0 {
		if s.staged != nil {
			s.commitDone()
		}
		s.work()
	}
}

// A site whose state is set back to an older copy must not have its new messages taken for old ones,
// however many it sends before it hears anything.
func TestRestoredStateSwallowsNothing(t *testing.T) {
	for _, burst := range []int{1, 3, 10, 40} {
		t.Run(fmt.Sprint(burst), func(t *testing.T) {
			w := newWorld(t, uint64(burst), faults{commitDelay: time.Millisecond})
			a, b := w.sides[0], w.sides[1]
			for i := range 5 {
				a.accept(fmt.Sprintf("old%d", i))
			}
			w.settle(t)
			backup := a.disk.clone()
			for i := range 10 {
				a.accept(fmt.Sprintf("lost%d", i))
			}
			w.settle(t)
			before, _ := a.l.Epoch()
			a.disk = backup
			a.crash()
			for i := range burst {
				a.accept(fmt.Sprintf("new%d", i))
			}
			w.settle(t)
			if after, _ := a.l.Epoch(); after <= before {
				t.Errorf("epoch %d after %d: no new one was opened", after, before)
			}
			got := map[string]bool{}
			for k := range b.got {
				var own, ep uint64
				var text string
				if _, err := fmt.Sscanf(k, "%d/%d/%s", &own, &ep, &text); err != nil {
					t.Fatal(err)
				}
				got[text] = true
			}
			for i := range burst {
				if text := fmt.Sprintf(`{"text":"new%d"}`, i); !got[text] {
					t.Errorf("%s never arrived", text)
				}
			}
			if s := a.l.Stopped(); s != "" {
				t.Error("stopped: ", s)
			}
		})
	}
}

// An ack that the life which is lost had for another message of the same id comes before the new one is written: the new one was never
// sent, so the ack is none of it.
func TestAckOfWhatNoFileHad(t *testing.T) {
	w := newWorld(t, 7, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	b.accept("first")
	w.settle(t)
	backup := a.disk.clone()
	a.accept("lost")
	w.settle(t)
	b.submit("late")
	b.commitAll()
	late := b.next()
	before, _ := a.l.Epoch()
	a.disk = backup
	a.crash()
	a.submit("new")
	a.receive(late)
	if after, _ := a.l.Epoch(); after <= before || a.l.Stats().BadAcks != 1 {
		t.Errorf("epoch %d after %d, %+v", after, before, a.l.Stats())
	}
	w.settle(t)
	came := 0
	for k, n := range b.got {
		if strings.HasSuffix(k, `{"text":"new"}`) {
			came += n
		}
	}
	if came != 1 {
		t.Errorf("what the new life sent came %d times: %v", came, b.got)
	}
}

// The same where nothing comes of the first runs on the older copy, and the next begins above all that the other side knows.
func TestRestoredStateIsNoticedByLaterRuns(t *testing.T) {
	for _, runs := range []int{1, 2, 5, 40} {
		t.Run(fmt.Sprint(runs), func(t *testing.T) {
			w := newWorld(t, uint64(runs), faults{commitDelay: time.Millisecond})
			a, b := w.sides[0], w.sides[1]
			a.accept("first")
			w.settle(t)
			backup := a.disk.clone()
			for i := range 10 {
				a.accept(fmt.Sprintf("lost%d", i))
			}
			w.settle(t)
			before, _ := a.l.Epoch()
			a.disk = backup
			w.mute[0] = true
			for run := range runs {
				a.crash()
				for i := range max(20/runs, 1) {
					a.accept(fmt.Sprintf("new%d-%d", run, i))
				}
			}
			w.mute[0] = false
			a.crash()
			a.accept("last")
			w.settle(t)
			if after, _ := a.l.Epoch(); after <= before {
				t.Errorf("epoch %d after %d: no new one was opened", after, before)
			}
			if a.l.Events().SelfBehind.IsZero() || b.l.Events().PeerDoubled.IsZero() {
				t.Errorf("told to the operators: %+v and %+v", a.l.Events(), b.l.Events())
			}
			if n := len(a.l.State().Unmet); n != 0 {
				t.Errorf("%d runs are still told", n)
			}
		})
	}
}

// The same where the life that is lost began at the file number that the first run on the older copy begins at too, and
// the peer tells that run of the other's files. What the peer no longer holds is not taken for what was had.
func TestRestoredStateOfTheSameNumbersIsNoticed(t *testing.T) {
	w := newWorld(t, 5, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	w.settle(t)
	before, _ := a.l.Epoch()
	backup := a.disk.clone()
	a.crash()
	a.accept("lost")
	b.accept("had by the life that is lost")
	w.settle(t)
	a.disk = backup
	w.mute[0] = true
	a.crash()
	for i := range 5 {
		a.accept(fmt.Sprintf("new%d", i))
	}
	b.accept("tells a what was handled")
	w.pass(time.Minute)
	if a.l.Met() {
		t.Error("met by what another run has written")
	}
	a.crash()
	a.accept("last")
	w.mute[0] = false
	w.settle(t)
	if after, _ := a.l.Epoch(); after <= before {
		t.Errorf("epoch %d after %d: no new one was opened", after, before)
	}
	if n := len(a.l.State().Unmet); n != 0 {
		t.Errorf("%d runs are still told", n)
	}
}

// The same where neither the life that is lost nor the first run on the older copy has sent anything.
func TestRestoredStateOfRunsWithoutMessagesIsNoticed(t *testing.T) {
	w := newWorld(t, 5, faults{commitDelay: time.Millisecond})
	a := w.sides[0]
	a.accept("first")
	w.settle(t)
	before, _ := a.l.Epoch()
	backup := a.disk.clone()
	a.crash()
	w.until("met in the life that is lost", a.l.Met)
	a.disk = backup
	w.mute[0] = true
	a.crash()
	w.pass(time.Minute)
	w.mute[0] = false
	a.crash()
	a.accept("last")
	w.settle(t)
	if after, _ := a.l.Epoch(); after <= before {
		t.Errorf("epoch %d after %d: no new one was opened", after, before)
	}
}

// Runs of which nothing comes are nothing to begin anew for.
func TestRunsThatWereNotHeardOf(t *testing.T) {
	w := newWorld(t, 3, faults{commitDelay: time.Millisecond})
	a := w.sides[0]
	a.accept("first")
	w.settle(t)
	before, _ := a.l.Epoch()
	for run := range 60 {
		w.mute[0] = run%7 != 0
		a.crash()
		for i := range run % 3 {
			a.accept(fmt.Sprintf("%d-%d", run, i))
		}
		for range run % 5 {
			w.step()
		}
		if n := len(a.l.State().Unmet); n > frame.MaxUnmet {
			t.Fatalf("%d runs are told of", n)
		}
	}
	w.mute[0] = false
	w.settle(t)
	if after, _ := a.l.Epoch(); after != before || a.l.Stats().BadAcks != 0 || w.sides[1].l.Stats().Forks != 0 {
		t.Errorf("epoch %d after %d, %+v, %+v", after, before, a.l.Stats(), w.sides[1].l.Stats())
	}
}

// A receiver that is set back to an older copy has forgotten what it had acked, although none of its own numbers gives
// it away: it is found out, and begins anew, so that what it forgot can be decided about.
func TestForgottenMessagesAreNoticed(t *testing.T) {
	w := newWorld(t, 6, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	b.accept("first")
	w.settle(t)
	backup := b.disk.clone()
	for i := range 5 {
		a.accept(fmt.Sprintf("forgotten%d", i))
		w.settle(t)
	}
	resets := a.l.Stats().PeerResets
	b.disk = backup
	b.crash()
	w.until("noticed", func() bool { return a.l.Stats().PeerResets > resets })
	w.settle(t)
	if a.l.Events().PeerDoubled.IsZero() || a.l.Events().PeerBegan.IsZero() || b.l.Events().SelfBehind.IsZero() {
		t.Errorf("told to the operators: %+v and %+v", a.l.Events(), b.l.Events())
	}
	if b.l.Stopped() != "" {
		t.Error("stopped: ", b.l.Stopped())
	}
}

// The same where what it forgot had come out of order: nothing below a gap tells of it.
func TestForgottenRangesAreNoticed(t *testing.T) {
	w := newWorld(t, 6, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	b.accept("first")
	w.settle(t)
	backup := b.disk.clone()
	w.mute[0] = true
	a.accept("gap")
	w.mute[0] = false
	a.accept("forgotten")
	w.until("acked behind the gap", func() bool { return len(a.l.State().AckedOOO) > 0 })
	resets := a.l.Stats().PeerResets
	b.disk = backup
	b.crash()
	w.until("noticed", func() bool { return a.l.Stats().PeerResets > resets })
	w.settle(t)
	if a.l.Events().PeerDoubled.IsZero() || b.l.Events().SelfBehind.IsZero() || b.l.Stopped() != "" {
		t.Errorf("told to the operators: %+v and %+v; stopped %q", a.l.Events(), b.l.Events(), b.l.Stopped())
	}
}

// Own files that the state knows nothing of, at the start or under the name of the next, show that the state is a copy.
func TestOwnFilesBeyondTheStateAreNoticed(t *testing.T) {
	w := newWorld(t, 6, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	w.settle(t)
	before, _ := a.l.Epoch()
	a.l.OwnFile(w.now, before*frame.SeqPerEpoch) // known
	if now, _ := a.l.Epoch(); now != before {
		t.Error("a file of its own made it begin anew")
	}
	beyond := a.disk.state.SeqReserved + 5000
	a.l.OwnFile(w.now, beyond)
	after, _ := a.l.Epoch()
	if after <= before || after*frame.SeqPerEpoch <= beyond || a.l.Events().SelfBehind.IsZero() {
		t.Errorf("epoch %d after %d, %+v", after, before, a.l.Events())
	}
	a.accept("second")
	w.settle(t)

	b.accept("third")
	b.submit("taken")
	b.commitAll()
	f := b.l.Next(w.now)
	if f == nil {
		t.Fatal("nothing to write")
	}
	b.l.NameTaken(w.now)
	b.l.Wrote(w.now, 0, errors.New("exists"))
	if now, _ := b.l.Epoch(); now*frame.SeqPerEpoch <= f.Seq {
		t.Errorf("the next files would be of epoch %d, the name that was taken is %d", now, f.Seq)
	}
	w.settle(t)
	b.submit("taken again")
	b.commitAll()
	if b.l.Next(w.now) == nil {
		t.Fatal("nothing to write")
	}
	b.l.NameTaken(w.now)
	if b.l.Stopped() == "" {
		t.Error("a name was taken twice, and it goes on")
	}
}

// A site that lost its state altogether knows it from the first frame that comes.
func TestLostStateIsTold(t *testing.T) {
	w := newWorld(t, 6, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	w.settle(t)
	if !a.l.Events().SelfLost.IsZero() || !b.l.Events().PeerBegan.IsZero() {
		t.Errorf("first contact is told as a loss: %+v and %+v", a.l.Events(), b.l.Events())
	}
	b.disk = disk{rows: map[uint64]link.Item{}, sent: map[uint64]link.SentFile{}, got: map[uint64]bool{}}
	b.crash()
	a.accept("second")
	w.settle(t)
	if a.l.Events().PeerBegan.IsZero() || b.l.Events().SelfLost.IsZero() {
		t.Errorf("told to the operators: %+v and %+v", a.l.Events(), b.l.Events())
	}
}

// Two copies of one site on the same folders are found out, and stopped, not obeyed in turns.
func TestTwoCopiesAreStopped(t *testing.T) {
	w := newWorld(t, 5, faults{commitDelay: time.Millisecond})
	a := w.sides[0]
	a.accept("first")
	w.settle(t)
	twin := a.disk.clone()
	live := a.disk
	for i := range 40 { // the two copies take turns, each going on from its own disk
		a.disk = live
		a.crash()
		a.accept(fmt.Sprintf("live%d", i))
		for range 30 {
			w.step()
		}
		live = a.disk.clone()
		a.disk = twin
		a.crash()
		a.accept(fmt.Sprintf("twin%d", i))
		for range 30 {
			w.step()
		}
		twin = a.disk.clone()
		if w.sides[1].l.Stats().Forks+w.sides[1].l.Stats().PeerResets > 0 {
			return
		}
	}
	t.Error("two copies took turns and nobody noticed")
}

// Two copies may open the same epoch at once, and then the peer's acks of the one's messages are taken for the other's.
// So the copy that was stopped begins an epoch of its own when it is started again.
func TestACopyThatWasStoppedBeginsAnew(t *testing.T) {
	w := newWorld(t, 6, faults{commitDelay: time.Millisecond})
	a := w.sides[0]
	a.accept("first")
	w.settle(t)
	for range 2 {
		own, _ := a.l.Epoch()
		a.l.OwnFile(w.now, (own+5)*frame.SeqPerEpoch)
	}
	if a.l.Stopped() == "" {
		t.Fatal("a second sign of another copy does not stop the link")
	}
	shared, _ := a.l.Epoch()
	w.pass(time.Second)
	a.crash()
	if own, _ := a.l.Epoch(); own <= shared || a.l.Stopped() != "" {
		t.Fatalf("started again: epoch %d after %d, stopped %q", own, shared, a.l.Stopped())
	}
	a.accept("after")
	w.settle(t)
	if n := w.sides[1].l.Stats().PeerResets; n != 1 {
		t.Errorf("the peer saw %d new epochs, want the one that was used", n)
	}
}

// A late frame can look like another copy. Without one the link goes on by itself, above all that was heard of meanwhile; where
// the sign comes again it stops for longer.
func TestAStopEndsByItself(t *testing.T) {
	w := newWorld(t, 7, faults{commitDelay: time.Millisecond})
	a := w.sides[0]
	a.accept("first")
	w.settle(t)
	sign := func(above uint64) uint64 {
		own, _ := a.l.Epoch()
		a.l.OwnFile(w.now, (own+above)*frame.SeqPerEpoch)
		return own + above
	}
	sign(5)
	heard := max(sign(1000), sign(500_000), sign(7))
	if a.l.Stopped() == "" {
		t.Fatal("a second sign of another copy does not stop the link")
	}
	a.accept("meanwhile")
	files := a.l.Stats().FilesWritten
	w.pass(50 * time.Second)
	if n := a.l.Stats().FilesWritten - files; n != 0 || a.l.Stopped() == "" {
		t.Errorf("%d files were written meanwhile", n)
	}
	w.pass(15 * time.Second)
	if own, _ := a.l.Epoch(); a.l.Stopped() != "" || own <= heard {
		t.Fatalf("after a minute: epoch %d, heard of %d, stopped %q", own, heard, a.l.Stopped())
	}
	w.settle(t)
	if w.sides[1].l.Stats().MessagesReceived != 2 {
		t.Errorf("%+v", w.sides[1].l.Stats())
	}

	sign(5)
	w.pass(100 * time.Second)
	if a.l.Stopped() == "" {
		t.Error("the second stop is no longer than the first")
	}
	w.now = w.now.Add(-48 * time.Hour) // the clock is set back
	w.pass(130 * time.Second)
	if a.l.Stopped() != "" {
		t.Error("stopped for as long as the clock was set back")
	}
}

// Old frames that come late, or are replayed, are no fork.
func TestLateFramesAreNoFork(t *testing.T) {
	for seed := range uint64(20) {
		w := run(t, 3000+seed, faults{drop: 0.05, dup: 0.3, delay: 3 * time.Second, crash: 0.05, commitDelay: time.Millisecond}, 80)
		for _, s := range w.sides {
			if n := s.l.Stats().Forks; n != 0 {
				t.Errorf("seed %d: side %d took %d frames for a fork", seed, s.n, n)
			}
		}
	}
}

// The first line of a run may be of a pair that is over, and shows nothing then of what the run has of our messages. It is
// met only once it has said that under the present pair, whatever is lost meanwhile, and remembered until then.
func TestRestoredStateThatKnowsAnOldPairIsNoticed(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		t.Run(fmt.Sprint(restarts), func(t *testing.T) {
			w := newWorld(t, 6, faults{commitDelay: time.Millisecond})
			a, b := w.sides[0], w.sides[1]
			a.accept("first")
			w.settle(t)
			backup := a.disk.clone()
			b.disk = disk{rows: map[uint64]link.Item{}, sent: map[uint64]link.SentFile{}, got: map[uint64]bool{}}
			b.crash()
			w.settle(t)
			b.accept("had by the life that is lost")
			w.settle(t)
			before, _ := a.l.Epoch()
			w.mute[1] = true // what is in the pipe comes to the life that is lost
			w.pass(time.Minute)
			a.disk = backup
			a.crash()
			w.pass(time.Second) // its line of the old pair comes, the answer does not
			w.mute = [2]bool{true, false}
			if restarts {
				b.crash()
				w.mute[0] = false
			}
			w.pass(2 * time.Minute)
			w.mute[0] = false
			w.settle(t)
			w.pass(2 * time.Minute)
			if after, _ := a.l.Epoch(); after <= before {
				t.Errorf("epoch %d after %d: no new one was opened; met: %v", after, before, a.l.Met())
			}
		})
	}
}

// A file whose lines are forks, and that comes again with nothing new, does not count as handled: nothing of it was applied.
func TestForkThatComesInPartsIsNotHandled(t *testing.T) {
	w := newWorld(t, 3, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	w.settle(t)
	backup := a.disk.clone()
	a.accept("lost")
	w.settle(t)
	w.mute = [2]bool{true, true}
	a.disk = backup
	a.crash()
	a.accept("new")
	f := a.l.Next(w.now)
	for ; f == nil; f = a.l.Next(w.now) {
		w.now = a.l.Deadline(w.now)
	}
	file := link.File{Seq: f.Seq, Size: 50}
	b.receive(flying{to: 1, file: file, raw: f.Lines})
	if !b.l.Sizes().Fork {
		t.Fatal("the frame is taken for no fork")
	}
	file.Size, file.Whole = 100, true
	b.receive(flying{to: 1, file: file})
	b.submit("carrier")
	b.commitAll()
	out := b.l.Next(w.now)
	c, err := frame.ParseClaims(out.Lines[0])
	if err != nil {
		t.Fatal(err)
	}
	if c.Rx.Seen.Contains(f.Seq) || c.Rx.Top >= f.Seq {
		t.Errorf("told: seen %v, up to %d, want nothing of %d", c.Rx.Seen, c.Rx.Top, f.Seq)
	}
}

// A copy that ran beside the state that goes on has used ids that this uses too. What it said comes late, behind runs that began after
// both: of one of them the newest has told (unmet) that it began where the copy went on, so nothing of the copy is taken for the other's.
func TestALateFrameOfACopyIsNoticed(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		t.Run(fmt.Sprintf("b starts again: %v", restarts), func(t *testing.T) {
			w := newWorld(t, 5, faults{commitDelay: time.Millisecond})
			a, b := w.sides[0], w.sides[1]
			a.accept("first")
			w.settle(t)
			w.pass(time.Minute)
			twin := a.disk.clone()
			a.accept("copy")
			late := w.air
			w.air, w.mute[0] = nil, true
			a.disk = twin
			a.crash()
			a.accept("own") // under the same id
			a.crash()
			w.mute[0] = false
			for len(w.air) == 0 { // what it begins with
				if a.work(); a.staged != nil {
					a.commitDone()
				}
			}
			hello := w.air[0]
			w.air = nil
			b.receive(hello)
			if c := parse(t, hello.raw[0]); len(c.Msg) > 0 || len(c.Unmet) == 0 || b.l.Stats().Forks > 0 {
				t.Fatalf("it begins with %d messages, and tells of %d runs; %d forks", len(c.Msg), len(c.Unmet), b.l.Stats().Forks)
			}
			for b.work(); b.staged != nil; {
				b.commitDone()
			}
			if restarts {
				b.crash()
			}
			for _, f := range late {
				if f.to == 1 {
					b.receive(f)
				}
			}
			w.settle(t)
			got := map[string]bool{}
			for k := range b.got {
				_, text, _ := strings.Cut(k, "{")
				got[text] = true
			}
			if b.l.Stats().Forks == 0 || !got[`"text":"own"}`] {
				t.Errorf("%d forks; b has %v", b.l.Stats().Forks, got)
			}
		})
	}
}
