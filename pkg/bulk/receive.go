package bulk

import (
	"bytes"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// announced is a pack that the peer has announced.
type announced struct {
	seq     uint64
	x       ID
	recs    []chunk.Record // nil when settled
	got     []bool
	left    int
	settled bool
	miss    []int
	seen    bool // its file was found
	probed  bool // the peer waits for an answer
	at      time.Time
}

func (a *announced) row() Row {
	r := Row{Key: Key{Seq: a.seq}, Exchange: a.x, Records: a.recs, Miss: a.miss, At: a.at}
	if a.settled {
		r.State = Settled
	}
	return r
}

// maxAnnounced bounds the announcements that wait for their file. An honest peer has Config.MaxOpen of them, and
// some that it gave up.
const maxAnnounced = 1024

// maxExpected bounds the chunks in them: what a peer can have this site remember without sending anything. An honest one
// has Config.MaxOpen packs of maxRecords at most.
const maxExpected = 4 * defaultOpen * maxRecords

// Announce takes the announcement of a pack; false: it is known already, or too many wait for their file. (The
// peer then hears that it is unseen, and announces what is in it again.) Of an exchange that is over nothing is wanted.
func (p *Peer) Announce(now time.Time, d *PackData) bool {
	switch {
	case p.announced[d.Seq] != nil || p.over.has(d.Seq):
		return false
	case p.ended.has(d.Exchange):
		p.noteOver(d.Seq)
		return true
	case p.unsettled >= maxAnnounced || len(p.expected)+len(d.Recs) > maxExpected:
		return false
	case !p.charge(d.Exchange, d.Recs):
		p.noteOver(d.Seq)
		return true
	}
	p.unsettled++
	a := &announced{seq: d.Seq, x: d.Exchange, recs: d.Recs, got: make([]bool, len(d.Recs)), left: len(d.Recs), at: now}
	p.announced[d.Seq] = a
	for _, r := range a.recs {
		p.expected[r.Name]++
	}
	p.changes.Put = append(p.changes.Put, a.row())
	p.postpone(now, a.x)
	return true
}

// Expectation is what a pack must hold.
type Expectation struct {
	Exchange ID
	Records  []chunk.Record
	Got      []bool // those that came already
	// Settled says that the pack is done with: the file is a repeat, nothing in it is wanted.
	Settled bool
}

// Expect tells what a pack of the peer must hold; ok is false when it was not announced.
func (p *Peer) Expect(seq uint64) (e Expectation, ok bool) {
	a := p.announced[seq]
	if a == nil {
		return Expectation{Settled: true}, p.over.has(seq)
	}
	return Expectation{a.x, a.recs, slices.Clone(a.got), a.settled}, true
}

// Seen tells that the file of an announced pack was found: a probe waits for what the reading gives.
func (p *Peer) Seen(seq uint64) {
	if a := p.announced[seq]; a != nil {
		a.seen = true
	}
}

// Came takes what reading a pack gave: the places of records that are stored and durable with the next commit.
// final says that no more of the file will come: it was whole, is settled, or has vanished. bad counts records
// that were there and not as announced.
func (p *Peer) Came(seq uint64, got []int, bad int, final bool) {
	a := p.announced[seq]
	if a == nil || a.settled {
		return
	}
	if final { // before that it may be about to be written
		p.stats.ChunksBad += uint64(bad)
	}
	var names []chunk.Name
	for _, i := range got {
		if i < 0 || i >= len(a.got) || a.got[i] {
			continue
		}
		a.got[i] = true
		a.left--
		names = append(names, a.recs[i].Name)
		p.fetchCame(a.recs[i])
		p.unexpect(a.recs[i].Name)
	}
	p.stats.ChunksReceived += uint64(len(names))
	if len(names) > 0 {
		p.changes.Stored = append(p.changes.Stored, Stored{a.x, names})
	}
	if a.left == 0 || final {
		p.finish(a)
	}
}

// Vanished tells that a file is gone before it was read to its end. What came of it stays; where nothing did,
// it has not been seen.
func (p *Peer) Vanished(seq uint64) {
	a := p.announced[seq]
	if a == nil || a.settled {
		return
	}
	a.seen = false
	if a.left < len(a.recs) {
		p.finish(a)
	} else if a.probed {
		a.probed = false
		p.answer(HaveData{Seq: seq, Unseen: true}, a.x)
	}
}

// finish settles a pack and answers.
func (p *Peer) finish(a *announced) {
	for i, r := range a.recs {
		if !a.got[i] {
			a.miss = append(a.miss, i)
			p.unexpect(r.Name)
		}
	}
	a.settled, a.recs, a.got = true, nil, nil
	p.unsettled--
	p.changes.Put = append(p.changes.Put, a.row())
	p.answer(HaveData{Seq: a.seq, Miss: a.miss}, a.x)
}

func (p *Peer) unexpect(n chunk.Name) {
	if p.expected[n]--; p.expected[n] <= 0 {
		delete(p.expected, n)
	}
}

func (p *Peer) answer(d HaveData, x ID) {
	p.changes.Send = append(p.changes.Send, Message{Kind: frame.KindHave, Exchange: x, Data: encode(d)})
}

// Probe answers a question about a pack: at once, or when its file, which is being read or still grows, is done with.
func (p *Peer) Probe(d *ProbeData) {
	a := p.announced[d.Seq]
	switch {
	case a == nil:
		over := p.over.has(d.Seq)
		p.answer(HaveData{Seq: d.Seq, Unseen: !over, Over: over}, ID{})
	case a.settled:
		p.answer(HaveData{Seq: d.Seq, Miss: a.miss}, a.x)
	case a.seen:
		a.probed = true
	default:
		p.answer(HaveData{Seq: d.Seq, Unseen: true}, a.x)
	}
}

// AnnouncedFor lists what was announced for an exchange and has not come yet, and its bytes.
func (p *Peer) AnnouncedFor(x ID) (chunks int, bytes int64) {
	for _, a := range p.announced {
		if a.x != x {
			continue
		}
		for i, r := range a.recs {
			if !a.got[i] {
				chunks++
				bytes += r.Len
			}
		}
	}
	return chunks, bytes
}

// Expects says whether a chunk was announced and has not come.
func (p *Peer) Expects(n chunk.Name) bool { return p.expected[n] > 0 }

// need is the chunks of an exchange that a map names and that are not here.
type need struct {
	names map[chunk.Name]bool
	askAt time.Time
	asked int           // times in a row without anything new
	base  time.Duration // a round trip
}

// askMost caps the pause between two questions about the same chunks.
const askMost = time.Minute

// askAll is every how many questions without anything new those chunks are asked for too that are announced: the pack
// may be one that its sender gave up long ago, and whose announcement came late. Of one on its way the sender says nothing.
const askAll = 4

// Need says which chunks of an exchange are missing here. When nothing is announced for it and nothing has come
// for two round trips, those that are not announced are asked for, later the others too: each at most once per round trip.
func (p *Peer) Need(now time.Time, x ID, names []chunk.Name, base time.Duration) {
	p.ended.remove(x)
	n := p.needs[x]
	if n == nil {
		n = &need{names: map[chunk.Name]bool{}}
		p.needs[x] = n
	}
	for _, c := range names {
		n.names[c] = true
	}
	n.base = base
	p.postpone(now, x)
}

// postpone: something of the exchange has come, so what is missing may be on its way.
func (p *Peer) postpone(now time.Time, x ID) {
	p.postponeFetch(now, x)
	if n := p.needs[x]; n != nil {
		n.asked, n.askAt = 0, now.Add(max(2*n.base, askLeast))
	}
}

// askLeast is the shortest pause before missing chunks are asked for: their announcement may be one file behind.
const askLeast = 250 * time.Millisecond

// Satisfied says that chunks of an exchange are here, from wherever they came.
func (p *Peer) Satisfied(now time.Time, x ID, names []chunk.Name) {
	if p.fetched(x, names) {
		p.postponeFetch(now, x)
	}
	n := p.needs[x]
	if n == nil {
		return
	}
	for _, c := range names {
		delete(n.names, c)
	}
	if len(n.names) == 0 {
		delete(p.needs, x)
		return
	}
	p.postpone(now, x)
}

// ask sends wants.
func (p *Peer) ask(now time.Time, base time.Duration) {
	for _, x := range ordered(p.needs) {
		n := p.needs[x]
		if now.Before(n.askAt) {
			continue
		}
		var names []chunk.Name
		all := n.asked%askAll == askAll-1
		for c := range n.names {
			if all || p.expected[c] == 0 {
				names = append(names, c)
			}
		}
		n.base = base
		n.askAt = now.Add(min(max(2*base, askLeast)<<min(n.asked, 8), max(askMost, 2*base)))
		n.asked++
		if len(names) == 0 {
			continue
		}
		slices.SortFunc(names, func(a, b chunk.Name) int { return bytes.Compare(a[:], b[:]) })
		p.stats.Wants += uint64(len(names))
		p.tell(frame.KindWant, x, names)
	}
}
