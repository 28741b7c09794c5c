package bulk

import (
	"slices"
	"time"

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
	of := inOrder(p.named[x])
	delete(p.named, x)
	for _, a := range of {
		p.unwant(a, x)
		switch {
		case len(a.exchanges()) == 0:
			if !a.settled {
				p.unsettled--
			}
			delete(p.announced, a.seq)
			p.noteOver(a.seq)
		case !a.settled && a.left == 0: // the others have come
			p.finish(a)
		}
	}
}

// unwant takes what was announced for an exchange out of a pack. Chunks of others in it are taken as they come.
func (p *Peer) unwant(a *announced, x ID) {
	if a.over == nil {
		a.over = map[ID]bool{}
	}
	a.over[x] = true
	if a.settled {
		return
	}
	xs := owners(a.runs)
	for i, r := range a.recs {
		if xs[i] == x && !a.got[i] {
			a.got[i] = true
			a.left--
			p.unexpect(r.Name)
		}
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
func (p *Peer) Announcing() []ID { return ordered(p.named) }

// AnnouncedBefore lists those of them for which nothing was announced at t or later.
func (p *Peer) AnnouncedBefore(t time.Time) (xs []ID) {
	for _, x := range p.Announcing() {
		if !slices.ContainsFunc(inOrder(p.named[x]), func(a *announced) bool { return !a.at.Before(t) }) {
			xs = append(xs, x)
		}
	}
	return xs
}

// Dead says that a pack of the peer cannot be announced any more: it dates from before the peer began the given epoch.
func Dead(seq, epoch uint64) bool { return seq < epoch*frame.SeqPerEpoch }
