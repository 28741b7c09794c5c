package bulk

import (
	"slices"

	"github.com/hoft/hoft/pkg/chunk"
)

// transfer is the chunks of one exchange's body, on their way to the peer.
type transfer struct {
	x     ID
	items map[chunk.Name]*item
	order []*item // as they were offered
	queue []*item // to be packed

	queuedBytes int64
	listed      bool // in the ring
	flush       bool // nothing more comes: what is queued waits for no company
	progress    Progress
}

// item is one chunk of a transfer.
type item struct {
	rec    chunk.Record
	state  itemState
	again  bool // was in a pack before: verified before it is sent again
	begins bool // an offer
	packed uint64
}

type itemState uint8

const (
	itemQueued itemState = iota
	itemPacked           // in an open pack of this transfer
	itemThere            // the peer has it, or gets it with another exchange
)

// Progress is how far a transfer is. Bytes are of ciphertext.
type Progress struct {
	Chunks, SentChunks, ThereChunks int
	Bytes, SentBytes, ThereBytes    int64
}

func (t *transfer) enqueue(it *item, front bool) {
	it.state = itemQueued
	if front {
		t.queue = slices.Insert(t.queue, 0, it)
	} else {
		t.queue = append(t.queue, it)
	}
	t.queuedBytes += it.rec.Len
}

// there notes that the peer has a chunk.
func (t *transfer) there(it *item) {
	if it.state == itemThere {
		return
	}
	it.state = itemThere
	t.progress.ThereChunks++
	t.progress.ThereBytes += it.rec.Len
}

// back takes back that the peer has a chunk.
func (t *transfer) back(it *item) {
	if it.state != itemThere {
		return
	}
	t.progress.ThereChunks--
	t.progress.ThereBytes -= it.rec.Len
}

// remove takes out a chunk that is in no queue: it cannot be had any more.
func (t *transfer) remove(n chunk.Name) {
	it := t.items[n]
	if it == nil {
		return
	}
	delete(t.items, n)
	t.order = slices.DeleteFunc(t.order, func(o *item) bool { return o == it })
	t.progress.Chunks--
	t.progress.Bytes -= it.rec.Len
}

func (t *transfer) requeueAll(p *Peer) {
	t.queue, t.queuedBytes = nil, 0
	t.progress.ThereChunks, t.progress.ThereBytes = 0, 0
	for _, it := range t.order {
		it.again = it.again || it.state == itemPacked
		it.packed = 0
		t.enqueue(it, false)
	}
	p.list(t)
}

// list puts a transfer with something queued into the ring.
func (p *Peer) list(t *transfer) {
	if !t.listed && len(t.queue) > 0 {
		t.listed = true
		p.ring = append(p.ring, t)
	}
}

// Offer queues chunks of an exchange's body. What the peer holds, or gets already, is not sent; the count of
// those is returned. They stay known until Release, so that the peer can ask for them.
func (p *Peer) Offer(x ID, recs []chunk.Record) (spared int) {
	t := p.transfers[x]
	if t == nil {
		t = &transfer{x: x, items: map[chunk.Name]*item{}}
		p.transfers[x] = t
	}
	t.flush = false
	begins := true
	for _, r := range recs {
		if t.items[r.Name] != nil {
			continue // the same bytes again within one body
		}
		it := &item{rec: r, begins: begins}
		begins = false
		t.items[r.Name] = it
		t.order = append(t.order, it)
		t.progress.Chunks++
		t.progress.Bytes += r.Len
		if p.held.has(r.Name) || p.flying(r.Name) {
			t.there(it)
			spared++
			p.stats.ChunksSpared++
			p.stats.BytesSpared += uint64(r.Len)
			continue
		}
		t.enqueue(it, false)
	}
	p.list(t)
	return spared
}

// Flush says that the body has ended: what is queued is not kept waiting for more.
func (p *Peer) Flush(x ID) {
	if t := p.transfers[x]; t != nil {
		t.flush = true
	}
}

// Release forgets an exchange's chunks: nothing more of it is sent, and open packs that hold nothing else are withdrawn.
func (p *Peer) Release(x ID) {
	t := p.transfers[x]
	if t == nil {
		return
	}
	delete(p.transfers, x)
	t.queue, t.queuedBytes = nil, 0
	for _, k := range inOrder(p.packs) {
		if k.of(x) && !p.wanted(k) {
			p.drop(k)
		}
	}
}

// Offering lists the exchanges that have chunks here, in order.
func (p *Peer) Offering() []ID {
	return ordered(p.transfers)
}

// Offered says whether an exchange has chunks here.
func (p *Peer) Offered(x ID) bool { return p.transfers[x] != nil }

// Progress tells how far the chunks of an exchange are; ok is false when there are none.
func (p *Peer) Progress(x ID) (pr Progress, ok bool) {
	if t := p.transfers[x]; t != nil {
		return t.progress, true
	}
	return pr, false
}

// Settled says that the peer has everything that was offered for an exchange.
func (p *Peer) Settled(x ID) bool {
	t := p.transfers[x]
	return t == nil || t.progress.ThereChunks == t.progress.Chunks
}

// flying says whether a chunk is in an open pack.
func (p *Peer) flying(n chunk.Name) bool {
	for _, k := range p.packs {
		if k.names[n] {
			return true
		}
	}
	return false
}
