package exchange

import (
	"context"
	"errors"
	"io"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
)

// runBytes is how many bytes of an answer must come without a pause for the rest to travel as chunks: less is sent in
// messages, where it does not wait for the end of a chunk.
const runBytes = 256 << 10

// sender sends the body of an answer behind its head: what comes in a run as chunks, small pieces in messages.
type sender struct {
	m        *Manager
	ctx      context.Context
	j        *job
	body     *flow
	compress bool
	parts    *producer
	ship     *shipper // nil while no run is under way
	size     int64    // of the body so far
}

func newSender(ctx context.Context, m *Manager, j *job, resp *Response, body *flow, size int64) *sender {
	compress := compressible(j, resp.Fields)
	return &sender{m: m, ctx: ctx, j: j, body: body, compress: compress, size: size, parts: newProducer(ctx, m, j.peer, j.id, compress, true)}
}

// run sends until the body ends. What is left for the last message is returned.
func (p *sender) run() (last []byte, err error) {
	defer func() {
		if p.ship != nil { // ended in the middle of a run
			p.ship.abort()
		}
	}()
	if p.m.cfg.Signed[p.j.peer] {
		return nil, p.plain()
	}
	chunks := p.m.chunksTo(p.j.peer)
	var run []byte // pieces that may become the beginning of a run
	for {
		if err := p.await(); err != nil {
			return nil, err
		}
		part, ended, err := p.body.next(partSize, 0)
		if err != nil {
			return nil, err
		}
		full := len(part) == partSize && !ended
		if chunks && (full || len(run) > 0 && len(run)+len(part) >= runBytes) {
			if run = append(run, part...); len(run) < runBytes {
				continue
			}
			if ended, err = p.stream(run); err != nil {
				return nil, err
			}
			run, part = nil, nil
		}
		if run = append(run, part...); ended {
			return p.sendAll(run, true)
		}
		if _, err := p.sendAll(run, false); err != nil {
			return nil, err
		}
		run = nil
	}
}

// plain sends all of the body as chunks, whatever comes at a time.
func (p *sender) plain() error {
	for {
		if err := p.await(); err != nil {
			return err
		}
		part, ended, err := p.body.next(partSize, 0)
		if err == nil && len(part) > 0 {
			ended, err = p.stream(part)
		}
		if ended || err != nil {
			return err
		}
	}
}

// await waits for the window.
func (p *sender) await() error { return p.j.window.await(p.ctx, p.size) }

// sendAll sends pieces in messages; with last the end of them is left for the last message.
func (p *sender) sendAll(b []byte, last bool) (rest []byte, err error) {
	for len(b) > partSize || len(b) > 0 && !last {
		n := min(len(b), partSize)
		if err := p.parts.send(&bodyData{Exchange: p.j.id, Attempt: p.j.attempt(), Offset: p.size}, b[:n]); err != nil {
			return nil, err
		}
		p.size += int64(n)
		b = b[n:]
	}
	return b, nil
}

// stream sends a run as chunks, until the callee pauses or the body ends.
func (p *sender) stream(first []byte) (ended bool, err error) {
	if err := p.begin(); err != nil {
		return false, err
	}
	piece := first
	for {
		if _, err := p.ship.w.Write(piece); err != nil {
			return false, chunkProblem(p.ship.cause(err))
		}
		p.size += int64(len(piece))
		if room, _ := p.j.window.room(p.size); room <= 0 {
			if err := p.hold(); err != nil {
				return false, err
			}
		}
		piece, err = p.body.take(runPause)
		switch {
		case errors.Is(err, errPause):
			return false, p.end()
		case errors.Is(err, io.EOF):
			return true, p.end()
		case err != nil:
			return false, err
		}
	}
}

// hold waits for the window in the middle of a run. A chunk that began below the limit is sent whole, so that where
// bodies are cut does not depend on who reads them; behind it all that the window allows has been cut, and travels.
func (p *sender) hold() error {
	if err := p.ship.push(); err != nil {
		return chunkProblem(p.ship.cause(err))
	}
	p.m.flushOffer(p.j.peer, p.j.id)
	return p.j.window.await(p.ctx, p.size-chunk.MaxChunk)
}

// begin starts a run.
func (p *sender) begin() error {
	sealer, err := p.m.sealerFor(p.j.peer, p.j.newly)
	if err != nil {
		return err
	}
	p.ship = newShipper(p.ctx, p.m, sealer, p.m.cutting(p.j.peer, p.compress, p.j.fixed), p.j.peer, p.j.id, p.size, -1)
	p.ship.owner, p.ship.attempt, p.ship.must = answerOwner(p.j.id), p.j.attempt(), true
	return nil
}

// end finishes a run: all of it is durable and offered.
func (p *sender) end() error {
	ship := p.ship
	p.ship = nil
	if _, err := ship.close(); err != nil {
		return chunkProblem(err)
	}
	p.m.flushOffer(p.j.peer, p.j.id)
	return nil
}

// flushOffer has the chunks of a run sent without waiting for more.
func (m *Manager) flushOffer(peer identity.ID, id ID) {
	_ = m.loop.Do(func(s *node.Step) { s.Flush(peer, id) })
}

// answerParts sends the rest of a body as the callee produces it.
func (m *Manager) answerParts(ctx context.Context, j *job, resp *Response, body *flow, size int64) (int64, error) {
	p := newSender(ctx, m, j, resp, body, size)
	last, err := p.run()
	if err != nil {
		return p.size, err
	}
	d := &bodyData{Exchange: j.id, Attempt: j.attempt(), Offset: p.size}
	p.size += int64(len(last))
	d.Total, d.Trailers = &p.size, trailersOf(resp)
	msg, err := encode(frame.KindBody, link.PrioBulk, j.id, d, last, p.compress)
	if err != nil {
		return p.size, err
	}
	msg.Must = true
	m.conclude(j, resp.Status, p.size, nil, func(s *node.Step) { _ = s.Send(j.peer, msg) })
	return p.size, nil
}
