package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// Chunks is what exchanges need of the site's chunk store. Safe for concurrent use.
type Chunks interface {
	node.Chunks
	// Find gives the record of the chunk with this name and hash, or chunk.ErrMissing; one that is not durable is not found, and
	// one that was pinned before stays.
	Find(ctx context.Context, n chunk.Name, hsh chunk.Sum) (chunk.Record, error)
	// Pin keeps chunks from being evicted on behalf of an owner; Unpin lets all of an owner's go.
	Pin(owner [16]byte, names []chunk.Name)
	Unpin(owner [16]byte)
}

// readOnce gives the chunks of a body that is read from its beginning to its end, and hardly again soon.
func readOnce(c Chunks) chunk.Source {
	if s, ok := c.(interface{ Once() chunk.FillSource }); ok {
		return s.Once()
	}
	return c
}

// inbound is a body that comes in parts: what has come, and which of its chunks have not.
type inbound struct {
	have    frame.Ranges // bytes whose part came, as closed intervals
	missing map[chunk.Name]awaited
	names   []chunk.Name // of all its chunks
	size    int64        // bytes of it that came in messages, repeated ones too
	newest  time.Time    // when something of it came last; only of a request's body
}

// covers says whether all of the first n bytes are here.
func (in *inbound) covers(n int64) bool {
	return len(in.missing) == 0 && (n == 0 || len(in.have) == 1 && in.have[0] == frame.Range{0, uint64(n) - 1})
}

// lacks says whether any of some chunks is awaited.
func (in *inbound) lacks(names []chunk.Name) bool {
	return slices.ContainsFunc(names, func(n chunk.Name) bool { _, waits := in.missing[n]; return waits })
}

func (in *inbound) add(offset, n int64) {
	if n > 0 {
		in.have.Add(uint64(offset), uint64(offset+n)-1)
	}
}

var errOverlap = errors.New("parts of a body overlap")

// place says whether a part of n bytes repeats what came. One that overlaps it otherwise cannot be used: who reads goes from
// the end of one part to the beginning of the next.
func (in *inbound) place(offset, n int64) (again bool, err error) {
	if n <= 0 {
		return false, nil
	}
	lo, hi := uint64(offset), uint64(offset+n)-1
	if i := in.have.Index(lo); i >= 0 && in.have[i][1] >= hi {
		return true, nil
	} else if i >= 0 || slices.ContainsFunc(in.have, func(r frame.Range) bool { return lo < r[0] && r[0] <= hi }) {
		return false, errOverlap
	}
	return false, nil
}

var errPieces = errors.New("a body in more pieces than any has")

// full says that a body has come in as many pieces as one may have.
func (in *inbound) full(more int) bool {
	return len(in.have) >= maxGaps || len(in.names)+more > maxPieces
}

// requestOwner and answerOwner pin the chunks of a call's two bodies.
func requestOwner(id ID) [16]byte { return id }

func answerOwner(id ID) [16]byte {
	id[8] ^= 0xc0 // no UUID has these bits there (RFC 9562 section 4.1)
	return id
}

var errMapPart = errors.New("a part names no chunks that can be used")

// entriesOf reads the map in a part of a body: of sealed or of plain chunks.
func entriesOf(b *bodyData) ([]chunk.Entry, int64, error) {
	mp, err := chunk.ParseMap(b.Map)
	if err != nil {
		if plain, perr := chunk.ParsePlainMap(b.Map); perr == nil {
			mp, err = plain, nil
		}
	}
	if err != nil {
		return nil, 0, err
	}
	if len(mp.Entries) == 0 || mp.Level() != 0 {
		return nil, 0, errMapPart
	}
	return mp.Entries, mp.Size(), nil
}

// takeMap notes the chunks that a part of a body lies in: they are pinned, and those that are not here are awaited.
func (m *Manager) takeMap(s *node.Step, peer identity.ID, id ID, owner [16]byte, in *inbound, b *bodyData) (size int64, err error) {
	if m.cfg.Chunks == nil {
		return 0, errUnsupported
	}
	entries, size, err := entriesOf(b)
	if err != nil {
		return 0, fmt.Errorf("map: %w", err)
	}
	if b.Offset < 0 || b.Offset > maxOffset {
		return 0, errOffset
	}
	if in.full(len(entries)) || !m.more(s.Now, peer, len(entries), 0) {
		return 0, errPieces
	}
	names := make([]chunk.Name, len(entries))
	for i := range entries {
		names[i] = entries[i].Name()
	}
	m.cfg.Chunks.Pin(owner, names) // before the look: what is here now stays
	missing := absent(m.cfg.Chunks, entries, names)
	s.Hold(peer, id, held(entries, names, missing))
	in.names = append(in.names, names...)
	in.add(b.Offset, size)
	m.needChunks(s, peer, id, in, awaitedOf(entries, names, missing))
	return size, nil
}

