package node

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
)

// An outbox that cannot be read is read again after a pause, not at once for as long as that lasts.
func TestOutboxThatCannotBeReadIsReadAgainLater(t *testing.T) {
	now := time.UnixMilli(1_763_800_000_000)
	l := link.New(link.Config{Self: here, Peer: there, Rkt: func() string { return "r" }, Rand: rand.New(rand.NewPCG(1, 2))},
		link.State{Epoch: thereEpoch, LastID: 10, SeqReserved: thereEpoch * frame.SeqPerEpoch}, now, 0)
	c := NewCore(here, map[identity.ID]*link.Link{there: l}, []identity.ID{there}, Limits{})
	c.SetHandler(&stumbling{})
	loads := c.Take(now).Loads
	if len(loads) != 1 {
		t.Fatalf("%d reads wanted", len(loads))
	}
	c.Loaded(now, loads[0], nil, errors.New("disk I/O error"))
	if n := len(c.Take(now).Loads); n != 0 {
		t.Errorf("%d reads at once", n)
	}
	now = now.Add(loadRetry)
	if at := c.Deadline(now); at.IsZero() || at.After(now) {
		t.Errorf("nothing wakes it before %v", at)
	}
	if loads = c.Take(now).Loads; len(loads) != 1 {
		t.Fatalf("%d reads after the pause", len(loads))
	}
	c.Loaded(now, loads[0], nil, nil)
	if q := l.NeedLoad(); q == loads[0].Query {
		t.Errorf("still wants %+v", q)
	}
}
