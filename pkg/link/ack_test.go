package link_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
)

// TestManyGapsDoNotHideWhatIsHere: with more gaps than an ack can list, it lists what came last, so that a message
// that is repeated is known to have come.
func TestManyGapsDoNotHideWhatIsHere(t *testing.T) {
	w := newWorldOf(t, 2, faults{commitDelay: time.Millisecond}, link.Config{MaxFiles: 1000})
	a, b := w.sides[0], w.sides[1]
	a.accept("hello")
	b.accept("hello")
	w.settle(t)
	var frames []flying
	for i := range 400 {
		a.submit(fmt.Sprintf("m%d", i))
		a.commitAll()
		f := a.l.Next(w.now)
		a.l.Wrote(w.now, 100, nil)
		frames = append(frames, flying{to: 1, file: link.File{Seq: f.Seq, Size: 100, Whole: true}, raw: f.Lines})
	}
	told := func() *frame.Ack {
		b.submit("carrier")
		b.commitAll()
		f := b.l.Next(w.now)
		b.l.Wrote(w.now, 100, nil)
		c, err := frame.ParseClaims(f.Lines[0])
		if err != nil {
			t.Fatal(err)
		}
		return c.Ack
	}
	for i := 1; i < len(frames); i += 2 { // every other one is lost
		b.receive(frames[i])
	}
	ack := told()
	if len(ack.OOO) != frame.MaxOOO {
		t.Fatalf("%d ranges, want %d", len(ack.OOO), frame.MaxOOO)
	}
	early := idsOf(t, &link.Frame{Lines: frames[5].raw})[0]
	if ack.OOO.Contains(early) {
		t.Fatalf("%d is among the newest of 200 ranges", early)
	}
	again := frames[5]
	again.file.Seq = frames[len(frames)-1].file.Seq // as a later file would bring it
	b.receive(again)
	if ack = told(); !ack.OOO.Contains(early) || !ack.OOO.Valid() || len(ack.OOO) != frame.MaxOOO {
		t.Errorf("%d was repeated, and %v is told", early, ack.OOO)
	}
	if !slices.IsSortedFunc(ack.OOO, func(x, y frame.Range) int { return int(x[0]) - int(y[0]) }) {
		t.Errorf("not ascending: %v", ack.OOO)
	}
}

// apart has a side write each of n messages into a file of its own, every other one bulk, and gives these.
func (s *side) apart(n int) (out []flying) {
	s.w.t.Helper()
	for i := range n {
		s.submitPrio(fmt.Sprintf("m%d", i), link.PrioBulk-link.Prio(i%2))
		s.commitAll()
		out = append(out, s.next())
	}
	return out
}

// next gives the frame that is due now.
func (s *side) next() flying {
	s.w.t.Helper()
	f := s.l.Next(s.w.now)
	if f == nil {
		s.w.t.Fatal("nothing is written")
	}
	s.l.Wrote(s.w.now, 100, nil)
	return flying{to: 1 - s.n, file: link.File{Seq: f.Seq, Size: 100, Whole: true}, raw: f.Lines}
}

// TestRangesAreBounded: however many gaps there are, no more ranges are kept than may be. The rest is not taken and not acked, the
// sender is told, and sends its lowest messages first, be they bulk, until the gaps are closed; then all of them have come once.
func TestRangesAreBounded(t *testing.T) {
	const most, sent = 8, 60
	w := newWorldOf(t, 2, faults{commitDelay: time.Millisecond}, link.Config{MaxRanges: most, MaxFiles: 1000, FrameBytes: 250})
	a, b := w.sides[0], w.sides[1]
	a.accept("hello")
	b.accept("hello")
	w.settle(t)
	frames := a.apart(sent)
	for i := 1; i < len(frames); i += 2 { // bulk is lost
		b.receive(frames[i])
		if n := len(b.l.State().OOO); n > most {
			t.Fatalf("%d ranges, %d allowed", n, most)
		}
	}
	b.submit("carrier")
	b.commitAll()
	if n := len(b.disk.state.OOO); n != most {
		t.Fatalf("%d ranges are durable, want %d", n, most)
	}
	word := b.next()
	c, err := frame.ParseClaims(word.raw[0])
	if err != nil {
		t.Fatal(err)
	}
	late := idsOf(t, &link.Frame{Lines: frames[sent-1].raw})[0]
	if !c.Ack.Full || len(c.Ack.OOO) != most || c.Ack.OOO.Contains(late) {
		t.Errorf("full: %v, %v; want true and %d ranges without %d", c.Ack.Full, c.Ack.OOO, most, late)
	}
	a.receive(word)
	if !a.l.PeerFull() {
		t.Error("the sender does not know that its peer is full")
	}
	w.now = w.now.Add(2 * time.Second)
	a.l.Tick(w.now)
	first := idsOf(t, &link.Frame{Lines: a.next().raw}) // which is lost as well
	if want := idsOf(t, &link.Frame{Lines: frames[0].raw})[0]; len(first) == 0 || first[0] != want {
		t.Errorf("what is written first holds %v, want from %d on", first, want)
	}
	w.until("all acknowledged", a.holdsNothing)
	for i := range sent {
		own, pep := b.l.Epoch()
		if n := b.got[fmt.Sprintf(`%d/%d/{"text":"m%d"}`, own, pep, i)]; n != 1 {
			t.Errorf("message %d came %d times", i, n)
		}
	}
}

// TestSpuriousLossesWidenTheThreshold: a file that was only overtaken, and came after all, was not lost; so it takes twice as many later
// ones until the next is given up.
func TestSpuriousLossesWidenTheThreshold(t *testing.T) {
	w := newWorldOf(t, 2, faults{commitDelay: time.Millisecond, least: time.Minute}, link.Config{MaxFiles: 1000})
	a, b := w.sides[0], w.sides[1]
	a.accept("hello")
	b.accept("hello")
	w.settle(t)
	// tell has a hear what b has, at once: no time threshold is reached.
	tell := func() {
		b.submit("carrier")
		b.commitAll()
		a.receive(b.next())
	}
	lostAfter := func() (late flying, n int) {
		before := a.l.Stats().FilesLost
		frames := a.apart(40)
		for n < len(frames)-1 && a.l.Stats().FilesLost == before {
			n++
			b.receive(frames[n])
			tell()
		}
		for _, f := range frames[n+1:] {
			b.receive(f)
		}
		return frames[0], n
	}
	for _, want := range []int{3, 6, 12, 24} {
		late, n := lostAfter()
		if n != want {
			t.Fatalf("given up after %d later files, want %d", n, want)
		}
		spurious := a.l.Stats().Spurious
		b.receive(late)
		tell()
		if a.l.Stats().Spurious != spurious+1 {
			t.Fatal("it came after all, and that was not noticed")
		}
	}
}
