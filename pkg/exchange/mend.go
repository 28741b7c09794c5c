package exchange

import (
	"context"
	"errors"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
)

// maxMends is how often one chunk of a body is asked for again.
const maxMends = 3

// mending waits for a chunk that was here and is not any more as it was.
type mending struct {
	rec  chunk.Record
	len  int64 // of its content
	done chan error
}

// errNotMended says that a chunk which went bad on the disk cannot be had again.
var errNotMended = errors.New("a part of the body went bad on the disk of this site, and its sender has it no longer")

// mend returns when a chunk of a body that is on its way is here, or will never be. One that was here, and can no longer
// be read, is asked for again: its sender keeps the chunks of a body until the exchange has ended.
func (m *Manager) mend(ctx context.Context, peer identity.ID, id ID, e *chunk.Entry) error {
	w := &mending{rec: chunk.Record{Name: e.Name(), Hsh: e.Hsh}, len: e.Len, done: make(chan error, 1)}
	if err := m.loop.Do(func(s *node.Step) { m.startMending(s, peer, id, w) }); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-m.tasks.ctx.Done():
		return errClosing
	}
}

func (m *Manager) startMending(s *node.Step, peer identity.ID, id ID, w *mending) {
	if m.cfg.Chunks.Holds(w.rec) { // another reader was quicker, or reading failed for once
		w.done <- nil
		return
	}
	in := m.incoming(peer, id)
	if in == nil {
		w.done <- errNotMended
		return
	}
	m.mending[id] = append(m.mending[id], w)
	m.wantAgain(s, peer, id, in, w)
}

// wantAgain asks for a chunk unless it is waited for anyway.
func (m *Manager) wantAgain(s *node.Step, peer identity.ID, id ID, in *inbound, w *mending) {
	if _, waits := in.missing[w.rec.Name]; waits {
		return
	}
	m.cfg.Log.Warn().Stringer("exchange", id).Str("peer", m.cfg.Peers[peer]).Stringer("chunk", w.rec.Name).
		Msg("a stored chunk can no longer be read; asking for it again")
	m.needChunks(s, peer, id, in, map[chunk.Name]awaited{w.rec.Name: {1, w.len}})
}

// incoming gives the body that a peer sends for an unfinished exchange, nil if there is none.
func (m *Manager) incoming(peer identity.ID, id ID) *inbound {
	if c := m.calls[id]; c != nil && c.peer == peer {
		return &c.inbound
	}
	if j := m.jobs[id]; j != nil && j.peer == peer && !j.ended() {
		return j.parcel()
	}
	return nil
}

// mended wakes those whose chunk has come.
func (m *Manager) mended(s *node.Step, peer identity.ID, id ID, in *inbound) {
	left := m.mending[id][:0]
	for _, w := range m.mending[id] {
		if m.cfg.Chunks.Holds(w.rec) {
			w.done <- nil
			continue
		}
		left = append(left, w)
		m.wantAgain(s, peer, id, in, w) // it came, and was lost at once
	}
	if m.mending[id] = left; len(left) == 0 {
		delete(m.mending, id)
	}
}

// endMending tells those who wait that what they wait for will not come.
func (m *Manager) endMending(id ID) {
	for _, w := range m.mending[id] {
		w.done <- errNotMended
	}
	delete(m.mending, id)
}

// unreadable says whether an error means that a chunk must be had again.
func unreadable(err error) bool {
	return errors.Is(err, chunk.ErrDamaged) || errors.Is(err, chunk.ErrMissing)
}
