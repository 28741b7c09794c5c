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
	runs    []Run          // whose the records are
	over    map[ID]bool    // of those, exchanges of which nothing is wanted any more
	recs    []chunk.Record // nil when settled
	got     []bool         // or not wanted any more
	left    int            // that are wanted and have not come
	some    bool           // something came
	settled bool
	miss    []int // of a settled one: what is not said to be here
	seen    bool  // its file was found
	probed  bool  // the peer waits for an answer
	at      time.Time
}

func (a *announced) row() Row {
	r := Row{Key: Key{Seq: a.seq}, Runs: a.runs, Records: a.recs, Miss: a.miss, At: a.at}
	if a.settled {
		r.State = Settled
	}
	return r
}

// parts visits the records of each exchange.
func (a *announced) parts(yield func(ID, []chunk.Record) bool) {
	at := 0
	for _, r := range a.runs {
		if !yield(r.Exchange, a.recs[at:at+r.N]) {
			return
		}
		at += r.N
	}
}

// exchanges lists those of which something is wanted.
func (a *announced) exchanges() (xs []ID) {
	for _, r := range a.runs {
		if !a.over[r.Exchange] {
			xs = append(xs, r.Exchange)
		}
	}
	return xs
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
	if p.announced[d.Seq] != nil || p.over.has(d.Seq) {
		return false
	}
	a := &announced{seq: d.Seq, over: map[ID]bool{}, at: now}
	a.recs, a.runs = d.all()
	for _, r := range a.runs {
		if p.ended.has(r.Exchange) {
			a.over[r.Exchange] = true
		}
	}
	if len(a.exchanges()) > 0 && (p.unsettled >= maxAnnounced || len(p.expected)+len(a.recs) > maxExpected) {
		return false
	}
	a.got, a.left = make([]bool, len(a.recs)), len(a.recs)
	at := 0
	for x, recs := range a.parts {
		if a.over[x] || !p.charge(x, recs) {
			a.over[x] = true
			a.left -= len(recs)
			for i := range recs {
				a.got[at+i] = true
			}
		}
		at += len(recs)
	}
	if a.left == 0 {
		p.noteOver(d.Seq)
		return true
	}
	p.unsettled++
	p.note(a)
	for i, r := range a.recs {
		if !a.got[i] {
			p.expected[r.Name]++
		}
	}
	p.changes.Put = append(p.changes.Put, a.row())
	for _, x := range a.exchanges() {
		p.postpone(now, x)
	}
	return true
}

// note keeps an announcement.
func (p *Peer) note(a *announced) {
	p.announced[a.seq] = a
	for _, x := range a.exchanges() {
		if p.named[x] == nil {
			p.named[x] = map[uint64]*announced{}
		}
		p.named[x][a.seq] = a
	}
}

// Expectation is what a pack must hold.
type Expectation struct {
	Exchanges []ID // of which something is wanted
	Records   []chunk.Record
	Got       []bool // those that came already, or are not wanted
	// Settled says that the pack is done with: the file is a repeat, nothing in it is wanted.
	Settled bool
}

// Expect tells what a pack of the peer must hold; ok is false when it was not announced.
func (p *Peer) Expect(seq uint64) (e Expectation, ok bool) {
	a := p.announced[seq]
	if a == nil {
		return Expectation{Settled: true}, p.over.has(seq)
	}
	return Expectation{a.exchanges(), a.recs, slices.Clone(a.got), a.settled}, true
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
	xs, from := owners(a.runs), len(p.changes.Stored)
	for _, i := range got {
		if i < 0 || i >= len(a.got) || a.got[i] {
			continue
		}
		a.got[i], a.some = true, true
		a.left--
		p.stats.ChunksReceived++
		p.fetchCame(a.recs[i])
		p.unexpect(a.recs[i].Name)
		if n := len(p.changes.Stored); n == from || p.changes.Stored[n-1].Exchange != xs[i] {
			p.changes.Stored = append(p.changes.Stored, Stored{Exchange: xs[i]})
		}
		s := &p.changes.Stored[len(p.changes.Stored)-1]
		s.Names = append(s.Names, a.recs[i].Name)
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
	if a.some {
		p.finish(a)
	} else if a.probed {
		a.probed = false
		p.answer(HaveData{Seq: seq, Unseen: true}, a.runs[0].Exchange)
	}
}

// finish settles a pack and answers.
func (p *Peer) finish(a *announced) {
	for i, x := range owners(a.runs) {
		if !a.got[i] {
			p.unexpect(a.recs[i].Name)
		}
		if !a.got[i] || a.over[x] { // of what is over nothing is said to be here, as it may not be
			a.miss = append(a.miss, i)
		}
	}
	a.settled, a.recs, a.got = true, nil, nil
	p.unsettled--
	p.changes.Put = append(p.changes.Put, a.row())
	p.answer(a.outcome(), a.runs[0].Exchange)
}

// outcome is what the peer is told of a settled pack: what belongs to exchanges that are over by now is not to come again.
func (a *announced) outcome() HaveData {
	d, xs := HaveData{Seq: a.seq}, owners(a.runs)
	for _, i := range a.miss {
		if i < len(xs) && a.over[xs[i]] {
			d.Unwanted = append(d.Unwanted, i)
		} else {
			d.Miss = append(d.Miss, i)
		}
	}
	return d
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
		p.answer(a.outcome(), a.runs[0].Exchange)
	case a.seen:
		a.probed = true
	default:
		p.answer(HaveData{Seq: d.Seq, Unseen: true}, a.runs[0].Exchange)
	}
}

// AnnouncedFor lists what was announced for an exchange and has not come yet, and its bytes.
func (p *Peer) AnnouncedFor(x ID) (chunks int, bytes int64) {
	for _, a := range p.named[x] {
		if a.settled {
			continue
		}
		xs := owners(a.runs)
		for i, r := range a.recs {
			if xs[i] == x && !a.got[i] {
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
	asking
}

// asking is when chunks that do not come are asked for again: not before the peer has acknowledged the question before.
// That one is repeated by the link, and where a round trip takes days others would pile up behind it.
type asking struct {
	askAt time.Time
	asked int           // times in a row without anything new
	base  time.Duration // a round trip
	open  frame.Ranges  // ids of the questions that are not acknowledged
}

// atOnce is a time that has passed.
var atOnce = time.Unix(0, 1)

func (a *asking) got(id uint64) { a.open.Add(id, id) }

// acked takes ids of own messages that the peer has: what it answers comes with that, or soon.
func (a *asking) acked(now time.Time, ids frame.Ranges, base time.Duration) {
	if len(a.open) == 0 {
		return
	}
	for _, r := range ids {
		a.open.Remove(r[0], r[1])
	}
	if soon := now.Add(max(base, askLeast)); len(a.open) == 0 && a.askAt.Before(soon) {
		a.askAt = soon
	}
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
		if len(n.open) > 0 || now.Before(n.askAt) {
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
		p.tell(frame.KindWant, x, names, n.got)
	}
}
