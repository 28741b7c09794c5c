package exchange

import (
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// transits estimates how long messages lay in the pipe, whatever the clocks of the two sites say: what a message
// took longer than the quickest of this run (PROTOCOL "Exchanges"). It is a lower bound. It belongs to the loop.
type transits map[identity.ID]time.Duration

// note takes in a message and gives the estimate for it.
func (t transits) note(d *node.Delivery) time.Duration {
	took := d.Received.Sub(d.SentAt)
	least, known := t[d.Peer]
	if !known || took < least {
		t[d.Peer] = took
		return 0
	}
	return max(took-least-iatUnit, 0)
}

// iatUnit is how exact iat is: whole seconds. Without it the estimate would be no lower bound.
const iatUnit = time.Second

// expiry is when a job must not be begun any more; zero: never. Until the request was sealed the sender's clock
// counts, then the estimate of the time in the pipe, and from its receipt on the own clock.
func expiry(r *reqData, d *node.Delivery, inPipe time.Duration) time.Time {
	if r.TTL <= 0 {
		return time.Time{}
	}
	unsealed := max(time.Duration(d.SentAt.UnixMilli()-r.At)*time.Millisecond, 0)
	return d.Received.Add(time.Duration(r.TTL)*time.Millisecond - unsealed - inPipe)
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
// makes it. Of what may be on its way only the far side can tell; it refuses what comes too late.
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
		if c.reqID != 0 && !s.Link(c.peer).MayBeWritten(c.reqID) {
			m.takeBack(s, c)
			m.fail(s, c, c.overdue())
		}
	}
}

// overdue is how a call ends whose deadline passed before its request was written: the newest sending of it, for an
// earlier one may have come to a site that lost its state since.
func (c *call) overdue() *Problem {
	if c.sent > 1 {
		return Problemf(CodeUncertain, "the deadline passed before the request could be sent again; the server may have acted on it")
	}
	return Problemf(CodeDeadline, "the deadline passed before the request could be sent")
}

// takeBack withdraws a request that was not written; parts of its body that were are given up at the far side.
func (m *Manager) takeBack(s *node.Step, c *call) {
	rows := m.rows(c)
	ids := unackedIDs(rows)
	ids.Add(c.reqID, c.reqID) // its row may not be committed yet
	s.Withdraw(c.peer, ids)
	if !slices.ContainsFunc(rows, func(r store.Out) bool { return r.Kind == frame.KindBody }) {
		return
	}
	if msg, err := encode(frame.KindCancel, link.PrioControl, c.id, &cancelData{Exchange: c.id}, nil, false); err == nil {
		msg.Must = true
		_ = s.Send(c.peer, msg) // an unknown peer has nothing to give up
	}
}
