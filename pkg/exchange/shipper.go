package exchange

import (
	"context"
	"sync"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/planted"
)

const (
	// shipLeast, shipMost and shipChunks bound what one body message lists: its chunks are synced, offered and told
	// together, which costs some commits and files whatever its size.
	shipLeast  = 4 << 20
	shipMost   = 32 << 20
	shipChunks = 300
)

// shipper turns a body into chunks that are stored, offered to the peer, and listed in body messages. It is at most
// a few shipments ahead of what is durable.
type shipper struct {
	m       *Manager
	ctx     context.Context
	peer    identity.ID
	id      ID
	owner   [16]byte
	attempt int
	must    bool
	first   func(*node.Step) // done once, in the step of the first shipment; nil: nothing
	w       *chunk.Writer    // nil: the chunks are there

	queue chan shipment
	over  chan struct{}

	mu      sync.Mutex
	batch   shipment
	apart   Run   // takes the chunks of the batch; nil: none came, or they go where all others do
	through int64 // bytes that are in shipments
	eager   int64 // up to here each chunk travels at once
	start   int64 // offset of the first byte within the body
	length  int64 // of what is to be shipped; -1: not known
	err     error // of shipping
}

// shipment is a run of chunks.
type shipment struct {
	entries []chunk.Entry
	recs    []chunk.Record
	names   []chunk.Name
	offset  int64
	sealed  int64
}

// newShipper begins at offset start of a body of which length bytes are to come, or -1. End it by close or abort.
func newShipper(ctx context.Context, m *Manager, sealer *chunk.Sealer, o chunk.WriterOptions, peer identity.ID, id ID, start, length int64) *shipper {
	p := &shipper{m: m, ctx: ctx, peer: peer, id: id, start: start, length: length, queue: make(chan shipment, 1), over: make(chan struct{})}
	p.batch.offset = start
	p.w = chunk.NewWriter(ctx, sealer, o, p.take)
	go p.run()
	return p
}

// newLister is a shipper of chunks that are stored already.
func newLister(ctx context.Context, m *Manager, peer identity.ID, id ID) *shipper {
	p := &shipper{m: m, ctx: ctx, peer: peer, id: id, length: -1, queue: make(chan shipment, 1), over: make(chan struct{})}
	go p.run()
	return p
}

// take is the Writer's sink: it stores one chunk. The nodes of a nested map are not needed: body messages list all.
func (p *shipper) take(e chunk.Entry, r chunk.Record, ct []byte) error {
	if e.Lvl > 0 {
		return nil
	}
	p.m.cfg.Chunks.Pin(p.owner, []chunk.Name{r.Name})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if err := p.put(r, ct); err != nil {
		return err
	}
	return p.gather(e, r)
}

// add takes a chunk that is stored already into the shipment that is gathered.
func (p *shipper) add(e chunk.Entry, r chunk.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	return p.gather(e, r)
}

// gather adds a chunk to the shipment, and ships it when it is large enough. Called with the lock held.
func (p *shipper) gather(e chunk.Entry, r chunk.Record) error {
	b := &p.batch
	e.Num = int64(len(b.entries)) // each message has a map of its own
	b.entries, b.recs, b.names = append(b.entries, e), append(b.recs, r), append(b.names, r.Name)
	b.sealed += r.Len
	p.through += e.Len
	if b.sealed < p.enough() && len(b.entries) < shipChunks && p.through > p.eager {
		return nil
	}
	return p.ship()
}

// Run takes the chunks of one shipment, so that they lie together; chunk.Run does.
type Run interface {
	Put(r chunk.Record, ct []byte) error
	// End says that the shipment is whole.
	End()
}

// put stores a chunk: in a file of the shipment's own where that is of use, and the body is not known to be short. Called
// with the lock held.
func (p *shipper) put(r chunk.Record, ct []byte) error {
	if p.m.cfg.Apart == nil || p.length >= 0 && p.length < shipLeast {
		return p.m.cfg.Chunks.Put(r, ct)
	}
	if p.apart == nil {
		p.apart = p.m.cfg.Apart()
	}
	return p.apart.Put(r, ct)
}

