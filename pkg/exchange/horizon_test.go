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
	"github.com/hoft/hoft/pkg/store"
)

// A call that was made and forgotten is not made again when its site asks for it from an old copy of its state, whatever the clock
// of that site says: the horizon of its calls is by their own ids.
func TestForgottenCallsOfAClockThatIsAheadAreNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &callee{slots: 4, calls: map[string]int{}, do: echo}
		a, b := apart(t, up)
		b.ttl, b.keep = time.Minute, time.Minute
		met := func() {
			b.start()
			time.Sleep(10 * time.Second) // of the bubble: a has met this run of b
			synctest.Wait()
		}
		a.start()
		defer func() { a.stop(); b.stop() }()
		met()
		ask := func(id exchange.ID, oep, epoch uint64, attempt int, target string) {
			req := fmt.Appendf(nil, `{"exchange":%q,"oep":%d,"attempt":%d,"upstream":"orders","method":"POST","target":%q,"scheme":"http","host":"h","fields":[],"length":0,"at":1}`, id, oep, attempt, target)
			d := &node.Delivery{Peer: a.self.ID(), Delivery: link.Delivery{Message: frame.Message{ID: epoch<<8 + uint64(attempt), Kind: frame.KindReq, Data: req}, PeerEpoch: epoch}}
			if err := b.n.Do(func(s *node.Step) { b.m.Deliver(s, d) }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		began := time.Now()
		right, wrong := idOf(began, 1), idOf(began.Add(48*time.Hour), 2)
		ask(right, 2, 2, 1, "/right")
		ask(wrong, 2, 2, 1, "/ahead")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.m.Expire(ctx); close(done) }()
		time.Sleep(4 * time.Minute) // it remembers two
		synctest.Wait()
		cancel()
		<-done
		for _, id := range []exchange.ID{right, wrong} {
			if _, err := b.db.Exchange(t.Context(), id, store.SideEgress); !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("the exchange is still known: %v", err)
			}
		}
		b.crash()
		met()
		ask(right, 2, 3, 2, "/right")
		ask(wrong, 2, 3, 2, "/ahead")
		ask(idOf(began.Add(47*time.Hour), 3), 2, 3, 2, "/below")
		ask(idOf(began.Add(49*time.Hour), 4), 2, 3, 2, "/above")
		for target, want := range map[string]int{"/right": 1, "/ahead": 1, "/below": 0, "/above": 1} {
			if got := up.count(target); got != want {
				t.Errorf("%s was called %d times, want %d", target, got, want)
			}
		}
	})
}

// idOf is a UUIDv7 of a time.
func idOf(at time.Time, n byte) exchange.ID {
	ms := at.UnixMilli()
	return exchange.ID{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms), 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n}
}
