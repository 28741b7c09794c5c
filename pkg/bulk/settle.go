package bulk

import (
	"slices"
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
		p.came(k, k.fates(d))
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
	for i := len(k.recs) - 1; i >= 0; i-- {
		p.again(p.transfers[k.xs[i]], k.recs[i].Name)
	}
	p.drop(k)
}

// unwanted: what the pack was for is over at the peer. What is in it is not sent again, unless the peer asks for it, and not
// taken to be there.
func (p *Peer) unwanted(k *pack) {
	for i := range k.recs {
		p.waive(k, i)
	}
	p.drop(k)
}

// waive takes a record to be done with that the peer does not want.
func (p *Peer) waive(k *pack, i int) {
	t := p.transfers[k.xs[i]]
	if t == nil {
		return
	}
	if it := t.items[k.recs[i].Name]; it != nil && it.state == itemPacked {
		t.there(it)
	}
	p.moved(t.x)
}

// moved notes that something of an exchange was settled.
func (p *Peer) moved(x ID) {
	if n := len(p.changes.Moved); n == 0 || p.changes.Moved[n-1] != x {
		p.changes.Moved = append(p.changes.Moved, x)
	}
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
	fates := k.fates(d)
	at := k.written
	if at.IsZero() {
		at = now
	}
	if size := k.looked(fates); size > 0 {
		p.pace.sample(at, now.Sub(at), base, size)
	}
	p.stats.PacksSettled++
	p.size.settled(k, fates)
	if slices.Contains(fates, missed) {
		p.stats.PacksCut++
	}
	p.came(k, fates)
	for i := len(k.recs) - 1; i >= 0; i-- {
		switch fates[i] {
		case missed:
			p.again(p.transfers[k.xs[i]], k.recs[i].Name)
		case unwanted:
			p.waive(k, i)
		}
	}
	p.drop(k)
}

// fate is what became of a record at the peer.
type fate uint8

const (
	arrived  fate = iota
	missed        // it did not come whole
	unwanted      // its exchange is over: whether it came is not told
)

// fates gives what the peer says of each record of a pack.
func (k *pack) fates(d *HaveData) []fate {
	out := make([]fate, len(k.recs))
	for f, places := range map[fate][]int{missed: d.Miss, unwanted: d.Unwanted} {
		for _, i := range places {
			if i < len(out) {
				out[i] = f
			}
		}
	}
	return out
}

// looked gives how many bytes of a pack the peer had a look at: what is behind the last record that it wanted may have come
// or not.
func (k *pack) looked(fates []fate) (size int64) {
	n := len(k.recs)
	for n > 0 && fates[n-1] == unwanted {
		n--
	}
	return chunk.PackSize(k.recs[:n])
}

// came notes what the peer holds now.
func (p *Peer) came(k *pack, fates []fate) {
	for i, r := range k.recs {
		if fates[i] != arrived {
			continue
		}
		p.held.add(r.Name)
		p.changes.Held = append(p.changes.Held, r.Name)
		if t := p.transfers[k.xs[i]]; t != nil {
			if it := t.items[r.Name]; it != nil && it.state == itemPacked {
				t.there(it)
				p.moved(t.x)
			}
		}
	}
}

// Acked takes own message ids that the peer has acknowledged. base is the link's time for a round trip of a small file.
func (p *Peer) Acked(now time.Time, ids frame.Ranges, base time.Duration) {
	for _, k := range p.packs {
		if k.probeID != 0 && ids.Contains(k.probeID) {
			k.probeID, k.probing = 0, false
		}
		if k.msgID != 0 && ids.Contains(k.msgID) {
			k.msgID = 0
		}
	}
	for _, n := range p.needs {
		n.acked(now, ids, base)
	}
	for _, f := range p.fetches {
		f.acked(now, ids, base)
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
		p.tell(frame.KindGone, d.Exchange, gone, nil)
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
		p.changes.Send = append(p.changes.Send, Message{Kind: frame.KindProbe, Exchange: k.xs[0], Data: encode(ProbeData{k.seq}),
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
		if len(n.open) == 0 {
			sooner(n.askAt)
		}
	}
	p.fetchDeadline(sooner)
	return at
}
