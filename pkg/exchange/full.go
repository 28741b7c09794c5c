package exchange

import (
	"context"
	"errors"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// fullPatience is how long a body waits for room in the chunk store: exchanges that are under way may end meanwhile.
const fullPatience = 20 * time.Second

// chunkProblem is what a caller is told when chunks could not be stored.
func chunkProblem(err error) error {
	if errors.Is(err, chunk.ErrFull) {
		p := Problemf(CodeStorageFull, "the chunk store of this site is full of bodies that are needed, or its disk is")
		p.RetryAfter = 30
		return p
	}
	if errors.Is(err, store.ErrFull) { // the index of the chunks could not be written
		p := Problemf(CodeStoreFailed, "the state folder cannot be written: its disk is full")
		p.RetryAfter = 5
		return p
	}
	return err
}

// ChunksRefused implements node.ChunkHandler: a body that a peer sends takes more than it may, or there has been no room
// for it for some time. It ends with that reason, and what it took is free.
func (m *Manager) ChunksRefused(s *node.Step, peer identity.ID, id ID, full bool) {
	c, j := m.calls[id], m.jobs[id]
	if c != nil && (c.peer != peer || c.local) || j != nil && j.peer != peer || full && !m.patient(s, id) {
		return
	}
	side := "callees'"
	if c != nil {
		side = "callers'"
	}
	p := Problemf(CodeChunkQuota, "the body takes more of the chunk store at the %s side than one call, or all calls with this peer, may", side)
	if full {
		p = Problemf(CodeStorageFull, "the chunk store at the %s side is full of bodies that are needed, or its disk is", side)
	}
	delete(m.full, id)
	switch {
	case c != nil:
		m.giveUpOn(s, c, p)
	case j != nil && j.state == jobCalling:
		m.endMending(id)
	case j != nil && j.state != jobBody:
	case j != nil && j.came:
		m.turnDown(s, j, p)
	default:
		m.refuseEarly(s, peer, id, p)
	}
}

// patient says whether a body has waited for room for long enough. Each chunk that is stored begins the wait anew.
func (m *Manager) patient(s *node.Step, id ID) bool {
	since, waits := m.full[id]
	if !waits {
		m.full[id] = s.Now
		return false
	}
	return s.Now.Sub(since) >= m.cfg.FullPatience
}

// refuseEarly ends a request that has not come yet, while its body still does: its caller hears of it at once.
func (m *Manager) refuseEarly(s *node.Step, peer identity.ID, id ID, p *Problem) {
	if _, err := m.store.Exchange(context.Background(), id, store.SideEgress); err == nil || m.cfg.Upstreams == nil {
		s.Over(peer, id) // finished, or nothing that this site takes
		return
	}
	m.dropRequest(s, peer, id, p)
	s.Over(peer, id)
	m.refuse(s, peer, id, attemptsPerRequest, p, s.Now)
}

// refused ends an upload of this site whose body the far side does not take.
func (m *Manager) refused(peer identity.ID, r *resData) {
	if u := m.uploads[r.Exchange]; u != nil && u.r.Peer == peer && r.Problem != nil {
		u.stop(&Problem{Code: r.Problem.Code, Detail: r.Problem.Detail})
	}
}
