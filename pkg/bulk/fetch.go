package bulk

import (
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// Wish is a chunk of stored data that is asked for. The hash belongs to it: under one name others may have left
// something else in the store of whoever is asked.
type Wish struct {
	Name chunk.Name
	Hsh  chunk.Sum
}

// fetch is the chunks of stored data that the peer was asked for, or is to be asked for, under one exchange.
type fetch struct {
	wishes map[chunk.Name]chunk.Sum
	fresh  []Wish // not asked for yet
	asking        // askAt is zero before anything was asked for
}

// Fetch asks the peer for chunks of data that it stores: at once, and those that do not come again, each at most once
// per round trip. More may be added under the same exchange; Satisfied and Forget end it, chunk by chunk or as a whole.
// The answers are packs, or GoneAway.
func (p *Peer) Fetch(x ID, wishes []Wish) {
	p.ended.remove(x)
	f := p.fetches[x]
	if f == nil {
		f = &fetch{wishes: map[chunk.Name]chunk.Sum{}}
		p.fetches[x] = f
	}
	for _, w := range wishes {
		if _, asked := f.wishes[w.Name]; !asked {
			f.wishes[w.Name] = w.Hsh
			f.fresh = append(f.fresh, w)
		}
	}
}

// Fetches says whether the peer takes fetch: what it does not take is not asked for.
func (p *Peer) Fetches(takes bool) { p.canFetch = takes }

// Fetching counts the chunks that the peer was asked for, and have not come.
func (p *Peer) Fetching() (n int) {
	for _, f := range p.fetches {
		n += len(f.wishes)
	}
	return n
}

// fetched takes chunks off that are here, or that the peer does not have; left says that others are still missing.
func (p *Peer) fetched(x ID, names []chunk.Name) (left bool) {
	f := p.fetches[x]
	if f == nil {
		return false
	}
	for _, n := range names {
		delete(f.wishes, n)
	}
	if len(f.wishes) == 0 {
		delete(p.fetches, x)
	}
	return len(f.wishes) > 0
}

// fetchCame takes a chunk off that came, for whatever exchange: it must not be asked for once more before the layers
// above have seen it.
func (p *Peer) fetchCame(r chunk.Record) {
	for _, x := range ordered(p.fetches) {
		if h, ok := p.fetches[x].wishes[r.Name]; ok && h == r.Hsh {
			p.fetched(x, []chunk.Name{r.Name})
		}
	}
}

// postponeFetch: something of the exchange was announced or has come, so the rest may be on its way.
func (p *Peer) postponeFetch(now time.Time, x ID) {
	if f := p.fetches[x]; f != nil && !f.askAt.IsZero() {
		f.asked, f.askAt = 0, now.Add(max(2*f.base, askLeast))
	}
}

// resetFetches: the peer lost its state, and with it what it was asked for.
func (p *Peer) resetFetches() {
	for _, f := range p.fetches {
		f.askAt, f.asked, f.fresh = time.Time{}, 0, nil
		for n, h := range f.wishes {
			f.fresh = append(f.fresh, Wish{n, h})
		}
	}
}

// askFetches sends what is to be asked for now.
func (p *Peer) askFetches(now time.Time, base time.Duration) {
	if !p.canFetch {
		return
	}
	for _, x := range ordered(p.fetches) {
		f := p.fetches[x]
		f.base = base
		ask := f.fresh
		f.fresh = nil
		all := false
		if !f.askAt.IsZero() && len(f.open) == 0 && !now.Before(f.askAt) {
			all = f.asked%askAll == askAll-1
			ask = ask[:0:0]
			for n, h := range f.wishes {
				ask = append(ask, Wish{n, h})
			}
			f.askAt = now.Add(min(max(2*base, askLeast)<<min(f.asked, 8), max(askMost, 2*base)))
			f.asked++
		}
		// What is announced comes by itself, unless its pack was given up before that was known here.
		ask = slices.DeleteFunc(ask, func(w Wish) bool { _, is := f.wishes[w.Name]; return !is || !all && p.expected[w.Name] > 0 })
		if f.askAt.IsZero() {
			f.askAt = now.Add(max(2*base, askLeast))
		}
		slices.SortFunc(ask, func(a, b Wish) int { return slices.Compare(a.Name[:], b.Name[:]) })
		p.stats.Fetches += uint64(len(ask))
		for part := range slices.Chunk(ask, maxWishes) {
			p.changes.Send = append(p.changes.Send, Message{Kind: frame.KindFetch, Exchange: x, Data: encode(FetchData{x, part}), Got: f.got})
		}
	}
}

// fetchDeadline is when askFetches is wanted; zero: only events matter.
func (p *Peer) fetchDeadline(sooner func(time.Time)) {
	if !p.canFetch {
		return
	}
	for _, f := range p.fetches {
		if len(f.fresh) > 0 {
			sooner(atOnce)
		} else if len(f.open) == 0 {
			sooner(f.askAt)
		}
	}
}

// Give queues chunks of stored data that the peer asked for under an exchange: it has none of them, whatever was known
// of it. What is on its way already is not sent twice. They stay on offer until Release. It gives those that were not
// on offer for the exchange before.
func (p *Peer) Give(x ID, recs []chunk.Record) (added []chunk.Record) {
	t := p.transfers[x]
	for _, r := range recs {
		p.held.remove(r.Name)
		switch {
		case t == nil || t.items[r.Name] == nil:
			added = append(added, r)
		case t.items[r.Name].state == itemQueued || p.flying(r.Name):
		default:
			p.again(t, r.Name)
		}
	}
	if len(added) > 0 {
		p.Offer(x, added)
	}
	p.Flush(x)
	return added
}

// NamesOf gives the names of wished chunks.
func NamesOf(wishes []Wish) []chunk.Name {
	names := make([]chunk.Name, len(wishes))
	for i, w := range wishes {
		names[i] = w.Name
	}
	return names
}

// Refuse tells the peer which chunks that it asked for are not to be had here.
func (p *Peer) Refuse(x ID, names []chunk.Name) { p.tell(frame.KindGone, x, names, nil) }
