package link_test

import (
	"fmt"
	"testing"
	"time"
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
