package exchange

import (
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

const (
	// callCost, bodyCost and partCost are what a call is charged to its peer for besides its bytes: its rows, and what of it is
	// in memory (some 300 bytes while it waits, up to 1 KiB where its body comes in parts); rather too much.
	callCost = 4 << 10
	bodyCost = 16 << 10
	partCost = 512
	// maxGaps and maxPieces bound one body: runs of it that came apart from each other, and its chunks.
	maxGaps   = 1 << 14
	maxPieces = 1 << 18
	// maxPeerPieces bounds the chunks of all unfinished bodies of one peer.
	maxPeerPieces = 1 << 20
	// maxVoid is how many exchanges of one peer are remembered whose request gets a problem if it comes.
	maxVoid = 4096
	// recountPer is the least pause between two exact counts of what a peer has, for each exchange that is looked at: a hundred
	// times what that takes. More than recountEvery it need not be.
	recountPer   = 10 * time.Microsecond
	recountEvery = 100 * time.Millisecond
)

// shareOf is what one peer has unfinished here: never less than it is, and counted anew when it looks like too much.
type shareOf struct {
	pieces  int
	bytes   int64
	counted time.Time
	void    []ID // what is in Manager.gone of this peer, oldest first
}

func (m *Manager) share(peer identity.ID) *shareOf {
	u := m.shares[peer]
	if u == nil {
		u = &shareOf{}
		m.shares[peer] = u
	}
	return u
}

// more takes up what a peer wants to add; false: it would have too much.
func (m *Manager) more(now time.Time, peer identity.ID, pieces int, bytes int64) bool {
	u, most := m.share(peer), m.cfg.Share
	over := func() bool {
		return most > 0 && bytes > 0 && u.bytes+bytes > most || pieces > 0 && u.pieces+pieces > maxPeerPieces
	}
	if over() {
		if pause := time.Duration(len(m.jobs)+len(m.calls)) * recountPer; now.Sub(u.counted) >= min(pause, recountEvery) {
			m.recount(u, peer)
			u.counted = now
		}
		if over() {
			return false
		}
	}
	u.pieces, u.bytes = u.pieces+pieces, u.bytes+bytes
	return true
}

// less gives back what something of the peer had that goes because it was too much: what comes at once has room.
func (m *Manager) less(peer identity.ID, pieces int, bytes int64) {
	u := m.share(peer)
	u.pieces, u.bytes = max(u.pieces-pieces, 0), max(u.bytes-bytes, 0)
}

// recount looks at everything of the peer.
func (m *Manager) recount(u *shareOf, peer identity.ID) {
	u.pieces, u.bytes = 0, 0
	for _, j := range m.jobs {
		if j.peer == peer {
			u.pieces, u.bytes = u.pieces+j.pieces(), u.bytes+j.held
		}
	}
	for _, c := range m.calls {
		if c.peer == peer {
			u.pieces, u.bytes = u.pieces+len(c.names), u.bytes+c.size
		}
	}
}

// costOf is what a peer is charged for a request that is kept.
func costOf(r *reqData, head int, inline int64) int64 {
	cost := callCost + int64(head) + inline
	if r.Parts > 0 {
		cost += bodyCost
	}
	return cost
}

// tooMuch is what a peer is told that has its share.
func (m *Manager) tooMuch() *Problem {
	return Problemf(CodeRate, "the other site keeps as much unfinished for this one as it may take of its disk")
}

// pieces is how many chunks of its body are known.
func (j *job) pieces() int {
	if j.body == nil {
		return 0
	}
	return len(j.body.names)
}

// mistake counts a message that no peer in its right mind sends.
func (m *Manager) mistake(peer identity.ID) { m.mistakes[peer]++ }

// crowded ends a job whose peer has too much here.
func (m *Manager) crowded(s *node.Step, j *job) {
	p := m.tooMuch()
	m.mistake(j.peer)
	m.less(j.peer, j.pieces(), j.held)
	if j.came {
		m.turnDown(s, j, p)
		return
	}
	m.dropRequest(s, j.peer, j.id, p)
}

// void remembers what the request of an exchange gets if it comes (once more). A peer's oldest are forgotten, where nothing was
// begun rows and all, when it has more of them than anybody needs.
func (m *Manager) void(s *node.Step, peer identity.ID, id ID, p *Problem) {
	u := m.share(peer)
	if m.gone[id] != nil {
		u.void = slices.DeleteFunc(u.void, func(x ID) bool { return x == id })
	}
	u.void = append(u.void, id)
	m.gone[id] = p
	for len(u.void) > maxVoid {
		old := u.void[0]
		u.void = u.void[1:]
		delete(m.gone, old)
		row, err := m.jobRow(old)
		if err == nil && row.Peer == peer && row.Attempt == 0 && !row.Ended.IsZero() && m.calls[old] == nil {
			s.Store().PurgeExchange(old)
		}
	}
}

// jobRow is the row of an exchange at the callees' side, unless the id is that of a call of ours too.
func (m *Manager) jobRow(id ID) (store.Exchange, error) {
	if m.ours(id) {
		return store.Exchange{}, store.ErrNotFound
	}
	return m.store.Exchange(m.tasks.ctx, id, store.SideEgress)
}

// ours says whether an id is that of a call that was made here: a peer that learned it must not touch it as if it were its own.
func (m *Manager) ours(id ID) bool {
	if m.calls[id] != nil {
		return true
	}
	_, err := m.store.Exchange(m.tasks.ctx, id, store.SideIngress)
	return err == nil
}
