// Package node joins pipe, seal, link and store in one loop per site; the only place where they meet.
//
// Core decides and does no input or output: the same code runs under the real loop (Node) and under
// the simulation. Events go in as method calls; Take gives what is to be done. Rules of the driver:
//
//   - Effects.Commit: commit the batch, then call Committed. At most one commit is under way.
//   - Effects.Writes: seal and put each frame, then call Wrote. At most one per peer is under way.
//   - Effects.Packs: put each pack, then call PackWritten. Effects.Reads: read each pack, then call PackWasRead.
//   - Effects.Consume and Effects.Remove come only when what allows them is durable.
//   - Call Tick at Deadline.
package node

import (
	"context"
	"errors"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// Delivery is one message as the layer above gets it.
type Delivery struct {
	Peer identity.ID
	link.Delivery
	Received time.Time
	Tries    int
}

// Keep says how the inbox row of a delivered message is kept, for an exchange that needs its content.
type Keep struct {
	Exchange [16]byte
	Attempt  int
	Offset   int64
	Size     int64 // of the body decompressed
	Beside   int64 // bytes kept for it in the chunk store
	Part     bool  // a restart needs to know of it while the exchange has not ended
}

// Handler is the layer above. All methods are called in the loop, one at a time; what they change
// through the Step is committed together with what caused it.
type Handler interface {
	// Deliver handles a message, before its receipt is durable: nothing that the world sees may
	// happen before Step.OnCommit, but an answer to somebody who waits (its content is acked only
	// after the commit, so it cannot be lost). A nil Keep keeps no row. A panic sets the message aside.
	Deliver(s *Step, d *Delivery) *Keep
	// Poisoned tells of a message that was set aside after its third try.
	Poisoned(s *Step, d *Delivery)
	// Written and Acked tell how far an own message got.
	Written(s *Step, peer identity.ID, ref link.Ref)
	Acked(s *Step, peer identity.ID, a link.Acked)
	// PeerReset tells that the peer lost its state.
	PeerReset(s *Step, peer identity.ID)
	// PeerMet tells that the peer has seen a file of this run, and knows of no later life of this site.
	PeerMet(s *Step, peer identity.ID)
	// OwnReset tells that a peer has seen a later life of this site: what was received and acked in it is gone.
	OwnReset(s *Step, peer identity.ID)
	// Tick is called when Deadline is reached.
	Tick(s *Step)
	// Deadline is when Tick is wanted; zero: not.
	Deadline() time.Time
	// Live is how many exchanges are under way: where there are many, a commit waits a moment for company.
	Live() int
}

// Message is one message to send to a peer.
type Message struct {
	link.Outgoing
	// Keep has the row stay after its ack until the exchange is purged.
	Keep bool
	// Must has it accepted although the outbox is full: answers and control, which free space.
	Must bool
	// Got, if set, is told the id that the message was given.
	Got func(id uint64)
}

// Limits bounds the outbox of each peer.
type Limits struct {
	OutboxMessages int64
	OutboxBytes    int64
}

// Effects is what the driver is to do.
type Effects struct {
	Commit  *Commit
	Writes  []Write
	Packs   []PackWrite
	Reads   []PackRead
	Remove  []frame.Name  // own files in the outbox; then Removed
	Looks   []identity.ID // peers whose part of the outbox is to be listed; then Looked
	Consume []any         // inbox files, by the driver's own tokens
	Loads   []Load
}

// Commit is one group commit.
type Commit struct {
	Batch  *store.Batch
	states map[identity.ID]link.State
	after  []func(*Step)
	tokens []any
}

// Write is one frame to seal and put.
type Write struct {
	Peer  identity.ID
	Name  frame.Name
	Lines [][]byte
}

// Load is a piece of the outbox to read, by Rows: ids not above UpTo count.
type Load struct {
	Peer identity.ID
	link.Query
	UpTo uint64
}

// Rows reads what a Load asks for.
func (q Load) Rows(ctx context.Context, r store.Reader) ([]store.Out, error) {
	if q.Small {
		return r.OutboxBefore(ctx, q.Peer, uint8(link.PrioBulk), q.After, q.N)
	}
	return r.Outbox(ctx, q.Peer, q.After, q.N)
}

// Core is everything a site knows and decides. Not safe for concurrent use.
type Core struct {
	self    identity.ID
	links   map[identity.ID]*link.Link
	bulk    map[identity.ID]*bulkLink // of peers with whom chunks may be exchanged
	order   []identity.ID
	handler Handler
	limits  Limits

	batch    store.Batch
	after    []func(*Step)
	tokens   []any
	hurry    bool      // something in the batch must not wait for company
	flushing bool      // nothing waits for company, or for a later commit
	gather   time.Time // since when the batch waits for company; zero: it does not
	inFlight *Commit
	failing  time.Time // since when commits fail; zero: they do not
	retryAt  time.Time // when the failed commit is tried again; zero: it is under way
	writing  map[identity.ID]bool
	writeErr map[identity.ID]error // why writing fails
	loading  map[identity.ID]bool
	loadAt   map[identity.ID]time.Time // when a read of the outbox that failed is made again
	stuck    []frame.Name              // own files whose removal failed
	stuckAt  time.Time                 // when it is tried again; zero: there are none
	pruned   map[identity.ID]uint64    // records of files below are deleted
	signed   map[identity.ID]bool      // peers with whom files are signed and not encrypted
	lazyAt   time.Time                 // when a change that nobody waits for is committed at the latest
	out      Effects
	poison   []poisoned
	// Panics is told of every panic of the handler, for the log.
	Panics func(d *Delivery, value any, stack []byte)
	// Between, if set, is called after each function that waited for a commit: a simulation lets the
	// goroutine that it woke come to rest before the next one is woken.
	Between func()
}

type poisoned struct {
	d  Delivery
	at time.Time
}

const (
	// soonCommit is how long the receipt of an answer, which its caller has already, may wait for other
	// changes to share its commit: the next call of the same caller usually brings one.
	soonCommit = 4 * time.Millisecond
	// gatherLive is from how many exchanges under way a commit waits for company.
	gatherLive = 8
	// gatherFor is how long it waits at most: less than a commit takes, so that a lone call never notices.
	gatherFor = 1500 * time.Microsecond
	// lazyCommit is how long changes may wait for a commit that is needed anyway.
	lazyCommit = 200 * time.Millisecond
	// commitRetry is how long after a failed commit it is tried again.
	commitRetry = time.Second
	// loadRetry is how long after a read of the outbox that failed it is made again.
	loadRetry = time.Second
	// removeRetry is how long after a failed removal of an own file it is tried again.
	removeRetry = 10 * time.Second
	// maxTries is after how many failed tries a message is set aside.
	maxTries = 3
	// poisonRetry is the pause before a message that panicked is handled again.
	poisonRetry = time.Second
	// keepSent is how many records of written files are kept for operators.
	keepSent = 512
)

// NewCore makes a core with its links, in the order of peers.
func NewCore(self identity.ID, links map[identity.ID]*link.Link, order []identity.ID, limits Limits) *Core {
	return &Core{self: self, links: links, order: order, limits: limits,
		bulk:    map[identity.ID]*bulkLink{},
		writing: map[identity.ID]bool{}, writeErr: map[identity.ID]error{}, loading: map[identity.ID]bool{}, loadAt: map[identity.ID]time.Time{},
		pruned: map[identity.ID]uint64{}, signed: map[identity.ID]bool{}}
}

// SetSigned has files to a peer signed and not encrypted; before any event.
func (c *Core) SetSigned(peer identity.ID) { c.signed[peer] = true }

// frameName names a frame to a peer.
func (c *Core) frameName(peer identity.ID, seq uint64) frame.Name {
	return frame.Name{Recipient: peer, Sender: c.self, Seq: seq, Ext: frameExt(c.signed[peer])}
}

// frameExt is the kind of a link's frames.
func frameExt(signed bool) frame.Ext {
	if signed {
		return frame.ExtSigned
	}
	return frame.ExtFrame
}

// SetHandler sets the layer above; once, before any event.
func (c *Core) SetHandler(h Handler) { c.handler = h }

// Link gives the link with a peer, nil if the peer is unknown.
func (c *Core) Link(peer identity.ID) *link.Link { return c.links[peer] }

// Do runs fn as one step.
func (c *Core) Do(now time.Time, fn func(*Step)) {
	s := &Step{Now: now, core: c}
	fn(s)
	s.merge()
}

// drain turns what a link left into changes to store and into calls of the layer above.
func (c *Core) drain(now time.Time, peer identity.ID, l *link.Link) {
	ch := l.Drain()
	for _, sf := range ch.Sent {
		c.batch.AddSent(store.Sent{Peer: peer, Seq: sf.Seq, Nonce: sf.Nonce, At: sf.At, IDs: sf.IDs, Size: sf.Size})
	}
	if len(ch.Acked) > 0 {
		c.batch.AckOutbox(peer, ch.Acked, now)
	}
	if len(ch.Withdrawn) > 0 {
		c.batch.DropOutbox(peer, ch.Withdrawn)
	}
	if len(ch.SentAcked) > 0 {
		c.batch.MarkSent(peer, ch.SentAcked, store.SentAcked)
		if hi, _ := ch.SentAcked.Max(); hi > c.pruned[peer]+2*keepSent {
			c.pruned[peer] = hi - keepSent
			c.batch.PruneSent(peer, hi-keepSent)
		}
	}
	if len(ch.SentReplaced) > 0 {
		c.batch.MarkSent(peer, ch.SentReplaced, store.SentReplaced)
	}
	for _, seq := range ch.Remove {
		c.out.Remove = append(c.out.Remove, c.frameName(peer, seq))
	}
	if b := c.bulk[peer]; b != nil {
		b.p.Acked(now, ch.Acked, l.SmallTrip())
		if ch.PeerReset {
			b.p.Reset()
			c.drainBulk(now, peer)
		}
	}
	if len(ch.WrittenRefs)+len(ch.AckedRefs) == 0 && !ch.PeerReset && !ch.OwnReset && !ch.Met {
		return
	}
	s := &Step{Now: now, core: c}
	for _, r := range ch.WrittenRefs {
		if r != (link.Ref{}) {
			c.handler.Written(s, peer, r)
		}
	}
	for _, a := range ch.AckedRefs {
		if a.Ref != (link.Ref{}) {
			c.handler.Acked(s, peer, a)
		}
	}
	if ch.PeerReset {
		c.handler.PeerReset(s, peer)
	}
	if ch.OwnReset {
		c.handler.OwnReset(s, peer)
	}
	if ch.Met {
		c.handler.PeerMet(s, peer)
	}
	s.merge()
}

// Wrote tells the outcome of one of Effects.Writes.
func (c *Core) Wrote(now time.Time, peer identity.ID, size int64, err error) {
	c.writing[peer] = false
	l := c.links[peer]
	if errors.Is(err, pipe.ErrExists) {
		l.NameTaken(now)
	}
	l.Wrote(now, size, err)
	if err != nil || l.WriteFailures() == 0 { // small files may still go where larger ones fail
		c.writeErr[peer] = err
	}
	c.drain(now, peer, l)
}

// Removed tells what came of one of Effects.Remove: gone says that the file was not there any more.
func (c *Core) Removed(name frame.Name, gone bool) {
	if l := c.links[name.Recipient]; l != nil && name.Ext.Frame() {
		l.Removed(name.Seq, gone)
	}
}

// NotRemoved tells that one of Effects.Remove failed: it is tried again after a pause. Somebody may have the file open, or
// the folder may be away.
func (c *Core) NotRemoved(now time.Time, name frame.Name) {
	c.stuck = append(c.stuck, name)
	if c.stuckAt.IsZero() {
		c.stuckAt = now.Add(removeRetry)
	}
}

// Looked answers one of Effects.Looks with the own files that lie in the outbox, or why they could not be listed.
func (c *Core) Looked(now time.Time, peer identity.ID, files []pipe.Entry, err error) {
	l := c.links[peer]
	if err != nil {
		l.LookFailed(now)
		return
	}
	seqs := make([]uint64, len(files))
	for i, e := range files {
		seqs[i] = e.Name.Seq
	}
	l.Looked(now, seqs)
	c.drain(now, peer, l)
}

// Loaded answers one of Effects.Loads; on an error the rows are asked for again, after a pause.
func (c *Core) Loaded(now time.Time, q Load, rows []store.Out, err error) {
	c.loading[q.Peer] = false
	if err != nil {
		c.loadAt[q.Peer] = now.Add(loadRetry)
		return
	}
	delete(c.loadAt, q.Peer)
	c.links[q.Peer].Load(Items(rows, q.UpTo), q.Query, q.UpTo)
}

// Tick lets time pass.
func (c *Core) Tick(now time.Time) {
	for _, p := range c.order {
		l := c.links[p]
		l.Tick(now)
		c.drain(now, p, l)
		c.tickBulk(now, p)
	}
	if at := c.handler.Deadline(); !at.IsZero() && !now.Before(at) {
		c.Do(now, c.handler.Tick)
	}
	if !c.stuckAt.IsZero() && !now.Before(c.stuckAt) {
		c.out.Remove = append(c.out.Remove, c.stuck...)
		c.stuck, c.stuckAt = nil, time.Time{}
	}
	due := c.poison
	c.poison = nil
	for _, p := range due {
		if now.Before(p.at) {
			c.poison = append(c.poison, p)
			continue
		}
		c.retry(now, p.d)
	}
}

// Take gives what is to be done now; the driver does all of it.
func (c *Core) Take(now time.Time) Effects {
	for _, p := range c.order {
		l := c.links[p]
		c.announce(now, p)
		if !c.writing[p] {
			if f := l.Next(now); f != nil {
				c.writing[p] = true
				c.out.Writes = append(c.out.Writes, Write{Peer: p, Lines: f.Lines, Name: c.frameName(p, f.Seq)})
			}
			c.drain(now, p, l)
		}
		if l.Look(now) {
			c.out.Looks = append(c.out.Looks, p)
		}
		if q := l.NeedLoad(); q.N > 0 && !c.loading[p] && !now.Before(c.loadAt[p]) {
			c.loading[p] = true
			c.out.Loads = append(c.out.Loads, Load{Peer: p, Query: q, UpTo: l.CommittedID()})
		}
	}
	c.commit(now)
	out := c.out
	c.out = Effects{}
	return out
}

// Deadline is when Tick (and then Take) must be called at the latest; zero: only events matter.
func (c *Core) Deadline(now time.Time) time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, p := range c.order {
		sooner(c.links[p].Deadline(now))
		if !c.loading[p] && c.links[p].NeedLoad().N > 0 {
			sooner(c.loadAt[p])
		}
		if b := c.bulk[p]; b != nil {
			sooner(b.p.Deadline())
		}
	}
	sooner(c.handler.Deadline())
	sooner(c.lazyAt)
	sooner(c.retryAt)
	sooner(c.stuckAt)
	for _, p := range c.poison {
		sooner(p.at)
	}
	return at
}

// ErrOutboxFull says that too much waits for the peer.
var ErrOutboxFull = errors.New("outbox full")

// ErrPeer says that no link with this peer exists.
var ErrPeer = errors.New("unknown peer")
