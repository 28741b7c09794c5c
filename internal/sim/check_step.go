package sim

import (
	"context"
	"fmt"
	"slices"
	"testing/synctest"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// readRows takes in what is durable of each link.
func (p *proc) readRows() {
	rows, err := p.db.Links(context.Background())
	if err != nil {
		p.w.fail("store", "%s: %v", p.site.name, err)
	}
	for _, r := range rows {
		p.rows[r.Peer] = r
	}
}

// durable says whether the receipt of a message is durable, of the pair that the row is of.
func durable(r store.Link, id uint64) bool { return id <= r.Contig || r.OOO.Contains(id) }

// checkWrite holds a frame that is about to be written against what is durable, and gives what its lines say.
func (p *proc) checkWrite(wr node.Write) (said []*frame.Claims) {
	w, row := p.w, p.rows[wr.Peer]
	d := direction{p.site.id, wr.Peer}
	var ids []uint64
	for _, line := range wr.Lines {
		c, err := frame.ParseClaims(line)
		if err != nil {
			w.fail("claims", "%s writes what it would not read: %v\n%s", p.site.name, err, line)
			return nil
		}
		said = append(said, c)
		if c.Ep != row.Epoch {
			w.fail("epoch before commit", "%s writes under epoch %d, and %d is durable", p.site.name, c.Ep, row.Epoch)
		}
		if c.Ack != nil {
			p.checkAck(wr.Peer, row, c)
		}
		for i := range c.Msg {
			m := &c.Msg[i]
			ids = append(ids, m.ID)
			if len(m.Body) > 0 && w.signed(p.site, w.byID(wr.Peer)) {
				w.fail("readable", "%s writes message %d with a body inside, on a signed link", p.site.name, m.ID)
			}
			if m.Kind == frame.KindHave {
				p.checkHave(wr.Peer, m.Data)
			}
			if m.ID > row.LastID {
				w.fail("message before commit", "%s writes message %d, and %d is the last that is durable", p.site.name, m.ID, row.LastID)
			}
			key := sentID{d, p.site.history.lost, m.ID}
			h := mix([]byte(m.Kind), m.Data, m.Body)
			old, before := w.book.content[key]
			if before && old != h && !p.site.doubted(wr.Peer, c.Ep) && p.site.history.restored+p.site.history.cloned == 0 {
				w.fail("content of an id", "%s writes message %d to %s with another content than before", p.site.name, m.ID, w.byID(wr.Peer).name)
			}
			if m.Kind == frame.KindPack && !before {
				p.checkAnnouncement(wr.Peer, m.Data)
			}
			w.book.content[key] = h
			w.book.copies++
		}
	}
	p.checkName(wr.Peer, wr.Name, false)
	if w.plan.HoldBack == 0 {
		ids = nil
	}
	w.book.inFile[wr.Name] = ids
	return said
}

// checkAck demands that what a frame acks is durable here.
func (p *proc) checkAck(peer identity.ID, row store.Link, c *frame.Claims) {
	var known frame.Ranges
	if row.PeerEpoch == c.Pep && row.Epoch == c.Ep {
		known = row.OOO.Clone()
		if row.Contig > 0 {
			known.Add(1, row.Contig)
		}
	}
	said := c.Ack.OOO.Clone()
	if c.Ack.Contig > 0 {
		said.Add(1, c.Ack.Contig)
	}
	for _, r := range known {
		said.Remove(r[0], r[1])
	}
	if len(said) > 0 {
		p.w.fail("ack before commit", "%s acks %v of %s, which is not durable (%d and %v are)", p.site.name, said, p.w.byID(peer).name, row.Contig, row.OOO)
	}
}

// checkName demands that no file name is used twice, whatever the clocks say and whoever has heard of earlier lives.
// A pack that an earlier run may have written is written again under its name.
func (p *proc) checkName(peer identity.ID, name frame.Name, again bool) {
	w := p.w
	if _, used := w.book.inFile[name]; used && !again && p.site.history.cloned == 0 && !p.site.doubted(peer, p.rows[peer].Epoch) {
		w.fail("name used twice", "%s uses %d again", p.site.name, name.Seq)
	}
	if name.Ext == frame.ExtPack {
		w.book.inFile[name] = nil
	}
}

// noteFile takes what was read into the trace.
func (p *proc) noteFile(f pipe.File, in link.File) {
	p.w.trace.note(p.w, 'R', uint64(p.n), f.Name.Seq, uint64(len(in.Lines)))
}

// checkTaken demands that what came of the live pair was taken: whatever distance lies between ids, only the number
// of ranges is a bound.
func (p *proc) checkTaken(f pipe.File, in link.File) {
	peer := f.Name.Sender
	l := p.core.Link(peer)
	own, pep := l.Epoch()
	sizes := l.Sizes()
	all := !sizes.Full && !sizes.Fork && l.Stopped() == ""
	st := l.State()
	for _, c := range in.Lines {
		if c.Ep != pep || c.Pep != own {
			continue
		}
		for i := range c.Msg {
			if ownKind(c.Msg[i].Kind) {
				continue // nobody here is told of it
			}
			id := c.Msg[i].ID
			if key := (received{peer, own, pep, id}); p.taken[key] {
				p.carried[f.Name] = append(p.carried[f.Name], key)
			}
			if all && id >= sizes.Base && id > st.Contig && !p.taken[received{peer, own, pep, id}] && !durable(p.rows[peer], id) {
				p.w.fail("not taken", "%s has not taken message %d of %s; %d ranges are known, contig is %d", p.site.name, id,
					p.w.byID(peer).name, len(st.OOO), st.Contig)
			}
		}
	}
}

// ownKind says that messages of a kind are the core's own.
func ownKind(k frame.Kind) bool {
	switch k {
	case frame.KindPack, frame.KindHave, frame.KindProbe, frame.KindWant, frame.KindGone, frame.KindFetch:
		return true
	}
	return false
}

// checkConsumed demands that a file is removed only when what was taken of it is durable, or of a pair that is over.
func (p *proc) checkConsumed(f pipe.File) {
	w := p.w
	row := p.rows[f.Name.Sender]
	for _, k := range p.carried[f.Name] {
		if row.PeerEpoch < k.pep || row.Epoch < k.own || row.PeerEpoch == k.pep && row.Epoch == k.own && !durable(row, k.id) {
			w.fail("removed before commit", "%s removes file %d of %s, whose message %d is not durable", p.site.name, f.Name.Seq, w.byID(k.peer).name, k.id)
		}
	}
	delete(p.carried, f.Name)
	if f.Name.Seq/frame.SeqPerEpoch < row.PeerEpoch {
		return // of a life that is over
	}
	w.trace.note(w, 'X', uint64(p.n), f.Name.Seq)
}

// checkCommitted compares what is durable at both ends of each link.
func (p *proc) checkCommitted() {
	w, s := p.w, p.site
	for peer, mine := range p.rows {
		o := w.byID(peer)
		if len(o.procs) != 1 || len(s.procs) != 1 || s.doubted(peer, mine.Epoch) {
			continue
		}
		theirs, ok := o.procs[0].rows[s.id]
		if !ok || theirs.PeerEpoch != mine.Epoch || theirs.Epoch != mine.PeerEpoch || o.doubted(s.id, theirs.Epoch) {
			continue
		}
		// Of one pair: what I take for received is received.
		acked := mine.AckedOOO.Clone()
		if mine.AckedContig > 0 {
			acked.Add(1, mine.AckedContig)
		}
		if theirs.Contig > 0 {
			acked.Remove(1, theirs.Contig)
		}
		for _, r := range theirs.OOO {
			acked.Remove(r[0], r[1])
		}
		if len(acked) > 0 {
			w.fail("acked, not received", "%s takes %v for received by %s, which knows nothing of it", s.name, acked, o.name)
		}
	}
}

// windowBytes is what link.Config.WindowBytes is where nothing is said.
const windowBytes = 8 << 20

// checkBounds holds what a process keeps against its limits.
func (p *proc) checkBounds() {
	w, pl := p.w, &p.w.plan
	for _, o := range w.sites {
		l := p.core.Link(o.id)
		if l == nil {
			continue
		}
		sizes := l.Sizes()
		if n := sizes.Files; n > 4*pl.MaxFiles+8 { // what was one file may take several to replace, and small ones go past a full outbox
			w.fail("files bounded", "%s has %d files with messages to %s, %d allowed", p.site.name, n, o.name, pl.MaxFiles)
		}
		if n := sizes.Window; n > pl.Window+8 { // eight may come beyond it for a peer that is full
			w.fail("memory bounded", "%s holds %d messages to %s in memory, %d allowed", p.site.name, n, o.name, pl.Window)
		}
		if n := sizes.Bytes; n > windowBytes+8*frame.MaxMessage {
			w.fail("memory bounded", "%s holds %d bytes of messages to %s in memory, %d allowed", p.site.name, n, o.name, windowBytes)
		}
		if n := len(p.rows[o.id].OOO); n > pl.MaxRanges {
			w.fail("ranges bounded", "%s has stored %d ranges of %s, %d allowed", p.site.name, n, o.name, pl.MaxRanges)
		}
	}
}

// watched is the layer above, held to what it may be told.
type watched struct {
	above
	p *proc
}

// above is what exchange.Manager, and datapipe.Pipe before it, are to a core.
type above interface {
	node.Recoverer
	node.ChunkHandler
}

// Recover implements node.Recoverer.
func (h watched) Recover(ctx context.Context, s *node.Step) error {
	err := h.above.Recover(ctx, s)
	synctest.Wait()
	return err
}

// Deliver implements node.Handler.
func (h watched) Deliver(s *node.Step, d *node.Delivery) *node.Keep {
	p := h.p
	own, _ := s.Link(d.Peer).Epoch()
	key := received{d.Peer, own, d.PeerEpoch, d.ID}
	row := p.rows[d.Peer]
	if d.Tries == 1 && (p.taken[key] || row.PeerEpoch == d.PeerEpoch && row.Epoch == own && durable(row, d.ID)) {
		p.w.fail("delivered twice", "%s: message %d of %s came to the layer above again", p.site.name, d.ID, p.w.byID(d.Peer).name)
	}
	p.taken[key] = true
	p.w.trace.note(p.w, 'M', uint64(p.n), d.ID, mix([]byte(d.Kind), d.Data))
	if p.w.trace.verbose {
		p.w.trace.tell(p.w, fmt.Sprintf("%s gets message %d of %s: %s %.300s", p.site.name, d.ID, p.w.byID(d.Peer).name, d.Kind, d.Data))
	}
	keep := h.above.Deliver(s, d)
	synctest.Wait()
	return keep
}

// Poisoned implements node.Handler.
func (h watched) Poisoned(s *node.Step, d *node.Delivery) {
	h.p.w.fail("panic", "%s: message %d was set aside", h.p.site.name, d.ID)
	h.above.Poisoned(s, d)
}

// PeerReset implements node.Handler.
func (h watched) PeerReset(s *node.Step, peer identity.ID) {
	h.p.w.trace.say(h.p.w, "%s sees that %s lost its state", h.p.site.name, h.p.w.byID(peer).name)
	h.above.PeerReset(s, peer)
	synctest.Wait()
}

// OwnReset implements node.Handler.
func (h watched) OwnReset(s *node.Step, peer identity.ID) {
	h.p.w.trace.say(h.p.w, "%s hears from %s that its own state was set back", h.p.site.name, h.p.w.byID(peer).name)
	another := func(q *proc) bool { return q != h.p }
	if own, _ := s.Link(peer).Epoch(); slices.ContainsFunc(h.p.site.procs, another) { // this one may be starting yet
		h.p.site.history.doubtful[peerEpoch{peer, own}] = true // the other copy may open the same
	}
	h.above.OwnReset(s, peer)
	synctest.Wait()
}

// Tick implements node.Handler.
func (h watched) Tick(s *node.Step) {
	h.above.Tick(s)
	synctest.Wait()
}
