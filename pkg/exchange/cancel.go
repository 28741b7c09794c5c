package exchange

import (
	"context"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
)

// Cancel gives up an exchange of a caller here. What was not written is taken back and ends at once; else the far side
// is told, and the exchange is canceling until its word comes: a call that has not begun never will, one that runs is
// ended. A finished exchange stays as it is. It returns when the wish is durable, or with ErrUnknown.
func (m *Manager) Cancel(ctx context.Context, id ID) error {
	if _, err := m.row(ctx, id); err != nil {
		return err
	}
	return m.commit(ctx, func(s *node.Step) error {
		if c := m.calls[id]; c != nil {
			return m.cancel(s, c)
		}
		return nil
	})
}

func (m *Manager) cancel(s *node.Step, c *call) error {
	if c.canceling() {
		return nil
	}
	if c.local {
		if c.stop != nil {
			c.stop()
		}
		m.fail(s, c, Problemf(CodeCanceled, "canceled by who asked for it"))
		return nil
	}
	if !c.mayBeWritten(s.Link(c.peer)) {
		m.takeBack(s, c)
		m.fail(s, c, Problemf(CodeCanceled, "canceled before the request was sent"))
		return nil
	}
	msg, err := cancelOf(c.id)
	if err != nil {
		return err
	}
	msg.Must = true
	if err := s.Send(c.peer, msg); err != nil {
		m.fail(s, c, Problemf(CodeUncertain, "canceled; the peer is no longer configured, and the server may have acted"))
		return nil
	}
	c.stages.set(StageCanceling, s.Now)
	m.record(s, c)
	return nil
}

// cancelOf is the message that has the far side give a call up.
func cancelOf(id ID) (node.Message, error) {
	return encode(frame.KindCancel, link.PrioControl, id, &cancelData{Exchange: id}, nil, false)
}

// canceling says whether the far side was told to give up and has not answered.
func (c *call) canceling() bool { return c.stages[stageIndex(StageCanceling)] != 0 }

// shownStage is the stage that people see: canceling until the far side says that the call has begun.
func (c *call) shownStage() string { return shownStage(c.stage(), &c.stages) }

func shownStage(stage string, t *stageTimes) string {
	if t[stageIndex(StageCanceling)] != 0 && stageIndex(stage) < stageIndex(StageCalling) {
		return StageCanceling
	}
	return stage
}
