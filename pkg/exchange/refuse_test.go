package exchange_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
)

// The word of a refusal is given again under the number of the newest try: a caller's side that was set back may have had a
// part of its answer, and takes what has a lower number for void.
func TestRefusalThatIsGivenAgainHasTheNumberOfTheNewestTry(t *testing.T) {
	g := newGate(1)
	a, b := apart(t, g)
	a.bare, b.bare = true, true
	a.start()
	b.start()
	t.Cleanup(func() { b.stop() })
	id := post(t, a, request(b, "PUT", "/x", randomBytes(100_000)))
	<-g.entered
	a.crash() // it takes no answer any more
	b.crash()
	b.up = &callee{calls: map[string]int{}} // what was called is no longer there
	b.start()
	req := fmt.Appendf(nil, `{"exchange":%q,"oep":1,"attempt":2,"upstream":"orders","method":"PUT","target":"/x","scheme":"http","host":"h","fields":[],"length":100000,"parts":100000,"at":1}`, id)
	d := &node.Delivery{Peer: a.self.ID(), Delivery: link.Delivery{Message: frame.Message{Kind: frame.KindReq, Data: req}, PeerEpoch: 2}}
	if err := b.n.Do(func(s *node.Step) { b.m.Deliver(s, d) }); err != nil {
		t.Fatal(err)
	}
	var got []int
	until(t, "both are refused", func() bool {
		rows, err := b.db.OutboxExchange(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, r := range rows {
			var msg frame.Message
			var res struct {
				Attempt int               `json:"attempt"`
				Problem *exchange.Problem `json:"problem"`
			}
			if r.Kind != frame.KindRes {
				continue
			}
			if err := json.Unmarshal(r.Data, &msg); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(msg.Data, &res); err != nil {
				t.Fatal(err)
			}
			got = append(got, res.Attempt)
		}
		return len(got) == 2
	})
	if want := []int{1001, 2001}; !slices.Equal(got, want) {
		t.Errorf("refused under %v, want %v", got, want)
	}
}
