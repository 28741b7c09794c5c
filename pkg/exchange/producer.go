package exchange

import (
	"context"
	"errors"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// producer sends body parts, a bounded number ahead of their commits: memory stays small whatever the
// body's size, and a full outbox is noticed.
type producer struct {
	ctx      context.Context
	m        *Manager
	peer     identity.ID
	id       ID
	compress bool
	must     bool
	slots    chan struct{}
	failed   chan error
	first    func(*node.Step) // done once, in the step of the first part; nil: nothing
}

func newProducer(ctx context.Context, m *Manager, peer identity.ID, id ID, compress, must bool) *producer {
	return &producer{ctx: ctx, m: m, peer: peer, id: id, compress: compress, must: must,
		slots: make(chan struct{}, partsUnderWay), failed: make(chan error, 1)}
}

// send encodes one part and gives it to the link.
func (p *producer) send(d *bodyData, body []byte) error {
	msg, err := encode(frame.KindBody, link.PrioBulk, p.id, d, body, p.compress)
	if err != nil {
		return err
	}
	msg.Keep, msg.Must = !p.must, p.must
	if p.ctx.Err() != nil {
		return p.ctx.Err() // a select would choose at random
	}
	select {
	case err := <-p.failed:
		return err
	default:
	}
	select {
	case p.slots <- struct{}{}:
	case err := <-p.failed:
		return err
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
	return p.m.loop.Do(func(s *node.Step) {
		if err := s.Send(p.peer, msg); err != nil {
			select {
			case p.failed <- p.m.sendProblem(err, &Request{Peer: p.peer}):
			default:
			}
			<-p.slots
			return
		}
		if p.first != nil {
			p.first(s)
			p.first = nil
		}
		s.OnCommit(func(*node.Step) { <-p.slots })
	})
}

// wait returns when every part is durable.
func (p *producer) wait() error {
	for range cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
		case err := <-p.failed:
			return err
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	select {
	case err := <-p.failed:
		return err
	default:
		return nil
	}
}

// plainOf decompresses the body of an inbox row.
func plainOf(row store.In) ([]byte, error) {
	msg := frame.Message{Enc: row.Enc, Body: row.Body}
	return msg.Plain()
}

var errNoBody = errors.New("stored body part missing")
