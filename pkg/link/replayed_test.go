package link_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
)

// TestEveryOldFileComesAgainToANewState: whoever has the pipe has kept each file of a long conversation. When one side has lost its
// state all of them come again, in whatever order, before and after the new state is known. None has an effect, few are answered, and
// what is said from then on comes once.
func TestEveryOldFileComesAgainToANewState(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(t, 7000+seed, faults{commitDelay: time.Millisecond, drop: 0.1, cut: 0.1, delay: 20 * time.Millisecond})
		a, b := w.sides[0], w.sides[1]
		var old []flying
		w.onPut = func(f flying) { old = append(old, f) }
		for i := range 120 {
			w.sides[i%2].accept(fmt.Sprintf("old%d", i))
			w.step()
		}
		w.settle(t)
		w.onPut, w.air, w.fault.drop, w.fault.cut = nil, nil, 0, 0
		b.disk = disk{rows: map[uint64]link.Item{}, sent: map[uint64]link.SentFile{}, got: map[uint64]bool{}}
		w.now = w.now.Add(time.Hour)
		b.crash()
		again := func(when string) {
			t.Helper()
			said := false
			for _, s := range w.sides {
				s.onGet = func(text string) { said = said || strings.Contains(text, "old") }
			}
			files := w.files
			for range 2 {
				w.rnd.Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
				for _, f := range old {
					w.sides[f.to].receive(f)
					for _, s := range w.sides {
						s.work()
					}
				}
			}
			a.onGet, b.onGet = nil, nil
			if said {
				t.Fatalf("seed %d, %s: an old message was delivered again", seed, when)
			}
			if n := w.files - files; n > 20 {
				t.Errorf("seed %d, %s: %d old files were answered by %d", seed, when, 2*len(old), n)
			}
		}
		if len(old) < 60 {
			t.Fatalf("%d files in a conversation of 120 messages", len(old))
		}
		again("before the two have met")
		w.settle(t)
		again("after that")
		for i := range 20 {
			w.sides[i%2].accept(fmt.Sprintf("new%d", i))
		}
		w.settle(t)
		for i := range 20 {
			s := w.sides[1-i%2]
			own, pep := s.l.Epoch()
			if n := s.got[fmt.Sprintf(`%d/%d/{"text":"new%d"}`, own, pep, i)]; n != 1 {
				t.Errorf("seed %d: new message %d came %d times", seed, i, n)
			}
		}
	}
}

// TestTwoRunsOfOneBeginningAreAFork: two processes that start from one state begin with the same numbers, and what tells them apart is
// nothing but the random bits of their runs. Of the second nothing is applied, and both are told.
func TestTwoRunsOfOneBeginningAreAFork(t *testing.T) {
	w := newWorld(t, 8, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	w.settle(t)
	a.crash()
	twin := &side{w: w, n: a.n, id: a.id, got: map[string]int{}, sentText: map[uint64]string{}, outbox: map[uint64]bool{}, disk: a.disk.clone()}
	twin.start()
	for n, s := range []*side{a, twin} {
		for range 3 + 2*n { // so that some of the second have ids that the first has not given
			s.submit(fmt.Sprintf("of the twin: %v", s == twin))
		}
		s.commitAll()
	}
	hello, mine := a.next(), a.next()
	theirs := []flying{twin.next(), twin.next()}
	b.receive(hello)
	b.receive(mine)
	for _, f := range theirs {
		b.receive(f)
	}
	if n := b.l.Stats().Forks; n != 2 || b.l.Events().PeerDoubled.IsZero() {
		t.Errorf("%d of 2 files of the second run were taken for a fork; told: %v", n, b.l.Events().PeerDoubled)
	}
	for text := range b.got {
		if strings.Contains(text, "twin: true") {
			t.Errorf("%s was delivered", text)
		}
	}
	b.submit("carrier")
	b.commitAll()
	word := b.next()
	if c, err := frame.ParseClaims(word.raw[0]); err != nil || !c.Fork {
		t.Fatalf("the word of %+v says nothing of a fork (%v)", c, err)
	}
	own, _ := a.l.Epoch()
	var opened []uint64
	for _, s := range []*side{a, twin} {
		s.receive(word)
		ep, _ := s.l.Epoch()
		if opened = append(opened, ep); ep <= own || s.l.Events().SelfBehind.IsZero() || s.l.Stopped() != "" {
			t.Errorf("told of the fork: epoch %d after %d, told at %v, stopped %q", ep, own, s.l.Events().SelfBehind, s.l.Stopped())
		}
	}
	if opened[0] == opened[1] {
		t.Errorf("both opened epoch %d", opened[0])
	}
	// The next sign of another life stops a copy, for a while.
	a.l.OwnFile(w.now, (opened[0]+5)*frame.SeqPerEpoch)
	if !strings.Contains(a.l.Stopped(), "two copies of this site run") {
		t.Errorf("a second sign: stopped %q", a.l.Stopped())
	}
}
