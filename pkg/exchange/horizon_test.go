package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/node/nodetest"
	"github.com/hoft/hoft/pkg/store"
)

// forgetful is a pair whose callees' side remembers what it made for two minutes, in a bubble of testing/synctest.
type forgetful struct {
	t    *testing.T
	a, b *host
}

func newForgetful(t *testing.T, up *callee) *forgetful {
	f := &forgetful{t: t}
	f.a, f.b = apart(t, up)
	f.b.ttl, f.b.keep = time.Minute, time.Minute
	f.a.start()
	f.start()
	return f
}

func (f *forgetful) stop() {
	f.a.stop()
	f.b.stop()
}

// start starts the callees' side, and waits until the other has met this run of it.
func (f *forgetful) start() {
	f.b.start()
	time.Sleep(10 * time.Second) // of the bubble
	synctest.Wait()
}

// ask hands a request in as it comes from an epoch of the callers' side, accepted in another.
func (f *forgetful) ask(id exchange.ID, oep, epoch uint64, attempt int, method, target string) {
	f.t.Helper()
	req := fmt.Appendf(nil, `{"exchange":%q,"oep":%d,"attempt":%d,"upstream":"orders","method":%q,"target":%q,"scheme":"http","host":"h","fields":[],"length":0,"at":1}`, id, oep, attempt, method, target)
	d := &node.Delivery{Peer: f.a.self.ID(), Delivery: link.Delivery{Message: frame.Message{ID: epoch<<8 + uint64(attempt), Kind: frame.KindReq, Data: req}, PeerEpoch: epoch}}
	if err := f.b.n.Do(func(s *node.Step) { f.b.m.Deliver(s, d) }); err != nil {
		f.t.Fatal(err)
	}
	synctest.Wait()
}

// forget lets time pass until nothing is known of these exchanges.
func (f *forgetful) forget(ids ...exchange.ID) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { f.b.m.Expire(ctx); close(done) }()
	time.Sleep(4 * time.Minute) // it remembers two
	synctest.Wait()
	cancel()
	<-done
	for _, id := range ids {
		if _, err := f.b.db.Exchange(f.t.Context(), id, store.SideEgress); !errors.Is(err, store.ErrNotFound) {
			f.t.Fatalf("the exchange is still known: %v", err)
		}
	}
}

// made demands how often each target was called.
func made(t *testing.T, up *callee, want map[string]int) {
	t.Helper()
	for target, n := range want {
		if got := up.count(target); got != n {
			t.Errorf("%s was called %d times, want %d", target, got, n)
		}
	}
}

// What comes from an older epoch of its site, and is older than all that this side remembers, may have been made and forgotten: then only
// what may be made twice is made. What is younger is new. The same where this side has lost its state: it remembers nothing from before.
func TestForgottenCallsAreNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &callee{slots: 4, calls: map[string]int{}, do: echo}
		f := newForgetful(t, up)
		defer f.stop()
		began := time.Now()
		old, safe := idOf(began, 1), idOf(began, 2)
		f.ask(old, 2, 2, 1, "POST", "/old")
		f.ask(safe, 2, 2, 1, "GET", "/safe")
		made(t, up, map[string]int{"/old": 1, "/safe": 1})
		f.forget(old, safe)
		f.ask(old, 2, 3, 2, "POST", "/old")
		f.ask(safe, 2, 3, 2, "GET", "/safe")
		f.ask(idOf(began.Add(-time.Hour), 3), 2, 3, 1, "POST", "/older")
		f.ask(idOf(time.Now(), 4), 2, 3, 1, "POST", "/younger")
		made(t, up, map[string]int{"/old": 1, "/safe": 2, "/older": 0, "/younger": 1})

		f.b.stop()
		f.b.db, f.b.chunks = store.NewMem(), nodetest.NewChunks()
		before := time.Now()
		time.Sleep(time.Second)
		f.start()
		f.ask(idOf(before, 5), 3, 4, 1, "POST", "/before the loss")
		f.ask(idOf(before, 6), 3, 4, 1, "GET", "/read before the loss")
		f.ask(idOf(time.Now(), 7), 3, 4, 1, "POST", "/since the loss")
		made(t, up, map[string]int{"/before the loss": 0, "/read before the loss": 1, "/since the loss": 1})
	})
}

// A call that was made and forgotten is not made again when its site asks for it from an old copy of its state, whatever the clock
// of that site says: the horizon of its calls is by their own ids.
func TestForgottenCallsOfAClockThatIsAheadAreNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &callee{slots: 4, calls: map[string]int{}, do: echo}
		f := newForgetful(t, up)
		defer f.stop()
		began := time.Now()
		right, wrong := idOf(began, 1), idOf(began.Add(48*time.Hour), 2)
		f.ask(right, 2, 2, 1, "POST", "/right")
		f.ask(wrong, 2, 2, 1, "POST", "/ahead")
		f.forget(right, wrong)
		f.b.crash()
		f.start()
		f.ask(right, 2, 3, 2, "POST", "/right")
		f.ask(wrong, 2, 3, 2, "POST", "/ahead")
		f.ask(idOf(began.Add(47*time.Hour), 3), 2, 3, 2, "POST", "/below")
		f.ask(idOf(began.Add(49*time.Hour), 4), 2, 3, 2, "POST", "/above")
		made(t, up, map[string]int{"/right": 1, "/ahead": 1, "/below": 0, "/above": 1})
	})
}

// idOf is a UUIDv7 of a time.
func idOf(at time.Time, n byte) exchange.ID {
	ms := at.UnixMilli()
	return exchange.ID{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms), 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n}
}
