package link_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/link"
)

// calm gives two links that know each other, on a pipe with a round trip of some milliseconds and nothing under way.
func calm(t *testing.T) *world {
	t.Helper()
	w := run(t, 3, faults{delay: 4 * time.Millisecond, commitDelay: time.Millisecond}, 60)
	for len(w.air) > 0 {
		w.step()
	}
	return w
}

// write submits a message and has it written into a file of its own.
func (s *side) write(text string) {
	before := s.l.Stats().FilesWritten
	s.submit(text)
	for s.l.Stats().FilesWritten == before {
		s.w.step()
	}
}

func (s *side) holdsNothing() bool {
	messages, _ := s.l.Held()
	return messages == 0
}

// until steps until done says so, and gives the time that it took.
func (w *world) until(what string, done func() bool) time.Duration {
	w.t.Helper()
	begun := w.now
	for !done() {
		if w.step(); w.now.Sub(begun) > time.Hour {
			w.t.Fatalf("after an hour: not %s", what)
		}
	}
	return w.now.Sub(begun)
}

func TestOneTimeoutSendsAllThatIsOverdue(t *testing.T) {
	w := calm(t)
	s := w.sides[0]
	w.mute[0] = true
	const lost = 6
	for i := range lost {
		s.write(fmt.Sprintf("lost%d", i))
	}
	timeouts := s.l.Stats().Timeouts
	w.until("past two more timeouts", func() bool { return s.l.Stats().Timeouts == timeouts+2 })
	before := s.l.Stats()
	w.until("past the next", func() bool { return s.l.Stats().Timeouts == timeouts+3 })
	after := s.l.Stats()
	if files, messages := after.FilesWritten-before.FilesWritten, after.Resent-before.Resent; files != 1 || messages != lost {
		t.Errorf("a timeout wrote %d messages in %d files, want all %d in one", messages, files, lost)
	}
	w.mute[0] = false
	w.until("all acknowledged", s.holdsNothing)
}

func TestMessagesOfThePeerEndBackOff(t *testing.T) {
	w := calm(t)
	s := w.sides[0]
	before := s.l.Stats().Timeouts
	w.mute[0] = true
	s.write("lost")
	w.until("at the tenth timeout", func() bool { return s.l.Stats().Timeouts-before >= 10 })
	w.until("waiting long for the next", func() bool { return s.l.Deadline(w.now).Sub(w.now) > time.Second })
	w.mute[0] = false
	pause := s.l.Deadline(w.now).Sub(w.now) // the next of its own accord; the other side's may come first
	w.sides[1].write("sign of life")
	if took := w.until("all acknowledged", s.holdsNothing); took > pause/4 || took > time.Second {
		t.Errorf("acknowledged %v after the peer was heard, with a pause of %v under way", took, pause)
	}
}

// TestBackOffStaysWhereOnlyAcksCome: a pipe that works one way only is not filled from the other.
func TestBackOffStaysWhereOnlyAcksCome(t *testing.T) {
	w := calm(t)
	s := w.sides[0]
	w.mute[0] = true
	s.write("lost")
	end := w.now.Add(time.Hour) // with some sixty heartbeats of the peer
	before := s.l.Stats().FilesWritten
	for w.now.Before(end) {
		w.step()
	}
	if n := s.l.Stats().FilesWritten - before; n > 80 {
		t.Errorf("%d files into a pipe that carries nothing, in an hour", n)
	}
}

// TestHelloIsRepeatedAfterOneTimeout: the first repeat of a lost hello waits as long as any lost file does.
func TestHelloIsRepeatedAfterOneTimeout(t *testing.T) {
	w := newWorld(t, 1, faults{})
	w.mute = [2]bool{true, true}
	s := w.sides[0]
	begun := w.now
	w.until("said hello", func() bool { return s.l.Stats().FilesWritten == 1 })
	const initial, ackDelay = time.Second, 25 * time.Millisecond // of link.Config
	if due, want := s.l.Deadline(begun).Sub(begun), initial+4*initial/2+ackDelay; due != want {
		t.Errorf("hello is due again after %v, want %v", due, want)
	}
}

