package node

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/store"
)

// PackWrite is one pack to put: its records are copied out of the chunk store. PackWritten tells the outcome.
type PackWrite struct {
	Peer identity.ID
	Name frame.Name
	Pack *bulk.Pack
	Bare bool // without the records' headers
}

// Size is the length of the file in bytes.
func (w *PackWrite) Size() int64 {
	if w.Bare {
		return w.Pack.Size - int64(len(w.Pack.Records))*chunk.HeaderLen
	}
	return w.Pack.Size
}

// PackRead is one pack to read: what is good in it goes to the chunk store. PackRead tells the outcome.
type PackRead struct {
	Peer    identity.ID
	Seq     uint64
	Found   PackFound
	Records []chunk.Record
	Got     []bool // records that an earlier look has brought
	Bare    bool   // without the records' headers
}

// PackFound is a file of the peer as the scan found it. Token is the driver's own.
type PackFound struct {
	Size    int64
	Settled bool
	Token   any
	since   time.Time
}

// PackResult is what reading a pack gave.
type PackResult struct {
	Got      []int // places of records that are stored, and durable
	Bad      int   // records that were there and not as announced
	Final    bool  // no more of the file will come
	Whole    bool  // every record was good
	Vanished bool  // the file is gone
	Failed   bool  // for a reason of our own: the same again
	Full     bool  // that reason is that the chunk store has no room
}

// ChunkHandler is the part of a Handler that hears of chunks.
type ChunkHandler interface {
	// ChunksStored tells that chunks that the peer announced for an exchange are here; they are durable.
	ChunksStored(s *Step, peer identity.ID, exchange bulk.ID, names []chunk.Name)
	// ChunksGone tells that the peer does not have chunks that were asked for.
	ChunksGone(s *Step, peer identity.ID, exchange bulk.ID, names []chunk.Name)
	// ChunksMoved tells that the peer acknowledged chunks of an exchange.
	ChunksMoved(s *Step, peer identity.ID, exchange bulk.ID)
	// ChunksRefused tells that chunks that the peer announced for an exchange are not taken: the exchange takes more than
	// it may, or, with full, the store has no room for them; then they are tried again.
	ChunksRefused(s *Step, peer identity.ID, exchange bulk.ID, full bool)
}

// FetchHandler is a Handler that gives peers chunks of stored data.
type FetchHandler interface {
	// ChunksAsked tells that the peer asks for chunks of stored data: Step.Give and Step.Refuse answer it, now or later.
	ChunksAsked(s *Step, peer identity.ID, exchange bulk.ID, wishes []bulk.Wish)
}

const (
	// packsAtOnce is how many packs to one peer are announced and not written yet: while one is written the next
	// one's announcement is committed.
	packsAtOnce = 2
	// maxStrangers bounds the packs of one peer that lie unannounced and are remembered.
	maxStrangers = 1024
)

// bulkLink is what the core keeps about packs of one peer.
type bulkLink struct {
	p         *bulk.Peer
	writing   int
	reading   map[uint64]bool
	again     map[uint64]PackFound // found anew while it was being read
	strangers map[uint64]PackFound // not announced yet
	swept     time.Time            // when strangers were last looked through
	bad       uint64               // messages about packs that could not be handled
}

func newBulkLink(p *bulk.Peer) *bulkLink {
	return &bulkLink{p: p, reading: map[uint64]bool{}, again: map[uint64]PackFound{}, strangers: map[uint64]PackFound{}}
}

// Bulk gives the packs' state of a peer, nil for an unknown one.
func (c *Core) Bulk(peer identity.ID) *bulk.Peer {
	if b := c.bulk[peer]; b != nil {
		return b.p
	}
	return nil
}

// BadBulk counts messages of a peer about packs that could not be handled.
func (c *Core) BadBulk(peer identity.ID) uint64 {
	if b := c.bulk[peer]; b != nil {
		return b.bad
	}
	return 0
}

// SetBulk gives the packs' state that was loaded; before any event.
func (c *Core) SetBulk(peer identity.ID, p *bulk.Peer) { c.bulk[peer] = newBulkLink(p) }

