package link_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
)

// What was withdrawn is sent all the same where a crash comes before that is durable: until then base does not pass it, or
// the peer would take what comes for what never does.
func TestWithdrawnIsHeldUntilThatIsDurable(t *testing.T) {
	w := newWorld(t, 9, faults{commitDelay: time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	a.accept("first")
	b.accept("first")
	w.settle(t)
	withdraw := func() (id uint64) {
		a.submit("withdrawn")
		a.commitAll()
		id = a.l.CommittedID()
		a.submit("next")
		a.commitAll()
		a.l.Withdraw(frame.Ranges{{id, id}})
		return id
	}
	send := func() (base uint64) {
		f := a.l.Next(w.now)
		if f == nil {
			t.Fatal("nothing to write")
		}
		a.l.Wrote(w.now, 100, nil)
		b.receive(flying{to: 1, file: link.File{Seq: f.Seq, Size: 100, Whole: true}, raw: f.Lines})
		c, err := frame.ParseClaims(f.Lines[0])
		if err != nil {
			t.Fatal(err)
		}
		return c.Base
	}
	arrived := func() (n int) {
		for k := range b.got {
			if strings.Contains(k, `"withdrawn"`) {
				n++
			}
		}
		return n
	}

	id := withdraw()
	if base := send(); base != id {
		t.Errorf("base is %d, and %d may be sent yet", base, id)
	}
	a.crash() // the withdrawal is lost
	w.settle(t)
	if n := arrived(); n != 1 {
		t.Errorf("it arrived %d times", n)
	}

	id = withdraw()
	a.drain()
	a.submit("later")
	a.commitAll()
	if base := send(); base != id+1 {
		t.Errorf("base is %d, and %d was withdrawn", base, id)
	}
	a.crash()
	w.settle(t)
	if n := arrived(); n != 1 {
		t.Errorf("it arrived %d times", n)
	}
}
