package exchange

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// perform makes one call and sends back what comes of it. It runs beside the loop; j.ask and j.fresh
// do not change any more.
func (m *Manager) perform(ctx context.Context, j *job) {
	req, p := m.wanted(ctx, j)
	if p != nil {
		m.failed(ctx, j, false, p)
		return
	}
	r := j.request(req)
	switch {
	case req.Parts > 0:
		body := &partsBody{ctx: ctx, store: m.store, chunks: m.cfg.Chunks, id: j.id, total: req.Parts,
			mend: func(ctx context.Context, e *chunk.Entry) error { return m.mend(ctx, j.peer, j.id, e) }}
		defer body.Close()
		r.Body = body
	case len(req.inline) > 0:
		r.Body = bytes.NewReader(req.inline)
	}
	resp, sent, p := m.cfg.Upstreams.Do(ctx, r)
	if p != nil {
		m.failed(ctx, j, sent, p)
		return
	}
	defer resp.Body.Close()
	resp.Callee.Arrived, resp.Callee.Called = j.arrived, j.called
	m.answer(ctx, j, resp)
}

// wanted gives the request of a job, from the store unless it came just now.
func (m *Manager) wanted(ctx context.Context, j *job) (*request, *Problem) {
	if j.fresh != nil {
		return j.fresh, nil
	}
	r, err := m.keptRequest(ctx, j.id)
	if err != nil && ctx.Err() == nil {
		m.cfg.Log.Error().Stringer("exchange", j.id).Err(err).Msg("cannot read a stored request")
	}
	if err != nil {
		return nil, Problemf(CodeStoreFailed, "the site of the server cannot read the request that it stored; the server was not called")
	}
	return r, m.admit(j, r) // what is allowed may have changed since it came
}

// keptRequest reads a request with its body: the one that came last, if it came more than once.
func (m *Manager) keptRequest(ctx context.Context, id ID) (*request, error) {
	row, err := m.store.InboxRequest(ctx, id, true)
	if err != nil {
		return nil, err
	}
	d, err := decode[reqData](row.Data)
	if err != nil {
		return nil, err
	}
	inline, err := plainOf(row)
	return &request{d, inline}, err
}

// failed ends a job without a response. The problem's code says what is known: callee-refused,
// callee-dns and callee-tls mean that nothing was sent.
func (m *Manager) failed(ctx context.Context, j *job, sent bool, p *Problem) {
	if m.tasks.ctx.Err() != nil {
		return // this site stops: decided at the next start, from the durable intent
	}
	if ctx.Err() != nil {
		p = Problemf(CodeCanceled, "the call was ended at the caller's wish")
	} else if !sent {
		p = unmade(p, j.sending, j.try-1)
	}
	m.conclude(j, 0, 0, p, func(s *node.Step) { m.refuse(s, j.peer, j.id, j.attempt(), p, j.arrived) })
}

// answer sends the response: in one message where it is short, else head first and parts as they come.
func (m *Manager) answer(ctx context.Context, j *job, resp *Response) {
	head := &resData{Exchange: j.id, Attempt: j.attempt(), Status: resp.Status, Fields: resp.Fields, Length: resp.Length, Callee: resp.Callee.wire()}
	limit := min(m.cfg.Inline, inlineMax(&Request{Fields: resp.Fields}))
	if m.cfg.Signed[j.peer] {
		limit = 0
	}
	body := newFlow(ctx, resp, limit)
	first, ended, err := body.next(limit, firstPause)
	if ended && err == nil {
		head.Trailers = trailersOf(resp)
		m.answerWhole(j, head, first)
		return
	}
	if ctx.Err() != nil { // nothing of it was sent
		m.failed(ctx, j, true, nil)
		return
	}
	head.More = true
	msg, eerr := encode(frame.KindRes, link.PrioCall, j.id, head, first, compressible(j, head.Fields))
	if eerr != nil {
		m.failed(ctx, j, true, Problemf(CodeResponseLarge, "the response's head does not fit a message"))
		return
	}
	msg.Must = true
	if m.loop.Do(func(s *node.Step) { j.begun = true; m.endVoid(j); _ = s.Send(j.peer, msg) }) != nil {
		return
	}
	size := int64(len(first))
	if err == nil {
		size, err = m.answerParts(ctx, j, resp, body, size)
	}
	if err != nil {
		m.breakOff(ctx, j, resp.Status, size, err)
	}
}

// answerWhole sends a response in one message and ends the job in the same commit.
func (m *Manager) answerWhole(j *job, head *resData, body []byte) {
	msg, err := encode(frame.KindRes, link.PrioCall, j.id, head, body, compressible(j, head.Fields))
	if err != nil {
		p := Problemf(CodeResponseLarge, "the response's head does not fit a message")
		m.conclude(j, 0, 0, p, func(s *node.Step) { m.refuse(s, j.peer, j.id, j.attempt(), p, j.arrived) })
		return
	}
	msg.Must = true
	m.conclude(j, head.Status, int64(len(body)), nil, func(s *node.Step) { _ = s.Send(j.peer, msg) })
}

