package exchange

import (
	"context"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// onCancel ends a job: not begun, it never will be; begun, the callee's request is ended.
func (m *Manager) onCancel(s *node.Step, d *node.Delivery) error {
	c, err := decode[cancelData](d.Data)
	if err != nil {
		return err
	}
	j := m.jobs[c.Exchange]
	if j != nil && j.peer != d.Peer {
		return nil
	}
	m.endAnswer(s, d.Peer, c.Exchange) // it is not wanted any more
	if j != nil && j.state == jobCalling {
		j.giveUp()
		m.void(s, d.Peer, j.id, canceledAfter(j.try)) // its request may come once more when it is over
		return nil
	}
	if j != nil && j.came {
		// The caller waits for this word. Where the request has not come, it is given when it comes.
		m.refuse(s, d.Peer, j.id, j.attempt(), canceledAfter(j.try), j.arrived)
	}
	m.dropRequest(s, d.Peer, c.Exchange, nil)
	return nil
}

// canceledAfter is how a request ends that its caller gave up, after some tries.
func canceledAfter(tries int) *Problem {
	if tries > 0 {
		return Problemf(CodeCanceled, "canceled before the call was made again; the server may have acted on an earlier try")
	}
	return Problemf(CodeCanceled, "canceled before the call was begun")
}

// dropRequest ends what has not begun, and has a request that comes later end as well: with the problem, or (nil) canceled.
func (m *Manager) dropRequest(s *node.Step, peer identity.ID, id ID, p *Problem) {
	if j := m.jobs[id]; j != nil {
		if j.peer != peer || j.state == jobCalling {
			return
		}
		m.unqueue(j)
		delete(m.jobs, id)
		m.letGo(s, peer, id, requestOwner(id), j.parcel())
	} else if row, err := m.store.Exchange(context.Background(), id, store.SideEgress); err == nil || m.ours(id) {
		if err == nil && row.Peer == peer && p == nil && m.gone[id] == nil && !m.ours(id) {
			m.void(s, peer, id, canceledAfter(row.Attempt)) // what is over stays as it is, and is not made again
		}
		return
	}
	now := s.Now
	told := p
	if told == nil {
		told = canceledAfter(0)
	}
	m.void(s, peer, id, told)
	s.Store().DropInboxExchange(id, -1)
	row := store.Exchange{ID: id, Side: store.SideEgress, Peer: peer, Stage: StageArrived, State: StateCanceled, Created: now, Ended: now}
	if p != nil {
		row.Problem, row.Detail = p.Code, p.Detail
	}
	s.Store().PutExchange(row)
}

// refuse answers a request with a problem of this site.
func (m *Manager) refuse(s *node.Step, peer identity.ID, id ID, attempt int, p *Problem, arrived time.Time) {
	msg, err := encode(frame.KindRes, link.PrioCall, id, &resData{Exchange: id, Attempt: attempt, Problem: &problemData{p.Code, p.Detail},
		Callee: &calleeData{Arrived: millis(arrived)}}, nil, false)
	if err != nil {
		m.cfg.Log.Error().Stringer("exchange", id).Err(err).Msg("cannot encode a refusal")
		return
	}
	msg.Must = true
	_ = s.Send(peer, msg) // the peer is configured: it has just spoken
}

// turnDown ends a job that cannot be begun, and tells who asked for it.
func (m *Manager) turnDown(s *node.Step, j *job, p *Problem) {
	p = unmade(p, j.sending, j.try)
	m.refuse(s, j.peer, j.id, j.attempt(), p, j.arrived)
	m.forget(s, j, p)
}

// unmade is how a request ends that is not made now, after some tries. Only before the first is it certain that nobody was called:
// what was sent more than once may have come to an earlier life of this site too.
func unmade(p *Problem, sending, tries int) *Problem {
	if tries == 0 && sending <= 1 || p.Code == CodeUncertain {
		return p
	}
	return Problemf(CodeUncertain, "%s: %s; the server may have acted on an earlier try", p.Code, p.Detail)
}

// forget ends a job that was answered without a call.
func (m *Manager) forget(s *node.Step, j *job, p *Problem) {
	delete(m.jobs, j.id)
	m.letGo(s, j.peer, j.id, requestOwner(j.id), j.parcel())
	m.endAnswer(s, j.peer, j.id)
	stage, state, now := StageArrived, p.state(), s.Now
	if r := j.fresh; r != nil {
		s.Store().PutExchange(store.Exchange{ID: j.id, Side: store.SideEgress, Peer: j.peer, Upstream: r.Upstream, Method: r.Method, Target: r.Target,
			Caller: r.Client, Stage: stage, State: state, Attempt: j.try, Oep: r.Oep, Created: j.arrived, Problem: p.Code, Detail: p.Detail, Ended: now})
	} else {
		s.Store().PatchExchange(j.id, store.SideEgress, store.Patch{Stage: &stage, State: &state, Attempt: &j.try, Problem: &p.Code, Detail: &p.Detail, Ended: &now})
	}
	s.Store().DropInboxExchange(j.id, -1)
	if (j.try == 0 || j.parts > 0) && m.gone[j.id] == nil { // the row is not durable yet, and the request may come again at once, or parts of its body
		m.void(s, j.peer, j.id, p)
	}
}
