package exchange_test

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

var askedID atomic.Uint64

// asked has the request of a call without a body come to a site.
func asked(t *testing.T, at, from *host, id exchange.ID, method string, attempt int, epoch uint64) {
	t.Helper()
	data := fmt.Appendf(nil, `{"exchange":%q,"oep":1,"attempt":%d,"upstream":"orders","method":%q,"target":"/x","scheme":"http","host":"h","fields":[],"length":0,"at":1}`, id, attempt, method)
	d := &node.Delivery{Peer: from.self.ID(), Delivery: link.Delivery{Message: frame.Message{Kind: frame.KindReq, Data: data}, PeerEpoch: epoch}}
	if err := at.n.Do(func(s *node.Step) {
		d.Received = s.Now
		if keep := at.m.Deliver(s, d); keep != nil {
			s.Store().AddInbox(store.In{Peer: d.Peer, PeerEpoch: epoch, ID: 1<<20 + askedID.Add(1), Kind: d.Kind, Exchange: keep.Exchange, Size: keep.Size, Data: data, State: store.InHandled})
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// calleesSide is the callees' side of a pair whose other side has met it, and runs no more.
func calleesSide(t *testing.T, up exchange.Upstreams, set func(b *host)) (a, b *host) {
	t.Helper()
	a, b = apart(t, up)
	set(b)
	a.start()
	b.start()
	t.Cleanup(func() { b.stop() })
	call(t, a, request(b, "HEAD", "/first", nil))
	until(t, "the call has ended", func() bool { return running(t, b) == 0 })
	until(t, "they have met", func() bool {
		met := make(chan bool, 1)
		return b.n.Do(func(s *node.Step) { met <- s.Link(a.self.ID()).Met() }) == nil && <-met
	})
	a.crash()
	return a, b
}

// A callers' side that is set back twice, or runs twice, asks twice under the same number. What the earlier one had of an answer
// comes no more, so the later one is not left with the rest.
func TestAskedAgainUnderTheSameNumber(t *testing.T) {
	for _, c := range []struct {
		method string
		last   string
	}{
		{"POST", "res 2001 outcome-uncertain"},
		{"PUT", "res 2002 "},
	} {
		t.Run(c.method, func(t *testing.T) {
			feed := make(chan *io.PipeWriter, 2)
			up := &callee{calls: map[string]int{}, slots: 1, do: func(r *exchange.Request, body []byte) *exchange.Response {
				if r.Method == "HEAD" {
					return echo(r, body)
				}
				pr, pw := io.Pipe()
				feed <- pw
				return &exchange.Response{Status: 200, Length: -1, Body: pr}
			}}
			a, b := calleesSide(t, up, func(*host) {})
			id := exchange.NewID(time.Now())
			asked(t, b, a, id, c.method, 2, 2)
			first := <-feed
			awaitSaid(t, b, id, "res 2001 ")
			asked(t, b, a, id, c.method, 2, 3)
			first.Close()
			if c.method == "PUT" {
				(<-feed).Close()
			}
			awaitSaid(t, b, id, "res 2001 ", "body 2001 ", c.last)
		})
	}
}

// A request that is sent again, and for which there is no room, ends: the number that it had before is void at its caller's site.
func TestAskedAgainWithoutRoom(t *testing.T) {
	for _, waits := range []bool{true, false} {
		t.Run(fmt.Sprintf("waits=%v", waits), func(t *testing.T) {
			g := newGate(1)
			go func() { g.open <- struct{}{} }() // the first call, that of calleesSide
			a, b := calleesSide(t, g, func(b *host) { b.share = 10 << 10 })
			<-g.entered
			first, second := exchange.NewID(time.Now()), exchange.NewID(time.Now())
			asked(t, b, a, first, "PUT", 1, 1)
			<-g.entered
			asked(t, b, a, second, "PUT", 1, 1)
			until(t, "another waits", func() bool { return queued(t, b) == 1 })
			id, want := first, "res 2001 outcome-uncertain"
			if waits {
				id, want = second, "res 2000 outcome-uncertain"
			}
			asked(t, b, a, id, "PUT", 2, 2)
			awaitSaid(t, b, id, want)
			close(g.open)
			until(t, "all has ended", func() bool { return running(t, b)+queued(t, b) == 0 })
			if n := g.count("/x"); waits != (n == 1) {
				t.Errorf("%d calls were made", n)
			}
		})
	}
}
