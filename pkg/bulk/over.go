package bulk

import (
	"bytes"
	"maps"
	"slices"

	"github.com/hoft/hoft/pkg/frame"
)

// maxOver bounds the packs, and the exchanges, that are remembered to be over.
const maxOver = 4096

// recent is a bounded set; the oldest go first.
type recent[T comparable] struct {
	in    map[T]struct{}
	order []T
}

func newRecent[T comparable]() recent[T] { return recent[T]{in: map[T]struct{}{}} }

func (r *recent[T]) has(x T) bool {
	_, ok := r.in[x]
	return ok
}

// add notes x; gone is what had to go for it.
func (r *recent[T]) add(x T) (gone T, full bool) {
	if r.has(x) {
		return gone, false
	}
	r.in[x] = struct{}{}
	r.order = append(r.order, x)
	if len(r.order) <= maxOver {
		return gone, false
	}
	gone = r.order[0]
	r.order = r.order[1:]
	delete(r.in, gone)
	return gone, true
}

// remove takes x out.
func (r *recent[T]) remove(x T) {
	if r.has(x) {
		delete(r.in, x)
		r.order = slices.DeleteFunc(r.order, func(y T) bool { return y == x })
	}
}

// Forget drops what the peer announced for an exchange, and what is missed of it. The files of those packs, which may
// come yet or once more, are removed unread. More may be announced for it; if not, see Over.
func (p *Peer) Forget(x ID) {
	delete(p.needs, x)
	delete(p.fetches, x)
	p.discharge(x)
	for _, a := range inOrder(p.announced) {
		if a.x != x {
			continue
		}
		for i, r := range a.recs {
			if !a.got[i] {
				p.unexpect(r.Name)
			}
		}
		if !a.settled {
			p.unsettled--
		}
		delete(p.announced, a.seq)
		p.noteOver(a.seq)
	}
}

// Over is Forget for good: what is still announced for the exchange is not wanted either. A sender learns of an end only
// a round trip later, and sends again meanwhile what is merely slow. Need begins anew.
func (p *Peer) Over(x ID) {
	p.Forget(x)
	p.ended.add(x)
}

// noteOver remembers that nothing of a pack is wanted.
func (p *Peer) noteOver(seq uint64) {
	p.changes.Put = append(p.changes.Put, Row{Key: Key{Seq: seq}, State: Settled})
	if gone, full := p.over.add(seq); full {
		p.changes.Drop = append(p.changes.Drop, Key{Seq: gone})
	}
}

// Announcing lists the exchanges that packs of the peer are announced for, in order.
func (p *Peer) Announcing() []ID {
	xs := map[ID]struct{}{}
	for _, a := range p.announced {
		xs[a.x] = struct{}{}
	}
	return slices.SortedFunc(maps.Keys(xs), func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
}

// Dead says that a pack of the peer cannot be announced any more: it dates from before the peer began the given epoch.
func Dead(seq, epoch uint64) bool { return seq < epoch*frame.SeqPerEpoch }
