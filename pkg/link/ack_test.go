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
