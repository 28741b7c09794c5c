package node

import (
	"runtime/debug"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/planted"
	"github.com/hoft/hoft/pkg/store"
)

// Inbound takes what was verified of a file of peer. token is handed back by Effects.Consume when
// its effects are durable; nil: not to be consumed yet.
func (c *Core) Inbound(now time.Time, peer identity.ID, in link.File, token any) {
	l := c.links[peer]
	if l == nil {
		return
	}
	if in.Pack {
		c.PackFound(now, peer, in.Seq, PackFound{Size: in.Size, Settled: in.Cut, Token: token, since: now})
		return
	}
	if c.crowded(peer) {
		for _, claims := range in.Lines {
			claims.Msg = slices.DeleteFunc(claims.Msg, func(m frame.Message) bool { return !answers(m.Kind) })
		}
	}
	ds := l.Receive(now, in)
	c.drain(now, peer, l)
	// A cancellation goes before what came with it: its request may be among that.
	slices.SortStableFunc(ds, func(a, b link.Delivery) int { return isCancel(b) - isCancel(a) })
	for i := range ds {
		c.deliver(now, &Delivery{Peer: peer, Delivery: ds[i], Received: now})
	}
	if token == nil {
		return
	}
	if carries(in) && planted.Bug != planted.ConsumeEarly {
		c.tokens = append(c.tokens, token)
	} else {
		c.out.Consume = append(c.out.Consume, token)
	}
}

// crowded says that twice as much waits for a peer as its outbox is for: it asks and asks, and does not take its answers.
// Nothing more that asks for something is taken from it then (it is not acked, so an honest peer asks again later); what
// answers us is, so two such sites do not wait for each other.
func (c *Core) crowded(peer identity.ID) bool {
	n, b := c.links[peer].Held()
	lim := c.limits
	return lim.OutboxMessages > 0 && n >= 2*lim.OutboxMessages || lim.OutboxBytes > 0 && b >= 2*lim.OutboxBytes
}

// answers says whether messages of a kind have no answer by themselves.
func answers(k frame.Kind) bool {
	switch k {
	case frame.KindRes, frame.KindBody, frame.KindStage, frame.KindWin, frame.KindAbort, frame.KindCancel, frame.KindPack, frame.KindHave, frame.KindGone:
		return true
	}
	return false
}

func isCancel(d link.Delivery) int {
	if d.Kind == frame.KindCancel {
		return 1
	}
	return 0
}

func carries(in link.File) bool {
	for _, l := range in.Lines {
		if len(l.Msg) > 0 {
			return true
		}
	}
	return false
}

// deliver has the layer above handle a message; a panic leaves nothing of what it did.
func (c *Core) deliver(now time.Time, d *Delivery) {
	if bulkKind(d.Kind) && c.bulk[d.Peer] != nil {
		c.takeBulk(now, d)
		return
	}
	s := &Step{Now: now, core: c}
	d.Tries++
	keep, ok := c.try(s, d)
	if !ok {
		c.setAside(now, d)
		return
	}
	if d.Tries > 1 {
		s.batch.DropInbox(d.Peer, d.PeerEpoch, d.ID)
	}
	if keep != nil {
		s.batch.AddInbox(inRow(d, *keep, store.InHandled))
	}
	s.merge()
}

func (c *Core) try(s *Step, d *Delivery) (keep *Keep, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			keep, ok = nil, false
			if c.Panics != nil {
				c.Panics(d, v, debug.Stack())
			}
		}
	}()
	keep = c.handler.Deliver(s, d)
	if err := s.batch.Check(); err != nil { // it would fail every commit from now on, whosever
		panic(err)
	}
	return keep, true
}

func inRow(d *Delivery, k Keep, state store.InState) store.In {
	return store.In{Peer: d.Peer, PeerEpoch: d.PeerEpoch, ID: d.ID, Kind: d.Kind, Exchange: k.Exchange, Attempt: k.Attempt,
		Offset: k.Offset, Size: k.Size, Beside: k.Beside, Part: k.Part, Data: d.Data, Enc: d.Enc, Body: d.Body, SentAt: d.SentAt, Received: d.Received, Tries: d.Tries, State: state}
}

// setAside keeps a message that could not be handled: again later, or for good after the third try.
func (c *Core) setAside(now time.Time, d *Delivery) {
	c.batch.AddInbox(inRow(d, Keep{}, store.InNew)) // stays as it is if an earlier try stored it
	if d.Tries < maxTries {
		c.poison = append(c.poison, poisoned{*d, now.Add(poisonRetry)})
		return
	}
	c.batch.SetInbox(d.Peer, d.PeerEpoch, d.ID, store.InFailed, d.Tries)
	s := &Step{Now: now, core: c}
	defer func() {
		if v := recover(); v != nil && c.Panics != nil {
			c.Panics(d, v, debug.Stack())
		}
	}()
	c.handler.Poisoned(s, d)
	s.merge()
}

// Redeliver handles an inbox row that an earlier run left: its next try is committed before it begins.
func (c *Core) Redeliver(now time.Time, row store.In) {
	d := Delivery{Peer: row.Peer, Received: row.Received, Tries: row.Tries, Delivery: link.Delivery{
		Message:   frame.Message{ID: row.ID, Kind: row.Kind, Data: row.Data, Enc: row.Enc, Body: row.Body},
		PeerEpoch: row.PeerEpoch, SentAt: row.SentAt}}
	c.retry(now, d)
}

func (c *Core) retry(now time.Time, d Delivery) {
	if d.Tries >= maxTries { // the last try ended this process
		c.setAside(now, &d)
		return
	}
	c.batch.SetInbox(d.Peer, d.PeerEpoch, d.ID, store.InNew, d.Tries+1)
	c.after = append(c.after, func(s *Step) { c.deliver(s.Now, &d) })
}