// onMapPart takes a part of a response body that lies in chunks.
func (m *Manager) onMapPart(s *node.Step, c *call, d *node.Delivery, b *bodyData) (*node.Keep, error) {
	_, size, err := entriesOf(b)
	if err != nil {
		return nil, err
	}
	if again, err := c.place(b.Offset, size); again || err != nil {
		return nil, err
	}
	if _, err = m.takeMap(s, c.peer, c.id, answerOwner(c.id), &c.inbound, b); err != nil {
		return nil, err
	}
	c.stored(d, true)
	if b.Total != nil {
		c.total = *b.Total
	}
	if c.waiter != nil {
		c.waiter.addChunks(b)
	}
	m.finishIfComplete(s, c)
	return &node.Keep{Exchange: c.id, Attempt: b.Attempt, Offset: b.Offset, Size: size, Beside: size, Part: true}, nil
}

// absent gives the names of entries whose chunks are not here, or not durably so: who waits for them hears of it. names are those of
// the entries, and were pinned before, so that what is here stays.
func absent(here Chunks, entries []chunk.Entry, names []chunk.Name) (missing []chunk.Name) {
	for i, n := range names {
		if _, err := here.Find(context.Background(), n, entries[i].Hsh); err != nil {
			missing = append(missing, n)
		}
	}
	return missing
}

// held gives those of entries that are not missing, as what they take of the store at most: what a compressed chunk
// takes a map does not say.
func held(entries []chunk.Entry, names, missing []chunk.Name) (recs []chunk.Record) {
	for i, n := range names {
		if !slices.Contains(missing, n) {
			recs = append(recs, chunk.Record{Name: n, Hsh: entries[i].Hsh, Len: entries[i].Len + chunk.Overhead})
		}
	}
	return recs
}

// needChunks has missing chunks waited for, and asked for if they do not come by themselves.
func (m *Manager) needChunks(s *node.Step, peer identity.ID, id ID, in *inbound, missing map[chunk.Name]awaited) {
	if len(missing) == 0 {
		return
	}
	if in.missing == nil {
		in.missing = map[chunk.Name]awaited{}
	}
	names := make([]chunk.Name, 0, len(missing))
	for n, a := range missing {
		names = append(names, n)
		a.add(in.missing[n])
		in.missing[n] = a
	}
	m.awaiting[id] = in
	s.Need(peer, id, names)
}

// letGo ends what is awaited and pinned of an incoming body, of an exchange that is over.
func (m *Manager) letGo(s *node.Step, peer identity.ID, id ID, owner [16]byte, in *inbound) {
	s.Over(peer, id)
	m.dropBody(s, peer, id, owner, in)
}

// dropBody ends what is awaited and pinned of an incoming body; another may come for the same exchange.
func (m *Manager) dropBody(s *node.Step, peer identity.ID, id ID, owner [16]byte, in *inbound) {
	delete(m.awaiting, id)
	delete(m.full, id)
	m.endMending(id)
	s.Forget(peer, id)
	if len(in.names) > 0 {
		m.cfg.Chunks.Unpin(owner)
	}
}

// keepAnswer ends what is awaited of an answer. With keep its chunks stay until the exchange expires, also over a restart.
func (m *Manager) keepAnswer(s *node.Step, c *call, keep bool) {
	if keep && len(c.names) > 0 {
		owner, names := answerOwner(c.id), c.names
		s.Store().Chunks(chunk.Change{Now: s.Now, Pin: []chunk.Pin{{Owner: owner, Names: names}}})
		s.OnCommit(func(*node.Step) { m.cfg.Chunks.Unpin(owner) })
	}
	switch {
	case c.local: // who does the work lets go of the rest
		return
	case keep && len(c.names) > 0:
		delete(m.awaiting, c.id)
		m.endMending(c.id)
		s.Over(c.peer, c.id)
		return
	}
	m.letGo(s, c.peer, c.id, answerOwner(c.id), &c.inbound)
}

// endOffer ends the offer of an outgoing body.
func (m *Manager) endOffer(s *node.Step, peer identity.ID, id ID, owner [16]byte) {
	s.Release(peer, id)
	if m.cfg.Chunks != nil {
		m.cfg.Chunks.Unpin(owner)
	}
}

// endAnswer ends the offer of an answer that is not wanted any more, or cannot be had whole.
func (m *Manager) endAnswer(s *node.Step, peer identity.ID, id ID) {
	if b := s.Bulk(peer); b != nil && m.calls[id] == nil && m.uploads[id] == nil && b.Offered(id) {
		m.endOffer(s, peer, id, answerOwner(id))
	}
}

