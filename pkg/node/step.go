package node

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/store"
)

// Step is what one event changes: all of it is committed together, or, after a panic, none.
// It is valid only during the call that gave it.
type Step struct {
	Now   time.Time
	core  *Core
	batch store.Batch
	sends []send
	after []func(*Step)
	drops []withdrawal
	bulk  []func(*Core)
	hurry bool
}

type send struct {
	peer identity.ID
	m    Message
}

type withdrawal struct {
	peer identity.ID
	ids  frame.Ranges
	had  bool // the peer has had them
}

// Store gives the batch to add changes to.
func (s *Step) Store() *store.Batch { return &s.batch }

// Send has messages delivered to a peer: stored with this step, written after its commit. It fails
// with ErrPeer, or with ErrOutboxFull (nothing sent) unless every message has Must.
func (s *Step) Send(peer identity.ID, ms ...Message) error {
	l := s.core.links[peer]
	if l == nil {
		return ErrPeer
	}
	n, b := l.Held()
	lim := s.core.limits
	for _, m := range ms {
		if !m.Must && (lim.OutboxMessages > 0 && n >= lim.OutboxMessages || lim.OutboxBytes > 0 && b >= lim.OutboxBytes) {
			return ErrOutboxFull
		}
	}
	for _, m := range ms {
		s.sends = append(s.sends, send{peer, m})
	}
	return nil
}

// OnCommit has fn called, as a step of its own, when this step is durable.
func (s *Step) OnCommit(fn func(*Step)) { s.after = append(s.after, fn) }

// Hurry has this step committed without waiting for company.
func (s *Step) Hurry() { s.hurry = true }

// Withdraw gives up own messages that are not acked.
func (s *Step) Withdraw(peer identity.ID, ids frame.Ranges) {
	s.drops = append(s.drops, withdrawal{peer, ids, false})
}

// Settle takes own messages for acked where an answer has shown that they came: their rows stay as those of acked ones do.
func (s *Step) Settle(peer identity.ID, ids frame.Ranges) {
	s.drops = append(s.drops, withdrawal{peer, ids, true})
}

// Link gives the link with a peer for reading, nil if unknown.
func (s *Step) Link(peer identity.ID) *link.Link { return s.core.links[peer] }

// Crowded says that far more waits for a peer than its outbox is for: what need not be answered is not.
func (s *Step) Crowded(peer identity.ID) bool {
	return s.core.links[peer] != nil && s.core.crowded(peer)
}

// StoreFailing says since when commits fail; zero: they do not.
func (s *Step) StoreFailing() time.Time { return s.core.failing }

// merge makes the step part of the next commit.
func (s *Step) merge() {
	c := s.core
	c.batch.Append(&s.batch)
	for i := 0; i < len(s.sends); {
		j := i
		for j < len(s.sends) && s.sends[j].peer == s.sends[i].peer {
			j++
		}
		c.submit(s.Now, s.sends[i].peer, s.sends[i:j])
		i = j
	}
	for _, w := range s.drops {
		if l := c.links[w.peer]; l != nil {
			if w.had {
				l.Settle(w.ids)
			} else {
				l.Withdraw(w.ids)
			}
			c.drain(s.Now, w.peer, l)
		}
	}
	for _, fn := range s.bulk {
		fn(c)
	}
	c.after = append(c.after, s.after...)
	c.hurry = c.hurry || s.hurry
	s.sends, s.after, s.drops, s.bulk = nil, nil, nil, nil
}

func (c *Core) submit(now time.Time, peer identity.ID, sends []send) {
	out := make([]link.Outgoing, len(sends))
	for i := range sends {
		out[i] = sends[i].m.Outgoing
	}
	for i, it := range c.links[peer].Submit(out) {
		if got := sends[i].m.Got; got != nil {
			got(it.ID)
		}
		c.batch.AddOutbox(store.Out{Peer: peer, ID: it.ID, Kind: it.Kind, Prio: uint8(it.Prio), Exchange: it.Ref,
			Keep: sends[i].m.Keep, Data: it.Data, Created: now})
	}
}
