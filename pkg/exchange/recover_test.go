package exchange_test

import (
	"testing"

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