// bulkKind says whether a message is about packs, and so the core's own.
func bulkKind(k frame.Kind) bool {
	switch k {
	case frame.KindPack, frame.KindHave, frame.KindProbe, frame.KindWant, frame.KindGone, frame.KindFetch:
		return true
	}
	return false
}

// takeBulk handles a message about packs. Data that does not decode is dropped and counted.
func (c *Core) takeBulk(now time.Time, d *Delivery) {
	b, trip := c.bulk[d.Peer], c.links[d.Peer].SmallTrip()
	if b == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil { // a message that cannot be handled must not end the site, now and at every start
			b.bad++
			if c.Panics != nil {
				c.Panics(d, v, debug.Stack())
			}
		}
	}()
	var err error
	switch d.Kind {
	case frame.KindPack:
		var m *bulk.PackData
		if m, err = bulk.Decode[bulk.PackData](d.Data); err == nil && c.signed[d.Peer] && len(m.Also) > 0 {
			err = errShared
		}
		if err == nil && b.p.Announce(now, m) {
			c.meet(now, d.Peer, m.Seq)
		}
	case frame.KindHave:
		var m *bulk.HaveData
		if m, err = bulk.Decode[bulk.HaveData](d.Data); err == nil {
			b.p.Have(now, m, trip)
		}
	case frame.KindProbe:
		var m *bulk.ProbeData
		if m, err = bulk.Decode[bulk.ProbeData](d.Data); err == nil {
			b.p.Probe(m)
		}
	case frame.KindWant:
		var m *bulk.NamesData
		if m, err = bulk.Decode[bulk.NamesData](d.Data); err == nil {
			b.p.Want(m)
		}
	case frame.KindGone:
		var m *bulk.NamesData
		if m, err = bulk.Decode[bulk.NamesData](d.Data); err == nil {
			b.p.GoneAway(m)
		}
	case frame.KindFetch:
		var m *bulk.FetchData
		if m, err = bulk.Decode[bulk.FetchData](d.Data); err == nil {
			c.asked(now, d.Peer, m)
		}
	}
	if err != nil {
		b.bad++
	}
	c.drainBulk(now, d.Peer)
}

// errShared says why an announcement is refused that an honest peer in signed mode does not make.
var errShared = fmt.Errorf("%w: a pack of several bodies, where a scanner must find each by itself", bulk.ErrData)

// asked has the layer above answer a peer that asks for chunks of stored data; where nothing stores any, they are gone.
func (c *Core) asked(now time.Time, peer identity.ID, m *bulk.FetchData) {
	s := &Step{Now: now, core: c}
	if h, ok := c.handler.(FetchHandler); ok {
		h.ChunksAsked(s, peer, m.Exchange, m.Recs)
	} else {
		s.Refuse(peer, m.Exchange, bulk.NamesOf(m.Recs))
	}
	s.merge()
}

// meet has a pack read that lay here before it was announced.
func (c *Core) meet(now time.Time, peer identity.ID, seq uint64) {
	b := c.bulk[peer]
	if f, ok := b.strangers[seq]; ok {
		delete(b.strangers, seq)
		c.PackFound(now, peer, seq, f)
	}
}

// PackFound takes a pack of the peer that the scan reports. Only what was announced is opened.
func (c *Core) PackFound(now time.Time, peer identity.ID, seq uint64, f PackFound) {
	b := c.bulk[peer]
	if b == nil {
		return
	}
	e, ok := b.p.Expect(seq)
	_, epoch := c.links[peer].Epoch()
	switch {
	case !ok && bulk.Dead(seq, epoch):
		c.out.Consume = append(c.out.Consume, f.Token)
	case !ok:
		old, known := b.strangers[seq]
		if known {
			f.since = old.since
		}
		if known || len(b.strangers) < maxStrangers {
			b.strangers[seq] = f
		}
	case b.reading[seq]:
		b.again[seq] = f
	case e.Settled:
		c.out.Consume = append(c.out.Consume, f.Token)
	default:
		b.p.Seen(seq)
		b.reading[seq] = true
		c.out.Reads = append(c.out.Reads, PackRead{Peer: peer, Seq: seq, Found: f, Records: e.Records, Got: e.Got, Bare: c.signed[peer]})
	}
}

