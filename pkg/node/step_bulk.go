package node

import (
	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// TakesPacks says whether chunks can travel to a peer: this site keeps chunks, and the peer takes packs.
func (s *Step) TakesPacks(peer identity.ID) bool {
	l := s.core.links[peer]
	return s.core.bulk[peer] != nil && l != nil && l.Takes(frame.KindPack)
}

// Bulk gives the packs' state of a peer for reading, nil for an unknown one.
func (s *Step) Bulk(peer identity.ID) *bulk.Peer { return s.core.Bulk(peer) }

// Offer has chunks of an exchange's body sent to a peer, those apart that it holds. They must be durable. They stay
// on offer until Release.
func (s *Step) Offer(peer identity.ID, exchange bulk.ID, recs []chunk.Record) {
	s.onBulk(peer, func(c *Core, p *bulk.Peer) {
		c.batch.AddOffer(store.Offer{Peer: peer, Exchange: exchange, Recs: bulk.PackRecords(recs)})
		p.Offer(exchange, recs)
	})
}

// Flush says that nothing more of a body is to come, so that what waits is sent at once.
func (s *Step) Flush(peer identity.ID, exchange bulk.ID) {
	s.onBulk(peer, func(_ *Core, p *bulk.Peer) { p.Flush(exchange) })
}

// Release ends an offer: what was not sent is not sent any more.
func (s *Step) Release(peer identity.ID, exchange bulk.ID) {
	s.onBulk(peer, func(c *Core, p *bulk.Peer) {
		if p.Offered(exchange) {
			c.batch.DropOffers(exchange)
			p.Release(exchange)
		}
	})
}

// Need says which chunks of an exchange are missing here: they are asked for if they do not come by themselves.
func (s *Step) Need(peer identity.ID, exchange bulk.ID, names []chunk.Name) {
	s.onBulk(peer, func(c *Core, p *bulk.Peer) { p.Need(s.Now, exchange, names, c.links[peer].SmallTrip()) })
}

// Satisfied says that chunks of an exchange are here, from wherever they came.
func (s *Step) Satisfied(peer identity.ID, exchange bulk.ID, names []chunk.Name) {
	s.onBulk(peer, func(_ *Core, p *bulk.Peer) { p.Satisfied(s.Now, exchange, names) })
}

// Forget drops what a peer announced for an exchange: nothing of that is wanted any more.
func (s *Step) Forget(peer identity.ID, exchange bulk.ID) {
	s.onBulk(peer, func(_ *Core, p *bulk.Peer) { p.Forget(exchange) })
}

// Over is Forget for good: nor is what the peer has still to announce for it.
func (s *Step) Over(peer identity.ID, exchange bulk.ID) {
	s.onBulk(peer, func(_ *Core, p *bulk.Peer) { p.Over(exchange) })
}

// Fetch asks a peer for chunks of data that it stores, see bulk.Peer.Fetch. Satisfied and Forget end it.
func (s *Step) Fetch(peer identity.ID, exchange bulk.ID, wishes []bulk.Wish) {
	s.onBulk(peer, func(_ *Core, p *bulk.Peer) { p.Fetch(exchange, wishes) })
}

// Give has chunks of stored data sent to a peer that asked for them. They must be durable. They stay on offer until Release.
func (s *Step) Give(peer identity.ID, exchange bulk.ID, recs []chunk.Record) {
	s.onBulk(peer, func(c *Core, p *bulk.Peer) {
		if added := p.Give(exchange, recs); len(added) > 0 {
			c.batch.AddOffer(store.Offer{Peer: peer, Exchange: exchange, Recs: bulk.PackRecords(added)})
		}
	})
}

// Refuse tells a peer which chunks that it asked for are not to be had here.
func (s *Step) Refuse(peer identity.ID, exchange bulk.ID, names []chunk.Name) {
	s.onBulk(peer, func(_ *Core, p *bulk.Peer) { p.Refuse(exchange, names) })
}

// Hold charges an exchange with chunks that it needs and that are here already; see bulk.Config.PeerBytes.
func (s *Step) Hold(peer identity.ID, exchange bulk.ID, recs []chunk.Record) {
	s.onBulk(peer, func(_ *Core, p *bulk.Peer) { p.Hold(exchange, recs) })
}

// onBulk has fn change the packs' state of a peer when the step is merged.
func (s *Step) onBulk(peer identity.ID, fn func(*Core, *bulk.Peer)) {
	s.bulk = append(s.bulk, func(c *Core) {
		if b := c.bulk[peer]; b != nil {
			fn(c, b.p)
			c.drainBulk(s.Now, peer)
		}
	})
}
