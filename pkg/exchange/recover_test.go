package exchange_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// A site whose peer was taken out of the configuration starts, whatever waits for that peer, and goes on when the peer is back.
func TestPeerTakenOutWhileItsCallsWait(t *testing.T) {
	g := newGate(1)
	a, b := pair(t, g)
	first := post(t, a, request(b, "POST", "/first", nil))
	<-g.entered
	second := post(t, a, request(b, "POST", "/second", nil))
	third := post(t, a, request(b, "GET", "/third", nil))
	until(t, "they wait", func() bool { return queued(t, b) == 2 })
	post(t, b, request(a, "POST", "/back", nil))
	b.crash()
	other, err := identity.Generate("site-c")
	if err != nil {
		t.Fatal(err)
	}
	known := b.peer
	b.peer = other.Public()
	b.start()
	b.stop()
	b.peer = known
	b.start()
	close(g.open)
	for id, code := range map[exchange.ID]string{first: exchange.CodeUncertain, second: "", third: ""} {
		if _, err := outcome(t, a, id); problemCode(err) != code {
			t.Errorf("%s ended with %v", id, err)
		}
	}
}

// An upstream that was taken out while a body was on its way to it is not waited for: what it was to be called with is refused
// at the start, whether all of it is here or not.
func TestUpstreamTakenOutWhileABodyComes(t *testing.T) {
	for name, up := range map[string]exchange.Upstreams{"the upstream": &callee{calls: map[string]int{}}, "all of them": nil} {
		t.Run(name, func(t *testing.T) {
			a, b, _, _ := badPair(t, &callee{calls: map[string]int{}, slots: 1, do: echo}, func(int, []byte) ([]byte, bool) { return nil, true }, nil)
			known(t, a, b)
			id := post(t, a, request(b, "PUT", "/x", randomBytes(1<<20)))
			until(t, "the request is there without its chunks", func() bool {
				_, err := b.db.InboxRequest(t.Context(), id, false)
				return err == nil
			})
			b.stop()
			b.up = up
			b.start()
			if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeNoUpstream {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// A call with a deadline ends also where its peer was taken out, which would have had to tell of the end.
func TestDeadlineOfACallToAPeerTakenOut(t *testing.T) {
	a, b := apart(t, &callee{calls: map[string]int{}, slots: 1, do: echo})
	a.start()
	t.Cleanup(func() { a.stop() })
	r := request(b, "POST", "/x", nil)
	r.Deadline = time.Now().Add(time.Second)
	id := post(t, a, r)
	a.crash()
	other, err := identity.Generate("site-c")
	if err != nil {
		t.Fatal(err)
	}
	a.peer = other.Public()
	a.start()
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeUncertain {
		t.Errorf("ended with %v", err)
	}
}

// What is stored and cannot be used ends its own exchange, not the start of the site.
func TestStoredPartsThatCannotBeUsed(t *testing.T) {
	a, b := apart(t, &callee{calls: map[string]int{}, slots: 1, do: echo})
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	b.stop()
	answered := post(t, a, request(b, "POST", "/x", nil))
	put := func(at, from *host, n uint64, kind frame.Kind, id exchange.ID, offset int64, data string) {
		if err := at.n.Do(func(s *node.Step) {
			s.Store().AddInbox(store.In{Peer: from.self.ID(), PeerEpoch: 1, ID: 1<<20 + n, Kind: kind, Exchange: id, Attempt: 1001, Offset: offset, Size: 5, Part: true,
				Data: fmt.Appendf(nil, data, id), Received: s.Now, State: store.InHandled})
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(a, b, 1, frame.KindRes, answered, 0, `{"exchange":%q,"attempt":1001,"status":200,"more":true,"of another version":1}`)
	put(a, b, 2, frame.KindBody, answered, 5, `{"exchange":%q,"attempt":1001,"offset":5}`)
	a.stop()
	a.start()
	if _, err := outcome(t, a, answered); problemCode(err) != exchange.CodeInternal {
		t.Errorf("the call ended with %v", err)
	}
	a.stop()
	b.start()
	asked := exchange.NewID(time.Now())
	put(b, a, 1, frame.KindBody, asked, 0, `{"exchange":%q,"offset":0,"map":"AAAA"}`)
	put(b, a, 2, frame.KindBody, asked, 5, `{"exchange":%q,"offset":5}`)
	b.stop()
	b.start()
	ask(t, b, a, asked, "PUT", 1, 10)
	awaitWords(t, b, asked, word(1000, exchange.CodeInternal))
	if n, err := b.m.Tally(t.Context()); err != nil || len(n.Jobs) > 0 {
		t.Errorf("left: %v, %v", n.Jobs, err)
	}
	a.start()
}
