package node

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/store"
)

// stumbling is a handler that panics on some messages.
type stumbling struct {
	fails    int // how often it still panics
	handled  int
	poisoned int
	tries    []int
	ids      []uint64 // handled, in order
	live     int      // exchanges under way, as it says
}

func (h *stumbling) Deliver(s *Step, d *Delivery) *Keep {
	s.Store().SetMeta("half", []byte("done"))
	h.tries = append(h.tries, d.Tries)
	if h.fails > 0 {
		h.fails--
		panic("stumbled")
	}
	h.handled++
	h.ids = append(h.ids, d.ID)
	return nil
}
func (h *stumbling) Poisoned(*Step, *Delivery)            { h.poisoned++ }
func (h *stumbling) Written(*Step, identity.ID, link.Ref) {}
func (h *stumbling) Acked(*Step, identity.ID, link.Acked) {}
func (h *stumbling) PeerReset(*Step, identity.ID)         {}
func (h *stumbling) PeerMet(*Step, identity.ID)           {}
func (h *stumbling) OwnReset(*Step, identity.ID)          {}
func (h *stumbling) Tick(*Step)                           {}
func (h *stumbling) Live() int                            { return h.live }
func (h *stumbling) Deadline() time.Time                  { return time.Time{} }

func TestMessageThatPanicsIsTriedAgain(t *testing.T) {
	h := &stumbling{fails: 2}
	b := newBench(t, store.NewMem(), h)
	b.message(1, `{}`)
	b.work()
	if _, err := b.db.Meta(t.Context(), "half"); !errors.Is(err, store.ErrNotFound) {
		t.Error("a panic left what the handler had half done")
	}
	rows, err := b.db.InboxNew(t.Context(), 10)
	if err != nil || len(rows) != 1 || rows[0].Tries != 1 {
		t.Fatalf("after the first panic: %+v, %v", rows, err)
	}
	b.pass(time.Minute)
	if h.handled != 1 || h.poisoned != 0 || len(h.tries) != 3 {
		t.Errorf("handled %d, set aside %d, tries %v", h.handled, h.poisoned, h.tries)
	}
	rows, err = b.db.InboxNew(t.Context(), 10)
	if err != nil || len(rows) != 0 {
		t.Errorf("handled, but still to do: %+v, %v", rows, err)
	}
}

func TestCancelGoesBeforeItsRequest(t *testing.T) {
	h := &stumbling{}
	b := newBench(t, store.NewMem(), h)
	b.messages(frame.Message{ID: 1, Kind: frame.KindReq, Data: []byte(`{}`)}, frame.Message{ID: 2, Kind: frame.KindCancel, Data: []byte(`{}`)},
		frame.Message{ID: 3, Kind: frame.KindReq, Data: []byte(`{}`)})
	b.work()
	if !slices.Equal(h.ids, []uint64{2, 1, 3}) {
		t.Errorf("handled in the order %v, want the cancellation first", h.ids)
	}
}

func TestMessageThatPanicsThreeTimesIsSetAside(t *testing.T) {
	h := &stumbling{fails: 100}
	b := newBench(t, store.NewMem(), h)
	b.message(1, `{}`)
	b.work()
	b.pass(time.Minute)
	if h.handled != 0 || h.poisoned != 1 || len(h.tries) != 3 {
		t.Fatalf("handled %d, set aside %d, tries %v", h.handled, h.poisoned, h.tries)
	}
	st, err := b.db.Stats(t.Context(), there)
	if err != nil || st.Failed != 1 {
		t.Errorf("%+v, %v: want one message set aside", st, err)
	}
	h.fails = 0
	b.message(2, `{}`)
	b.work()
	if h.handled != 1 {
		t.Error("what came behind it was not handled")
	}
}

// A message whose handling ends the process counts its tries all the same: each is committed before it begins.
func TestTriesAreCountedBeforeTheyBegin(t *testing.T) {
	h := &stumbling{fails: 1}
	b := newBench(t, store.NewMem(), h)
	b.message(1, `{}`)
	b.work()
	db := b.db
	for restart := 2; restart <= 4; restart++ {
		h2 := &stumbling{}
		b = newBench(t, db, h2)
		rows, err := db.InboxNew(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		if restart == 4 {
			if len(rows) != 1 || rows[0].Tries != maxTries {
				t.Fatalf("%+v", rows)
			}
			b.core.Redeliver(b.now, rows[0])
			b.work()
			if h2.poisoned != 1 || len(h2.tries) != 0 {
				t.Errorf("after three tries: set aside %d, tried again %v", h2.poisoned, h2.tries)
			}
			return
		}
		b.core.Redeliver(b.now, rows[0])
		e := b.core.Take(b.now) // the commit of the try; the process ends before it is told
		if err := db.Apply(e.Commit.Batch); err != nil {
			t.Fatal(err)
		}
		if len(h2.tries) != 0 {
			t.Error("tried before the try was counted")
		}
	}
}

// unstorable is a handler that believes whatever number a message tells.
type unstorable struct{ stumbling }

func (h *unstorable) Deliver(s *Step, d *Delivery) *Keep {
	if d.ID == 1 {
		s.Store().PutExchange(store.Exchange{ID: [16]byte{1}, Oep: 1 << 63})
	}
	return h.stumbling.Deliver(s, d)
}

// A message whose changes no store can hold is set aside as one that panics: its commit would fail for ever, with all that
// comes after it.
func TestMessageThatCannotBeStoredIsSetAside(t *testing.T) {
	h := &unstorable{}
	b := newBench(t, store.NewMem(), h)
	b.message(1, `{}`)
	b.work()
	b.pass(time.Minute)
	if h.poisoned != 1 || !b.core.StoreFailing().IsZero() {
		t.Fatalf("set aside %d; commits fail since %v", h.poisoned, b.core.StoreFailing())
	}
	b.message(2, `{}`)
	b.work()
	if !slices.Equal(h.ids, []uint64{1, 1, 1, 2}) {
		t.Errorf("handled %v", h.ids)
	}
}
