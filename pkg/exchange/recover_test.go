package exchange_test

import (
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
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
