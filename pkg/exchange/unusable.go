package exchange

import (
	"errors"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
)

// answerBad ends what a message belongs to that cannot be used here: without it a call of ours, or a request, would wait for ever.
func (m *Manager) answerBad(s *node.Step, d *node.Delivery, err error) {
	x, bad := peekExchange(d.Data)
	if bad != nil {
		return
	}
	if c := m.calls[x]; c != nil {
		if c.peer == d.Peer && !c.local && (d.Kind == frame.KindRes || d.Kind == frame.KindBody || d.Kind == frame.KindAbort) {
			m.giveUpOn(s, c, Problemf(CodeInternal, "a %s message of the answer cannot be used: %v", d.Kind, err))
		}
		return
	}
	if s.Crowded(d.Peer) || d.Kind == frame.KindRes || d.Kind == frame.KindStage || d.Kind == frame.KindWin {
		return
	}
	code := CodeInternal
	switch {
	case errors.Is(err, errUnsupported):
		code = CodeUnsupported
	case errors.Is(err, errMode):
		code = CodeSeal
	}
	p := Problemf(code, "%v", err)
	m.refuse(s, d.Peer, x, 0, p, time.Time{})
	if d.Kind == frame.KindReq || d.Kind == frame.KindBody {
		m.dropRequest(s, d.Peer, x, p) // it will not be complete
	}
}

// Poisoned implements node.Handler.
func (m *Manager) Poisoned(s *node.Step, d *node.Delivery) {
	x, err := peekExchange(d.Data)
	if err != nil {
		return
	}
	p := Problemf(CodePoison, "a %s message failed three times", d.Kind)
	if c := m.calls[x]; c != nil {
		if c.peer == d.Peer && !c.local {
			m.giveUpOn(s, c, p)
		}
		return
	}
	m.refuse(s, d.Peer, x, 0, p, time.Time{})
	if j := m.jobs[x]; j != nil && j.peer == d.Peer && j.state == jobCalling {
		j.giveUp() // its slot is free when it has ended
		return
	}
	m.dropRequest(s, d.Peer, x, p)
}

// unusable ends a job of whose body a part that is stored cannot be used, whatever it is that comes of it.
func (m *Manager) unusable(s *node.Step, j *job, p *Problem) {
	if j.came {
		m.turnDown(s, j, p)
		return
	}
	m.dropRequest(s, j.peer, j.id, p) // it is answered when it comes
}
