package bulk

import (
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// keptGiven is how many packs that were given up are remembered.
const keptGiven = 32

// Have takes the peer's word about a pack. base is the link's time for a round trip of a small file.
func (p *Peer) Have(now time.Time, d *HaveData, base time.Duration) {
	k := p.packs[d.Seq]
	switch {
	case k == nil:
		p.late(d)
	case d.Unseen:
		p.unseen(now, k, base)
	case d.Over:
		p.unwanted(k)
	default:
		p.settle(now, k, d, base)
	}
}

// late is an answer about a pack that was given up: it came after all.
func (p *Peer) late(d *HaveData) {
	if d.Unseen || d.Over {
		return
	}
	for i, k := range p.given {
		if k.seq != d.Seq {
			continue
		}
		p.given = append(p.given[:i], p.given[i+1:]...)
		p.stats.Spurious++
		p.pace.spurious()
		p.came(k, missing(k, d))
		return
	}
}

// unseen: the file has not come. It is given up when the loss rule says so, else asked about later.
func (p *Peer) unseen(now time.Time, k *pack, base time.Duration) {
	if k.written.IsZero() {
		return
	}
	if !p.lost(now, k, base) {
		k.probeAt = now.Add(p.pace.probeAfter(base, k.size, k.probes))
		return
	}
	p.stats.PacksLost++
	p.pace.vain++
	p.given = append(p.given, k)
	if len(p.given) > keptGiven {
		p.given = p.given[1:]
	}
	p.size.vanished(k.size)
	t := p.transfers[k.x]
	for i := len(k.recs) - 1; i >= 0; i-- {
		p.again(t, k.recs[i].Name)
	}
	p.drop(k)
}

// unwanted: what the pack was for is over at the peer. What is in it is not sent again, unless the peer asks for it, and not
// taken to be there.
func (p *Peer) unwanted(k *pack) {
	if t := p.transfers[k.x]; t != nil {
		for _, r := range k.recs {
			if it := t.items[r.Name]; it != nil && it.state == itemPacked {
				t.there(it)
			}
		}
		p.changes.Moved = append(p.changes.Moved, k.x)
	}
	p.drop(k)
}

// lost is the loss rule for packs: by later ones that came, or by time. A small file overtakes a large one in
// many a pipe, so only packs count.
func (p *Peer) lost(now time.Time, k *pack, base time.Duration) bool {
	age := now.Sub(k.written)
	return k.laterCame(p) >= packThreshold && age > 2*base || age > p.pace.lostAfter(base, k.size)
}

const packThreshold = 3

// laterCame counts packs written later that were settled.
func (k *pack) laterCame(p *Peer) int {
	n := 0
	for _, at := range p.pace.settled {
		if at.After(k.written) {
			n++
		}
	}
	return n
}

func (p *Peer) settle(now time.Time, k *pack, d *HaveData, base time.Duration) {
	if k.written.IsZero() && !k.writing {
		return // it cannot have come; an answer to an earlier life of this number
	}
	miss := missing(k, d)
	at := k.written
	if at.IsZero() {
		at = now
	}
	p.pace.sample(at, now.Sub(at), base, k.size)
	p.stats.PacksSettled++
	p.size.settled(k, miss)
	if len(miss) > 0 {
		p.stats.PacksCut++
	}
	p.came(k, miss)
	t := p.transfers[k.x]
	for i := len(k.recs) - 1; i >= 0; i-- {
		if miss[i] {
			p.again(t, k.recs[i].Name)
		}
	}
	p.drop(k)
}

// missing gives the places of the records that did not come.
func missing(k *pack, d *HaveData) map[int]bool {
	miss := map[int]bool{}
	for _, i := range d.Miss {
		if i < len(k.recs) {
			miss[i] = true
		}
	}
	return miss
}

// came notes what the peer holds now.
func (p *Peer) came(k *pack, miss map[int]bool) {
	moved := map[ID]bool{}
	for i, r := range k.recs {
		if miss[i] {
			continue
		}
		p.held.add(r.Name)
		p.changes.Held = append(p.changes.Held, r.Name)
		if t := p.transfers[k.x]; t != nil {
			if it := t.items[r.Name]; it != nil && it.state == itemPacked {
				t.there(it)
				moved[k.x] = true
			}
		}
	}
	for x := range moved {
		p.changes.Moved = append(p.changes.Moved, x)
	}
}

// Acked takes own message ids that the peer has acknowledged.
func (p *Peer) Acked(ids frame.Ranges) {
	for _, k := range p.packs {
		if k.probeID != 0 && ids.Contains(k.probeID) {
			k.probeID, k.probing = 0, false
		}
		if k.msgID != 0 && ids.Contains(k.msgID) {
			k.msgID = 0
		}
	}
}

// Want takes the peer's wish for chunks of an exchange. What is on its way already is not sent twice; what is
// not here is told to be gone.
func (p *Peer) Want(d *NamesData) {
	t := p.transfers[d.Exchange]
	var gone []chunk.Name
	for i := len(d.Names) - 1; i >= 0; i-- {
		n := d.Names[i]
		p.held.remove(n)
		switch {
		case t == nil || t.items[n] == nil:
			gone = append(gone, n)
		case t.items[n].state == itemQueued || p.flying(n):
		default:
			p.again(t, n)
		}
	}
	if len(gone) > 0 {
		p.tell(frame.KindGone, d.Exchange, gone)
	}
}

// GoneAway takes the peer's word that it cannot give chunks that were asked for.
func (p *Peer) GoneAway(d *NamesData) {
	p.fetched(d.Exchange, d.Names)
	p.changes.Gone = append(p.changes.Gone, Gone{d.Exchange, d.Names})
}

// Tick lets time pass: probes are sent, chunks that are missed are asked for. base is the link's time for a
// round trip of a small file.
func (p *Peer) Tick(now time.Time, base time.Duration) {
	for _, k := range inOrder(p.packs) {
		if k.written.IsZero() || k.probing || now.Before(k.probeAt) {
			continue
		}
		k.probes++
		k.probing = true
		k.probeAt = now.Add(p.pace.probeAfter(base, k.size, k.probes))
		p.stats.Probes++
		p.changes.Send = append(p.changes.Send, Message{Kind: frame.KindProbe, Exchange: k.x, Data: encode(ProbeData{k.seq}),
			Got: func(id uint64) { k.probeID = id }})
	}
	p.ask(now, base)
	p.askFetches(now, base)
}

// Deadline is when Tick, or Rewrites, is wanted; zero: only events matter.
func (p *Peer) Deadline() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	for _, k := range p.packs {
		switch {
		case k.written.IsZero() && !k.writing:
			sooner(k.retryAt)
		case !k.written.IsZero() && !k.probing:
			sooner(k.probeAt)
		}
	}
	for _, n := range p.needs {
		sooner(n.askAt)
	}
	p.fetchDeadline(sooner)
	return at
}