// endApart lets nothing more into the shipment's own file. Called with the lock held.
func (p *shipper) endApart() {
	if p.apart != nil {
		p.apart.End()
		p.apart = nil
	}
}

// enough is how many bytes make a shipment: few at the beginning and, where the length is known, at the end, so that the
// far side begins early and has little left to do when the last byte has come. Called with the lock held.
func (p *shipper) enough() int64 {
	n := min(p.through, shipMost)
	if p.length >= 0 {
		n = min(n, (p.length-p.through)/4)
	}
	return max(n, shipLeast)
}

// ship queues what is gathered. Called with the lock held; it is let go meanwhile.
func (p *shipper) ship() error {
	b := p.batch
	if len(b.entries) == 0 {
		return nil
	}
	p.batch = shipment{offset: p.start + p.through}
	p.endApart()
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case p.queue <- b:
		return nil
	case <-p.over:
		return errClosing
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// push has what is cut travel without waiting for more.
func (p *shipper) push() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.eager = p.through + chunk.MaxChunk
	return p.ship()
}

// close returns when all of the body is durable and offered, and gives its length.
func (p *shipper) close() (int64, error) {
	var err error
	if p.w != nil {
		err = p.w.Flush() // or a short rest would be in the map alone
		if _, cerr := p.w.Close(); err == nil {
			err = cerr
		}
	}
	p.mu.Lock()
	if err == nil {
		err = p.ship()
	}
	p.endApart()
	p.mu.Unlock()
	close(p.queue)
	<-p.over
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		err = p.err
	}
	return p.through, err
}

// cause gives why shipping failed, or err where it did not.
func (p *shipper) cause(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	return err
}

// abort ends without the rest of the body.
func (p *shipper) abort() {
	if p.w != nil {
		p.w.Abort()
	}
	p.mu.Lock()
	p.endApart()
	p.mu.Unlock()
	close(p.queue)
	<-p.over
}

// run syncs and sends one shipment after the other, while the next is gathered.
func (p *shipper) run() {
	defer close(p.over)
	for b := range p.queue {
		if err := p.send(&b); err != nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
			for range p.queue { // let the sink come to its end
			}
			return
		}
	}
}

// send makes the chunks durable, then offers and lists them in one commit.
func (p *shipper) send(b *shipment) error {
	if planted.Bug != planted.ShipEarly {
		if err := p.m.cfg.Chunks.Sync(p.ctx); err != nil {
			return err
		}
	}
	mp := chunk.Map{Entries: b.entries}
	text, err := mp.Encode()
	if err != nil {
		return err
	}
	msg, err := encode(frame.KindBody, link.PrioBulk, p.id, &bodyData{Exchange: p.id, Attempt: p.attempt, Offset: b.offset, Map: text}, nil, false)
	if err != nil {
		return err
	}
	msg.Keep, msg.Must = !p.must, p.must
	return p.m.commit(p.ctx, func(s *node.Step) error {
		if err := s.Send(p.peer, msg); err != nil {
			return p.m.sendProblem(err, &Request{Peer: p.peer})
		}
		if p.first != nil {
			p.first(s)
			p.first = nil
		}
		s.Offer(p.peer, p.id, b.recs)
		return nil
	})
}

// sealerFor gives what seals bodies for a peer: with fresh nothing of the body is equal to anything else.
func (m *Manager) sealerFor(peer identity.ID, fresh bool) (*chunk.Sealer, error) {
	s, err := m.cfg.Sealer(peer)
	if err != nil || !fresh || m.cfg.Signed[peer] {
		return s, err
	}
	return s.Fresh()
}

// cutting says how bodies for a peer are cut: in signed mode at fixed places, whatever was asked for.
func (m *Manager) cutting(peer identity.ID, compress, fixed bool) chunk.WriterOptions {
	if m.cfg.Signed[peer] {
		return chunk.WriterOptions{Fixed: true}
	}
	return chunk.WriterOptions{Compress: compress, Fixed: fixed}
}
