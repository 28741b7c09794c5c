package exchange_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// unreadable is a store that cannot be read for a while.
type unreadable struct {
	store.Reader
	bad *atomic.Bool
}

var errUnreadable = errors.New("disk I/O error")

func (u unreadable) Exchange(ctx context.Context, id [16]byte, side store.Side) (store.Exchange, error) {
	if u.bad.Load() {
		return store.Exchange{}, errUnreadable
	}
	return u.Reader.Exchange(ctx, id, side)
}

func (u unreadable) OutboxExchange(ctx context.Context, id [16]byte) ([]store.Out, error) {
	if u.bad.Load() {
		return nil, errUnreadable
	}
	return u.Reader.OutboxExchange(ctx, id)
}

// A request that was sent before is not made when the site cannot read whether it was made then.
func TestNoCallWhereItCannotBeLookedUp(t *testing.T) {
	var bad atomic.Bool
	u := &callee{calls: map[string]int{}, slots: 1, do: echo}
	a, b := alone(t, u, func(b *host) { b.reads = func(r store.Reader) store.Reader { return unreadable{r, &bad} } })
	id := exchange.NewID(time.Now())
	ask(t, b, a, id, "PUT", 1, 0)
	awaitWords(t, b, id, word(1001, ""))
	ended(t, b, id)
	bad.Store(true)
	ask(t, b, a, id, "POST", 2, 0)
	awaitWords(t, b, id, word(1001, ""), word(2999, exchange.CodeUncertain))
	if n := u.count("/x"); n != 1 {
		t.Errorf("made %d times", n)
	}
}

// A call whose stored request cannot be read when the peer has lost its state is reported, and waits for nothing.
func TestCallThatCannotBeSentAgainIsReported(t *testing.T) {
	var bad atomic.Bool
	g := newGate(1)
	a, b := apart(t, g)
	a.reads = func(r store.Reader) store.Reader { return unreadable{r, &bad} }
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	id := post(t, a, request(b, "GET", "/x", nil))
	<-g.entered
	bad.Store(true)
	if err := a.n.Do(func(s *node.Step) { a.m.PeerReset(s, b.self.ID()) }); err != nil {
		t.Fatal(err)
	}
	until(t, "it is reported", func() bool {
		row, err := a.db.Exchange(t.Context(), id, store.SideIngress)
		return err == nil && row.State == exchange.StateUncertain && row.Problem == exchange.CodeUncertain
	})
	close(g.open)
}
