package datapipe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

const (
	// lookMost is how many questions of one peer are looked up at once; more are passed over, and come again.
	lookMost = 4
	// giftMost is how many questions of one peer may be under way.
	giftMost = 256
	// giftLife is how long what was asked for stays on offer to a peer that takes none of it.
	giftLife = 24 * time.Hour
)

// ChunksAsked implements node.FetchHandler. What is not given to this peer is told to be gone, as what is not here.
func (p *Pipe) ChunksAsked(s *node.Step, peer identity.ID, x bulk.ID, wishes []bulk.Wish) {
	g := gift{peer, x}
	_, begun := p.given[g]
	switch {
	case p.o.Allowed != nil && !p.o.Allowed(peer):
		p.counts.refused.Add(uint64(len(wishes)))
		s.Refuse(peer, x, bulk.NamesOf(wishes))
		return
	case !begun && (p.Knows(x) || s.Bulk(peer).Offered(x)):
		return // the id is another exchange's
	case p.looking[peer] >= lookMost || !begun && p.giftsTo(peer) >= giftMost:
		return // it asks again
	}
	p.looking[peer]++
	p.run(func(ctx context.Context) {
		recs, names, gone, err := p.find(ctx, x, wishes)
		_ = p.loop.Do(func(s *node.Step) {
			if p.looking[peer]--; err != nil {
				if _, begun := p.given[g]; !begun {
					p.o.Chunks.Unpin(exchange.KeptBy(x))
				}
				p.o.Log.Error().Str("peer", p.name(peer)).Err(err).Msg("cannot look up what a peer asks for")
				return // it asks again
			}
			p.give(s, g, recs, names, gone)
		})
	})
}

// giftsTo counts what is given to a peer.
func (p *Pipe) giftsTo(peer identity.ID) (n int) {
	for g := range p.given {
		if g.peer == peer {
			n++
		}
	}
	return n
}

// gifts lists what is given, in order.
func (p *Pipe) gifts() []gift {
	return slices.SortedFunc(maps.Keys(p.given), func(a, b gift) int {
		return cmp.Or(bytes.Compare(a.id[:], b.id[:]), bytes.Compare(a.peer[:], b.peer[:]))
	})
}

// find looks chunks up. Those that are here are pinned before, so that they stay.
func (p *Pipe) find(ctx context.Context, x exchange.ID, wishes []bulk.Wish) (recs []chunk.Record, names, gone []chunk.Name, err error) {
	p.o.Chunks.Pin(exchange.KeptBy(x), bulk.NamesOf(wishes))
	for _, w := range wishes {
		r, err := p.o.Chunks.Find(ctx, w.Name, w.Hsh)
		switch {
		case errors.Is(err, chunk.ErrMissing):
			gone = append(gone, w.Name)
		case err != nil:
			return nil, nil, nil, err
		default:
			recs, names = append(recs, r), append(names, w.Name)
		}
	}
	return recs, names, gone, nil
}

// give sends what was found, and says what was not.
func (p *Pipe) give(s *node.Step, g gift, recs []chunk.Record, names, gone []chunk.Name) {
	p.counts.given.Add(uint64(len(recs)))
	p.counts.refused.Add(uint64(len(gone)))
	if len(gone) > 0 {
		s.Refuse(g.peer, g.id, gone)
	}
	if _, begun := p.given[g]; len(recs) == 0 && !begun {
		p.o.Chunks.Unpin(exchange.KeptBy(g.id))
		return
	}
	p.given[g] = s.Now
	s.Give(g.peer, g.id, recs)
	s.OnCommit(func(s *node.Step) { p.endGift(s, g) }) // all of it may be on its way already, with something else
}

// endGift ends what the peer has got. What it lacks all the same it asks for again.
func (p *Pipe) endGift(s *node.Step, g gift) {
	if _, ok := p.given[g]; ok && s.Bulk(g.peer).Settled(g.id) {
		p.dropGift(s, g)
	}
}

func (p *Pipe) dropGift(s *node.Step, g gift) {
	delete(p.given, g)
	s.Release(g.peer, g.id)
	p.o.Chunks.Unpin(exchange.KeptBy(g.id))
}

// recoverGiven finds among what is on offer to peers what they had asked for: offers under ids that are no exchange's
// here. Its chunks are pinned already.
func (p *Pipe) recoverGiven(ctx context.Context, s *node.Step) error {
	for _, peer := range p.o.Peers {
		offers, err := p.o.Store.Offers(ctx, peer.ID)
		if err != nil {
			return err
		}
		for _, o := range offers {
			g := gift{peer.ID, o.Exchange}
			if _, ok := p.given[g]; ok || p.Knows(o.Exchange) {
				continue
			}
			switch _, err := p.o.Store.Exchange(ctx, o.Exchange, store.SideEgress); {
			case errors.Is(err, store.ErrNotFound):
				p.given[g] = s.Now
			case err != nil:
				return err
			}
		}
	}
	return nil
}
