package store

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/hoft/hoft/pkg/identity"
)

// memBulk is the part of a memState that is about packs.
type memBulk struct {
	packs  map[packKey]*Pack
	offers []*Offer
	held   map[identity.ID][][16]byte // in the order in which they became known
}

type packKey struct {
	peer identity.ID
	own  bool
	seq  uint64
}

func newMemBulk() memBulk {
	return memBulk{packs: map[packKey]*Pack{}, held: map[identity.ID][][16]byte{}}
}

func (s *memBulk) clone() memBulk {
	c := memBulk{packs: maps.Clone(s.packs), offers: slices.Clone(s.offers), held: maps.Clone(s.held)}
	for k, v := range c.held {
		c.held[k] = slices.Clone(v)
	}
	return c
}

func (s *memBulk) apply(o op) (ok bool) {
	switch o := o.(type) {
	case putPack:
		p := o.Pack
		p.At, p.Recs, p.Runs = stored(p.At), storedBytes(p.Recs), storedBytes(p.Runs)
		s.packs[packKey{p.Peer, p.Own, p.Seq}] = &p
	case dropPack:
		delete(s.packs, packKey(o))
	case addOffer:
		x := o.Offer
		x.Recs = storedBytes(x.Recs)
		s.offers = append(s.offers, &x)
	case dropOffers:
		s.offers = slices.DeleteFunc(s.offers, func(x *Offer) bool { return x.Exchange == o.exchange })
	case addHeld:
		for _, n := range o.names {
			if !slices.Contains(s.held[o.peer], n) {
				s.held[o.peer] = append(s.held[o.peer], n)
			}
		}
	case clearHeld:
		delete(s.held, o.peer)
	default:
		return false
	}
	return true
}

// Packs implements Reader.
func (m *Mem) Packs(ctx context.Context, peer identity.ID) (out []Pack, err error) {
	err = m.read(ctx, func(s *memState) {
		for k, p := range s.bulk.packs {
			if k.peer == peer {
				x := *p
				x.Recs, x.Runs = slices.Clone(x.Recs), slices.Clone(x.Runs)
				out = append(out, x)
			}
		}
	})
	slices.SortFunc(out, func(a, b Pack) int {
		return cmp.Or(cmp.Compare(toBool(a.Own), toBool(b.Own)), cmp.Compare(a.Seq, b.Seq))
	})
	return out, err
}

// Offers implements Reader.
func (m *Mem) Offers(ctx context.Context, peer identity.ID) (out []Offer, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, o := range s.bulk.offers {
			if o.Peer == peer {
				x := *o
				x.Recs = slices.Clone(x.Recs)
				out = append(out, x)
			}
		}
	})
	return out, err
}

// Held implements Reader.
func (m *Mem) Held(ctx context.Context, peer identity.ID, n int) (out [][16]byte, err error) {
	err = m.read(ctx, func(s *memState) {
		names := slices.Clone(s.bulk.held[peer])
		slices.Reverse(names)
		out = firstN(names, n)
	})
	return out, err
}