// breakOff tells the other side that the body ends early.
func (m *Manager) breakOff(ctx context.Context, j *job, status int, size int64, err error) {
	if m.tasks.ctx.Err() != nil {
		return
	}
	reason := "the server's answer broke off"
	var a *Abort
	var p *Problem
	if errors.As(err, &a) {
		reason = a.Reason
	} else if errors.As(err, &p) {
		reason += ": " + p.Detail
	}
	code := CodeCalleeBroken
	if ctx.Err() != nil {
		code, reason = CodeCanceled, "ended at the caller's wish"
	}
	msg, eerr := encode(frame.KindAbort, link.PrioControl, j.id, &abortData{Exchange: j.id, Attempt: j.attempt(), Reason: reason}, nil, false)
	if eerr != nil {
		return
	}
	msg.Must = true
	m.conclude(j, status, size, Problemf(code, "%s", reason), func(s *node.Step) { _ = s.Send(j.peer, msg) })
}

// conclude ends a job: its last message, its row and the deletion of its request are one commit.
func (m *Manager) conclude(j *job, status int, size int64, p *Problem, send func(*node.Step)) {
	_ = m.loop.Do(func(s *node.Step) {
		if m.jobs[j.id] == j {
			m.concludeNow(s, j, status, size, p, send)
		}
	})
}

func (m *Manager) concludeNow(s *node.Step, j *job, status int, size int64, p *Problem, send func(*node.Step)) {
	send(s)
	if m.repeat(s, j) {
		return
	}
	stage, state, now, nothing := StageAnswered, StateSucceeded, s.Now, int64(0)
	patch := store.Patch{Stage: &stage, State: &state, Status: &status, ResBytes: &size, Ended: &now, Content: &nothing}
	if p != nil {
		state = p.state()
		patch.Problem, patch.Detail = &p.Code, &p.Detail
	}
	s.Store().PatchExchange(j.id, store.SideEgress, patch)
	s.Store().DropInboxExchange(j.id, -1)
	m.letGo(s, j.peer, j.id, requestOwner(j.id), j.parcel())
	if p != nil {
		m.endOffer(s, j.peer, j.id, answerOwner(j.id))
	}
	m.release(s, j)
	s.OnCommit(func(*node.Step) {
		if m.jobs[j.id] == j {
			delete(m.jobs, j.id) // only now: until here a repeated request must not find it unknown
		}
	})
	j.over = true
}

// repeat makes a call once more whose request came again while it was under way: the answer that has just been sent
// may be void to its caller's site. Where it must not be repeated, what that site no longer has is gone; where its caller gave
// it up meanwhile, that is what came again too.
func (m *Manager) repeat(s *node.Step, j *job) bool {
	if j.again == nil {
		return false
	}
	switch {
	case j.canceled:
		m.refuseCanceled(s, j, j.again)
		return false
	case !m.mayRepeat(j.again):
		m.refuseAnswered(s, j, j.again)
		return false
	}
	m.release(s, j)
	m.onceMore(s, &job{id: j.id, peer: j.peer, ask: m.askOf(j.again), stored: true, held: j.held, body: j.body, try: j.try, arrived: s.Now, due: j.due})
	return true
}

// release frees the job's slot and starts the next that waits for it.
func (m *Manager) release(s *node.Step, j *job) {
	up := j.upstream
	m.running[up]--
	if m.idle != nil {
		m.noteIdle()
		return
	}
	m.serve(s, up, j.peer)
}

// serveAtOnce bounds how many jobs one step takes up: of those whose deadline has passed many may lie before one that can be begun.
const serveAtOnce = 200

// serve gives the free slots of an upstream to what waits for them. had is the peer that has just had its turn.
func (m *Manager) serve(s *node.Step, up string, had identity.ID) {
	for range serveAtOnce {
		if m.idle != nil || m.running[up] >= m.cfg.Upstreams.Slots(up) {
			return
		}
		next := m.dequeue(up, had)
		if next == nil {
			return
		}
		had = next.peer
		m.intend(s, next)
	}
	s.OnCommit(func(s *node.Step) { m.serve(s, up, had) })
}

// compressible says whether a response body may be compressed: not where the route says so, and not
// where the answer sets a cookie, for such a body may hold a secret beside text of others.
func compressible(j *job, fields Fields) bool {
	if j.plain {
		return false
	}
	for _, f := range fields {
		if strings.EqualFold(f.Name, "Set-Cookie") {
			return false
		}
	}
	return true
}

func trailersOf(resp *Response) Fields {
	if resp.Trailers == nil {
		return nil
	}
	return resp.Trailers()
}