// PackWasRead tells the outcome of one of Effects.Reads.
func (c *Core) PackWasRead(now time.Time, r PackRead, res PackResult) {
	b := c.bulk[r.Peer]
	delete(b.reading, r.Seq)
	next, more := b.again[r.Seq]
	delete(b.again, r.Seq)
	switch {
	case res.Vanished, res.Failed && !res.Full: // what cannot be read has not come
		b.p.Vanished(r.Seq)
	case res.Failed:
	default:
		b.p.Came(r.Seq, res.Got, res.Bad, res.Final)
	}
	if e, ok := b.p.Expect(r.Seq); ok && e.Settled && !res.Vanished && !res.Failed {
		c.links[r.Peer].GotPack(now, r.Seq, r.Found.Size, res.Whole)
		c.tokens = append(c.tokens, r.Found.Token)
	}
	c.drainBulk(now, r.Peer)
	if e, ok := b.p.Expect(r.Seq); ok && !e.Settled && res.Full {
		c.tellChunks(now, func(s *Step, h ChunkHandler) {
			for _, x := range e.Exchanges {
				h.ChunksRefused(s, r.Peer, x, true)
			}
		})
	}
	if _, ok := b.p.Expect(r.Seq); !ok && !more && res.Final {
		next, more = r.Found, true // what was announced went with the peer's state meanwhile
	}
	if more {
		c.PackFound(now, r.Peer, r.Seq, next)
	}
}

// PackWritten tells the outcome of one of Effects.Packs. damaged lists chunks that the store no longer has whole.
func (c *Core) PackWritten(now time.Time, w PackWrite, err error, damaged []chunk.Name) {
	b, l := c.bulk[w.Peer], c.links[w.Peer]
	b.writing--
	c.writeErr[w.Peer] = err
	if len(damaged) > 0 {
		c.writeErr[w.Peer] = nil
		b.p.Damaged(w.Pack.Seq, damaged)
	} else {
		b.p.Written(now, w.Pack.Seq, l.SmallTrip(), err)
	}
	if err == nil {
		l.WrotePack(w.Pack.Seq, w.Size())
	}
	c.drainBulk(now, w.Peer)
}

// announce begins packs to a peer where their turn has come: the announcement is committed, then the file is written.
func (c *Core) announce(now time.Time, peer identity.ID) {
	b, l := c.bulk[peer], c.links[peer]
	if b == nil || !l.Takes(frame.KindPack) {
		return
	}
	safe, _ := l.SafeSize()
	b.p.Trust(safe)
	b.p.Fetches(l.Takes(frame.KindFetch))
	for _, k := range b.p.Rewrites(now) {
		b.writing++
		c.out.Packs = append(c.out.Packs, c.packWrite(peer, k))
	}
	for b.writing < packsAtOnce && b.p.Ready() {
		seq, ok := l.TakeSeq()
		if !ok {
			return
		}
		k := b.p.Next(seq)
		c.drainBulk(now, peer)
		if k == nil {
			continue
		}
		b.writing++
		c.after = append(c.after, func(*Step) { c.out.Packs = append(c.out.Packs, c.packWrite(peer, k)) })
		c.hurry = true
	}
}

func (c *Core) packWrite(peer identity.ID, k *bulk.Pack) PackWrite {
	return PackWrite{Peer: peer, Pack: k, Bare: c.signed[peer], Name: frame.Name{Recipient: peer, Sender: c.self, Seq: k.Seq, Ext: frame.ExtPack}}
}

// tickBulk lets time pass.
func (c *Core) tickBulk(now time.Time, peer identity.ID) {
	if b := c.bulk[peer]; b != nil {
		b.p.Fetches(c.links[peer].Takes(frame.KindFetch))
		b.p.Tick(now, c.links[peer].SmallTrip())
		c.drainBulk(now, peer)
		c.sweep(now, peer)
	}
}