// TestBackOffHasJitterAndACap: while nothing comes back each timeout is twice as long as the one before, and up to a quarter more,
// so that sites that failed together do not probe together; none is longer than an hour, or four round trips.
func TestBackOffHasJitterAndACap(t *testing.T) {
	for _, way := range []time.Duration{2 * time.Millisecond, 40 * time.Minute} {
		t.Run(way.String(), func(t *testing.T) {
			w := newWorldOf(t, 3, faults{least: way, commitDelay: time.Millisecond}, link.Config{})
			s := w.sides[0]
			for i := range 12 { // until round trips are known
				s.accept(fmt.Sprintf("before%d", i))
				w.settle(t)
			}
			srtt, variation, measured := s.l.RTT()
			most := max(time.Hour, 4*srtt)
			if !measured || srtt < 2*way || way > time.Minute && most == time.Hour {
				t.Fatalf("round trip %v, measured: %v, with %v each way", srtt, measured, way)
			}
			w.mute = [2]bool{true, true}
			s.write("lost")
			base := srtt + max(4*variation, 20*time.Millisecond) + 25*time.Millisecond // RFC 9002 section 6.2.1
			least, last := 2.0, time.Time{}
			spread, capped := 0.0, 0
			for n, before := 0, s.l.Stats().Timeouts; n < 30; {
				w.step()
				if s.l.Stats().Timeouts == before {
					continue
				}
				before, n = s.l.Stats().Timeouts, n+1
				pause := w.now.Sub(last)
				last = w.now
				if n == 1 {
					continue // the first, before which there was none
				}
				if pause > most+time.Second {
					t.Fatalf("timeout %d came after %v, want at most %v", n, pause, most)
				}
				if pause >= most-time.Second {
					capped++
					continue
				}
				factor := float64(pause) / float64(base)
				if factor /= float64(int64(1) << (n - 2)); factor < 0.99 || factor > 1.27 {
					t.Errorf("timeout %d came after %v, which is %.2f of %v doubled %d times", n, pause, factor, base, n-2)
				}
				least, spread = min(least, factor), max(spread, factor-least)
			}
			if capped < 10 {
				t.Errorf("%d of 30 pauses were as long as may be", capped)
			}
			if way < time.Second && spread < 0.05 {
				t.Errorf("doubled timeouts differ by %.3f, want jitter", spread)
			}
		})
	}
}

// TestWhatARunHasWrittenIsNotDueForTheNext: what lies in the pipe when a site starts again is written again when its time comes, counted from
// when it was written, and not at once, however often the site starts.
func TestWhatARunHasWrittenIsNotDueForTheNext(t *testing.T) {
	w := newWorldOf(t, 5, faults{least: time.Minute, commitDelay: time.Millisecond}, link.Config{})
	s := w.sides[0]
	for i := range 12 { // until round trips are known
		s.accept(fmt.Sprintf("before%d", i))
		w.settle(t)
	}
	s.write("slow")
	again := uint64(0) // by all runs
	for range 3 {
		w.pass(time.Second)
		again += s.l.Stats().Resent
		s.crash()
	}
	w.until("acknowledged", s.holdsNothing)
	if again += s.l.Stats().Resent; again != 0 {
		t.Errorf("what was under way was written %d times more", again)
	}
	w.mute[0] = true
	s.write("lost")
	begun := w.now
	w.pass(time.Minute)
	s.crash()
	w.mute[0] = false
	w.until("written again", func() bool { return s.l.Stats().Resent > 0 })
	srtt, variation, _ := s.l.RTT()
	if took, due := w.now.Sub(begun), srtt+4*variation+time.Second; took > due || took < srtt {
		t.Errorf("written again %v after it was lost, with a round trip of %v and its variation of %v", took, srtt, variation)
	}
}