// ChunksStored implements node.ChunkHandler.
func (m *Manager) ChunksStored(s *node.Step, peer identity.ID, x ID, names []chunk.Name) {
	delete(m.full, x)
	for _, id := range idsInOrder(m.awaiting) {
		in := m.awaiting[id]
		c, j := m.calls[id], m.jobs[id]
		if c == nil && (j == nil || j.peer != peer) || c != nil && c.peer != peer {
			continue
		}
		s.Satisfied(peer, id, names)
		for _, n := range names {
			delete(in.missing, n)
		}
		m.mended(s, peer, id, in)
		if len(in.missing) == 0 {
			delete(m.awaiting, id)
		}
		switch {
		case c != nil:
			if c.waiter != nil {
				c.waiter.wake()
			}
			m.finishIfComplete(s, c)
		case j.state == jobBody && j.complete():
			m.begin(s, j)
		case j.state == jobBody:
			in.newest = s.Now
		}
	}
}

// ChunksGone implements node.ChunkHandler: a body cannot be completed any more. What it lacks no longer, or was asked for on
// behalf of an attempt that is void, need not be there.
func (m *Manager) ChunksGone(s *node.Step, peer identity.ID, id ID, names []chunk.Name) {
	if in := m.awaiting[id]; in == nil || !in.lacks(names) {
		return
	}
	p := Problemf(CodeChunksGone, "a part of the body was lost, and is no longer stored at its sender")
	if c := m.calls[id]; c != nil && c.peer == peer && !c.local {
		m.giveUpOn(s, c, p)
		return
	}
	j := m.jobs[id]
	switch {
	case j == nil || j.peer != peer:
	case j.state == jobCalling:
		m.endMending(id) // the call fails where its body ends
	case j.state != jobBody:
	case !j.came: // it is answered when it comes
		m.dropRequest(s, peer, id, p)
	default:
		m.turnDown(s, j, p)
	}
}

// ChunksMoved implements node.ChunkHandler.
func (m *Manager) ChunksMoved(*node.Step, identity.ID, ID) {}

// dropAnswers ends the offers of answers to a peer that lost its state: nobody there waits for them.
func (m *Manager) dropAnswers(s *node.Step, peer identity.ID) {
	b := s.Bulk(peer)
	if b == nil {
		return
	}
	for _, id := range b.Offering() {
		if m.calls[id] == nil && m.uploads[id] == nil {
			m.endOffer(s, peer, id, answerOwner(id))
		}
	}
}

// purged ends what an exchange that is forgotten may still offer.
func (m *Manager) purged(s *node.Step, k store.ExchangeKey) {
	if m.cfg.Chunks == nil || k.Side != store.SideEgress {
		return
	}
	for peer := range m.cfg.Peers {
		s.Release(peer, k.ID)
	}
	m.cfg.Chunks.Unpin(answerOwner(k.ID))
}

// recoverOffers pins again what bodies on their way need, and opens the windows of answers that nobody waits for.
func (m *Manager) recoverOffers(ctx context.Context, s *node.Step, over map[ID]bool) error {
	for _, c := range inOrder(m.calls) {
		m.unbound(s, c)
	}
	if m.cfg.Chunks == nil {
		return nil
	}
	for peer := range m.cfg.Peers {
		offers, err := m.store.Offers(ctx, peer)
		if err != nil {
			return fmt.Errorf("recover offers: %w", err)
		}
		for _, o := range offers {
			if over[o.Exchange] {
				continue
			}
			recs, err := bulk.UnpackRecords(o.Recs)
			if err != nil {
				return fmt.Errorf("recover offers: %w", err)
			}
			owner := answerOwner(o.Exchange)
			if m.calls[o.Exchange] != nil {
				owner = requestOwner(o.Exchange)
			}
			names := make([]chunk.Name, len(recs))
			for i, r := range recs {
				names[i] = r.Name
			}
			m.cfg.Chunks.Pin(owner, names)
		}
	}
	return nil
}

// recoverAnnounced forgets what is announced for exchanges that this site knows nothing of: they are over, or nothing of
// theirs but the announcement came, and then what is still needed is asked for.
func (m *Manager) recoverAnnounced(s *node.Step) { m.forgetAnnounced(s, (*bulk.Peer).Announcing) }

// forgetAnnounced forgets those of some announced exchanges that this site knows nothing of.
func (m *Manager) forgetAnnounced(s *node.Step, some func(*bulk.Peer) []ID) {
	for peer := range m.cfg.Peers {
		b := s.Bulk(peer)
		if b == nil {
			continue
		}
		for _, id := range some(b) {
			if m.calls[id] == nil && m.jobs[id] == nil && m.jobs[Beside(id)] == nil {
				s.Forget(peer, id)
			}
		}
	}
}

// recoverMap takes up a stored part of a body that lies in chunks; false: it does not.
func (m *Manager) recoverMap(s *node.Step, r *store.In, owner [16]byte, in *inbound) (inChunks bool, err error) {
	d, err := decodeLoose[bodyData](r.Data)
	if err != nil || d.Map == nil {
		return false, err
	}
	_, err = m.takeMap(s, r.Peer, r.Exchange, owner, in, d)
	return true, err
}