// strangersKept is how long a pack that nobody announces is left where it is.
const strangersKept = 7 * 24 * time.Hour

// sweep removes packs that were never announced, or cannot be any more.
func (c *Core) sweep(now time.Time, peer identity.ID) {
	b := c.bulk[peer]
	if now.Sub(b.swept) < time.Hour {
		return
	}
	b.swept = now
	_, epoch := c.links[peer].Epoch()
	for seq, f := range b.strangers {
		if now.Sub(f.since) > strangersKept || bulk.Dead(seq, epoch) {
			delete(b.strangers, seq)
			c.out.Consume = append(c.out.Consume, f.Token)
		}
	}
}

// drainBulk turns what the packs' state left into changes to store, messages, and calls of the layer above.
func (c *Core) drainBulk(now time.Time, peer identity.ID) {
	ch := c.bulk[peer].p.Drain()
	c.storeBulk(peer, &ch)
	for _, m := range ch.Send {
		t, err := frame.EncodeTail(m.Kind, m.Data, nil, false)
		if err != nil {
			panic(err) // the limits of bulk keep every message small enough
		}
		prio := link.PrioControl
		if m.Kind == frame.KindPack {
			prio = link.PrioCall
		}
		c.submit(now, peer, []send{{peer, Message{Outgoing: link.Outgoing{Kind: m.Kind, Prio: prio, Tail: t}, Must: true, Got: m.Got}}})
	}
	for _, seq := range ch.Remove {
		c.out.Remove = append(c.out.Remove, frame.Name{Recipient: peer, Sender: c.self, Seq: seq, Ext: frame.ExtPack})
	}
	if len(ch.Withdrawn) > 0 {
		var ids frame.Ranges
		for _, id := range ch.Withdrawn {
			ids.Add(id, id)
		}
		c.links[peer].Withdraw(ids)
		c.drain(now, peer, c.links[peer])
	}
	if len(ch.Gone)+len(ch.Stored)+len(ch.Moved)+len(ch.Refused) == 0 {
		return
	}
	c.tellChunks(now, func(s *Step, h ChunkHandler) {
		for _, x := range ch.Stored {
			h.ChunksStored(s, peer, x.Exchange, x.Names)
		}
		for _, x := range ch.Gone {
			h.ChunksGone(s, peer, x.Exchange, x.Names)
		}
		for _, x := range ch.Moved {
			h.ChunksMoved(s, peer, x)
		}
		for _, x := range ch.Refused {
			h.ChunksRefused(s, peer, x, false)
		}
	})
}

// tellChunks tells the layer above about chunks, if it wants to hear of them.
func (c *Core) tellChunks(now time.Time, tell func(*Step, ChunkHandler)) {
	h, ok := c.handler.(ChunkHandler)
	if !ok {
		return
	}
	s := &Step{Now: now, core: c}
	tell(s, h)
	s.merge()
}

func (c *Core) storeBulk(peer identity.ID, ch *bulk.Changes) {
	for _, r := range ch.Put {
		p := store.Pack{Peer: peer, Own: r.Own, Seq: r.Seq, Runs: bulk.PackRuns(r.Runs), State: uint8(r.State), At: r.At, Size: r.Size}
		if len(r.Runs) > 0 {
			p.Exchange = r.Runs[0].Exchange
		}
		if p.Recs = bulk.PackRecords(r.Records); r.State == bulk.Settled {
			p.Recs = bulk.PackMiss(r.Miss)
		}
		c.batch.PutPack(p)
	}
	for _, k := range ch.Drop {
		c.batch.DropPack(peer, k.Own, k.Seq)
	}
	if ch.HeldVoid {
		c.batch.ClearHeld(peer)
	}
	if len(ch.Held) > 0 {
		names := make([][16]byte, len(ch.Held))
		for i, n := range ch.Held {
			names[i] = n
		}
		c.batch.AddHeld(peer, names)
	}
}
