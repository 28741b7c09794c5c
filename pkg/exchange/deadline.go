package exchange

import (
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// due is when a job must not be begun any more. Until the request was sealed the sender's clock counts, then an estimate
// of the time in the pipe, and from its receipt on the own clock.
type due struct {
	expires time.Time     // as far as it is known yet; zero: never
	left    time.Duration // when the request was sealed
	took    time.Duration // from then to its receipt, by two clocks that may differ by anything
	at      time.Time     // of its receipt; zero: nothing more will be known
}

const (
	// iatUnit is how exact iat is: whole seconds. Without it the estimate would be no lower bound.
	iatUnit = time.Second
	// clockDoubt is by how much the clocks of two sites are taken to differ at most, where nothing else is known yet.
	clockDoubt = time.Hour
)

// dueOf gives when a request is due that came at received in a line that was sealed at sent.
func dueOf(r *reqData, sent, received time.Time) due {
	if r.TTL <= 0 {
		return due{}
	}
	unsealed := max(time.Duration(sent.UnixMilli()-r.At)*time.Millisecond, 0)
	left := time.Duration(r.TTL)*time.Millisecond - unsealed
	return due{expires: received.Add(left), left: left, took: received.Sub(sent), at: received}
}

// learn takes off how long the request lay in the pipe, whatever the clocks of the two sites say: what it took longer than
// the quickest line of this run (docs/protocol.md "Deadlines"). That is a lower bound, and grows with what comes.
func (d *due) learn(l *link.Link) {
	if d.at.IsZero() || l == nil {
		return
	}
	quickest, known := l.Quickest()
	if !known {
		return
	}
	if at := d.at.Add(d.left - max(d.took-quickest-iatUnit, 0)); at.Before(d.expires) {
		d.expires = at
	}
}

// passed says whether the deadline has passed, as far as it is known.
func (d *due) passed(now time.Time) bool { return !d.expires.IsZero() && now.After(d.expires) }

// unclear says whether it may have passed although nothing shows it yet: by the clocks, if they are wrong by clockDoubt. A call that is
// made again may have come long ago.
func (d *due) unclear(now time.Time) bool {
	return !d.at.IsZero() && d.took+max(now.Sub(d.at), 0)+clockDoubt >= d.left
}

// watchDeadline has the calls looked at when this one's deadline passes.
func (m *Manager) watchDeadline(c *call) {
	if at := fromMillis(c.deadline); !at.IsZero() && (m.dueAt.IsZero() || at.Before(m.dueAt)) {
		m.dueAt = at
	}
}

// dueEvery is the least time between two looks at all deadlines: with very many calls each look takes a while.
const dueEvery = 250 * time.Millisecond

// endOverdue ends the calls whose deadline passed before their request was written: it is taken back, so nobody
// makes it. Of what may be on its way only the far side can tell; it refuses what comes too late. Where that is not
// configured any more nobody would tell.
func (m *Manager) endOverdue(s *node.Step) {
	if m.dueAt.IsZero() || s.Now.Before(m.dueAt) {
		return
	}
	m.dueAt = time.Time{}
	over := map[ID]*call{}
	for id, c := range m.calls {
		if c.deadline == 0 || s.Now.UnixMilli() < c.deadline {
			m.watchDeadline(c)
		} else {
			over[id] = c
		}
	}
	if next := s.Now.Add(dueEvery); !m.dueAt.IsZero() && m.dueAt.Before(next) {
		m.dueAt = next
	}
	for _, c := range inOrder(over) {
		c.deadline = 0 // looked at once
		if s.Link(c.peer) == nil && !c.local {
			m.fail(s, c, Problemf(CodeUncertain, "the deadline passed, and the peer is no longer configured; the server may have acted"))
		} else if c.reqID != 0 && !s.Link(c.peer).MayBeWritten(c.reqID) {
			m.takeBack(s, c)
			m.fail(s, c, c.overdue())
		}
	}
}

// overdueAtOnce bounds how many waiting jobs one step ends.
const overdueAtOnce = 500

// endQueued ends jobs whose deadline passes while they wait for a slot, which may be long in coming. more: there are others.
func (m *Manager) endQueued(s *node.Step) (more bool) {
	late := m.jobsWhere(func(j *job) bool {
		if j.state != jobQueued || j.expires.IsZero() {
			return false
		}
		j.learn(s.Link(j.peer))
		return j.passed(s.Now)
	})
	for _, j := range late[:min(len(late), overdueAtOnce)] {
		m.unqueue(j)
		m.turnDown(s, j, overdue())
	}
	return len(late) > overdueAtOnce
}

// overdue is how a call ends whose deadline passed before its request was written: the newest sending of it, for an
// earlier one may have come to a site that lost its state since, and one of another life of this site may have come too.
func (c *call) overdue() *Problem {
	if c.sent > 1 || c.earlier {
		return Problemf(CodeUncertain, "the deadline passed before the request could be sent again; the server may have acted on it")
	}
	return Problemf(CodeDeadline, "the deadline passed before the request could be sent")
}

// takeBack withdraws a request that was not written; parts of its body that were are given up at the far side.
func (m *Manager) takeBack(s *node.Step, c *call) {
	rows, err := m.rows(c)
	ids := unackedIDs(rows)
	ids.Add(c.reqID, c.reqID) // its row may not be committed yet
	s.Withdraw(c.peer, ids)
	if err != nil || slices.ContainsFunc(rows, func(r store.Out) bool { return r.Kind == frame.KindBody }) {
		m.sendCancel(s, c.peer, c.id)
	}
}
