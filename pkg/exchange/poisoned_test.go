package exchange_test

import (
	"fmt"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
)

// poison has a site set a message of a peer about an exchange aside.
func poison(t *testing.T, at, from *host, id exchange.ID) {
	t.Helper()
	d := &node.Delivery{Peer: from.self.ID(), Delivery: link.Delivery{Message: frame.Message{Kind: frame.KindWin, Data: fmt.Appendf(nil, `{"exchange":%q}`, id)}}}
	if err := at.n.Do(func(s *node.Step) { at.m.Poisoned(s, d) }); err != nil {
		t.Fatal(err)
	}
}

// A message that is set aside ends the call that it belongs to at the callees' side too, and its slot is free.
func TestPoisonedCallFreesItsSlot(t *testing.T) {
	g := newGate(1)
	a, b := pair(t, g)
	first := post(t, a, request(b, "POST", "/first", nil))
	<-g.entered
	second := post(t, a, request(b, "POST", "/second", nil))
	until(t, "another waits", func() bool { return queued(t, b) == 1 })
	third := post(t, a, request(b, "POST", "/third", nil))
	until(t, "a third one waits", func() bool { return queued(t, b) == 2 })
	poison(t, b, a, second)
	if _, err := outcome(t, a, second); problemCode(err) != exchange.CodePoison {
		t.Errorf("the one that waited ended with %v", err)
	}
	poison(t, b, a, first)
	if _, err := outcome(t, a, first); problemCode(err) != exchange.CodePoison {
		t.Errorf("the one under way ended with %v", err)
	}
	close(g.open)
	awaitResult(t, a, third)
	if g.count("/second") != 0 {
		t.Error("a call was made that had ended")
	}
	until(t, "nothing is left", func() bool {
		n, err := b.m.Tally(t.Context())
		return err == nil && len(n.Jobs) == 0
	})
	b.crash()
	b.start()
	if n, err := b.m.Tally(t.Context()); err != nil || len(n.Jobs) > 0 {
		t.Errorf("after a restart: %v, %v", n.Jobs, err)
	}
}

// What one peer has said ends no call that was made to another.
func TestPoisonedMessageOfAnotherSite(t *testing.T) {
	g := newGate(1)
	a, b := pair(t, g)
	id := post(t, a, request(b, "POST", "/x", nil))
	<-g.entered
	other, _ := apart(t, nil)
	poison(t, a, other, id)
	close(g.open)
	awaitResult(t, a, id)
}
