package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
	"unique"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// Call implements Caller.
func (m *Manager) Call(ctx context.Context, r *Request, wait time.Duration, accepted func(ID)) (*Response, error) {
	now := m.cfg.Now()
	id := r.Exchange
	if id == uuid.Nil {
		id = NewID(now)
	}
	key := newKeyed(r)
	up := &upload{m: m, id: id, r: r}
	inline, err := up.take(ctx)
	if err != nil {
		up.giveUp()
		return nil, err
	}
	c := &call{id: id, peer: r.Peer, method: r.Method, deadline: millis(r.Deadline), total: -1,
		transient: r.Transient, client: unique.Make(r.party())}
	c.stages.set(StageAccepted, now)
	if r.Callback != "" {
		c.hook = &hook{url: r.Callback, notify: r.Notify}
	}
	if wait > 0 {
		c.waiter = newWaiter(id, m.store, m.cfg.Chunks)
		c.waiter.leave = func() { m.cancelCall(id) }
		c.waiter.mend = func(ctx context.Context, e *chunk.Entry) error { return m.mend(ctx, c.peer, id, e) }
		if m.takes(r.Peer, frame.KindWin) {
			c.waiter.credit = credit{limit: m.window(r), size: m.window(r)}
			c.waiter.raise = func(limit int64) { m.raise(c, limit) }
		}
	}
	err = m.accept(ctx, c, r, key, inline, up.size, now)
	var first *joined
	for errors.As(err, &first) && m.freed(ctx, first) {
		first = nil
		err = m.accept(ctx, c, r, key, inline, up.size, now)
	}
	if err != nil {
		up.giveUp()
		if first != nil {
			return m.join(ctx, first, wait, accepted)
		}
		return nil, err
	}
	if accepted != nil {
		accepted(id)
	}
	if wait <= 0 {
		return nil, ErrWait
	}
	return m.await(ctx, c, wait)
}

// await waits for the head; the context of the whole call keeps governing the body.
func (m *Manager) await(ctx context.Context, c *call, wait time.Duration) (*Response, error) {
	over := make(chan struct{})
	w := c.waiter // the loop forgets it when it is abandoned
	headCtx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(wait, func() { cancel(ErrWait); close(over) })
	resp, err := w.awaitHead(headCtx)
	if !timer.Stop() {
		<-over
	}
	if err == nil {
		resp.Body.(*waiterBody).ctx = ctx
		cancel(nil)
		return resp, nil
	}
	defer cancel(nil)
	var p *Problem
	if errors.As(err, &p) {
		return nil, p
	}
	// The exchange goes on without anybody who waits; its answer is stored, also one that has just come.
	w.abandon()
	_ = m.loop.Do(func(s *node.Step) { m.abandoned(s, c) })
	if cause := context.Cause(headCtx); errors.Is(cause, ErrWait) {
		return nil, ErrWait
	}
	return nil, ctx.Err()
}

// accept makes the request durable; from then on it is answered or reported failed.
func (m *Manager) accept(ctx context.Context, c *call, r *Request, key *keyed, inline []byte, size int64, now time.Time) error {
	data := &reqData{Exchange: c.id, Attempt: 1, Upstream: r.Upstream, Method: r.Method, Target: r.Target, Scheme: r.Scheme, Host: r.Host,
		Fields: r.Fields, Trailers: r.Trailers, Length: r.Length, Client: r.Client, Caller: r.Owner, At: now.UnixMilli(), Keyed: r.Key != "", Plain: r.NoCompress, Oep: m.loop.Epoch(r.Peer)}
	if size > int64(len(inline)) {
		data.Parts = size
	}
	if c.waiter != nil && c.waiter.raise != nil {
		data.Win = c.waiter.credit.limit
	}
	if m.chunksTo(r.Peer) && !m.cfg.Signed[r.Peer] {
		data.Fresh, data.Fixed = r.Fresh, r.Fixed
	}
	if !r.Deadline.IsZero() {
		data.TTL = max(r.Deadline.Sub(now).Milliseconds(), 1)
	}
	msg, err := encode(frame.KindReq, link.PrioCall, c.id, data, inline, !r.NoCompress)
	if err != nil {
		if errors.Is(err, frame.ErrTooLarge) {
			return Problemf(CodeFieldsLarge, "the request's head does not fit a message")
		}
		return err
	}
	msg.Keep, msg.Got = true, func(id uint64) { c.reqID = id }
	if c.content = int64(len(msg.Tail)); data.Parts > 0 {
		c.content = -1
	}
	// Without the caller's cancellation: once asked for, the commit decides whether the call was accepted.
	return m.commit(context.WithoutCancel(ctx), func(s *node.Step) error {
		if key != nil && r.ReplayOf == uuid.Nil { // a replay takes the first one's place
			if err := m.prior(s, key, r); err != nil {
				return err
			}
		}
		if p := m.refusal(s, c); p != nil {
			return p
		}
		if err := s.Send(c.peer, msg); err != nil {
			return m.sendProblem(err, r)
		}
		if key != nil { // last: what a step has done stays, also when it gives an error
			m.claim(s, key, r, c.id)
		}
		c.sent = 1
		if c.waiter != nil {
			c.waiter.trip = s.Link(c.peer).SmallTrip()
		}
		delete(m.uploads, c.id)
		s.Flush(c.peer, c.id)
		c.stages.set(StageQueued, s.Now)
		m.enter(c)
		m.watchDeadline(c)
		s.Store().PutExchange(store.Exchange{ID: c.id, Side: store.SideIngress, Peer: r.Peer, Upstream: r.Upstream, Route: r.Route, Method: r.Method,
			Target: r.Target, Caller: r.Client, Stage: c.stage(), State: StateRunning, Attempt: 1, Oep: data.Oep, Key: r.Key, Created: now,
			Deadline: r.Deadline, Stages: c.stages.json(), ReqBytes: size, Owner: r.Owner, Callback: r.Callback, Notify: r.Notify, Transient: r.Transient,
			ReplayOf: r.ReplayOf})
		if c.waiter == nil || c.hook != nil {
			m.record(s, c)
		}
		return nil
	})
}

// refusal says why no new call is taken at present.
func (m *Manager) refusal(s *node.Step, c *call) *Problem {
	switch {
	case !s.StoreFailing().IsZero():
		p := Problemf(CodeStoreFailed, "the state folder cannot be written")
		p.RetryAfter = 5
		return p
	case m.cfg.Exchanges > 0 && len(m.calls) >= m.cfg.Exchanges:
		p := Problemf(CodeOutboxFull, "%d calls are under way", len(m.calls))
		p.RetryAfter = 5
		return p
	}
	return m.flight.refuse(&m.cfg, c)
}

func (m *Manager) sendProblem(err error, r *Request) *Problem {
	if errors.Is(err, node.ErrOutboxFull) {
		p := Problemf(CodeOutboxFull, "too much waits for site %s", m.cfg.Peers[r.Peer])
		p.RetryAfter = 30
		return p
	}
	return Problemf(CodeNoPeer, "no peer %q", r.Peer)
}

// cancelCall ends a call whose caller left after the head: the far side ends the callee's request.
func (m *Manager) cancelCall(id ID) {
	_ = m.loop.Do(func(s *node.Step) {
		c := m.calls[id]
		switch {
		case c == nil:
			return
		case m.idle != nil: // this site stops, and so the connection ended: the call goes on, and its answer is stored
			m.abandoned(s, c)
			return
		}
		m.giveUpOn(s, c, Problemf(CodeCanceled, "the caller left in the middle of the answer"))
	})
}

// sendCancel has the far side end a call.
func (m *Manager) sendCancel(s *node.Step, peer identity.ID, id ID) {
	if msg, err := cancelOf(id); err == nil {
		msg.Must = true
		_ = s.Send(peer, msg) // an unknown peer has nothing to cancel
	}
}

// upload reads a request's body: short ones whole, longer ones into messages that travel while it comes.
type upload struct {
	m    *Manager
	id   ID
	r    *Request
	size int64 // bytes read
	sent bool  // parts were sent
	stop context.CancelCauseFunc
}

// take reads the body. Where the far side refuses it meanwhile, that is the error.
func (u *upload) take(ctx context.Context) (inline []byte, err error) {
	ctx, u.stop = context.WithCancelCause(ctx)
	defer u.stop(nil)
	inline, err = u.read(ctx)
	var p *Problem
	if err != nil && errors.As(context.Cause(ctx), &p) {
		return nil, p
	}
	return inline, err
}

// read gives the body if it is short enough to travel inline, else nil after sending all of it in parts.
func (u *upload) read(ctx context.Context) ([]byte, error) {
	if u.r.Stored != nil && u.r.StoredSum != nil {
		if err := u.checkStored(ctx); err != nil {
			return nil, err
		}
	}
	if u.r.Stored != nil && u.listStored() {
		return nil, u.stored(ctx)
	}
	if u.r.Stored != nil {
		r := u.readStored(ctx)
		defer r.Close()
		u.r.Body = r
	}
	if u.r.Body == nil {
		return nil, nil
	}
	if u.m.cfg.Signed[u.r.Peer] {
		return nil, u.chunks(ctx, u.r.Body)
	}
	first := make([]byte, min(u.m.cfg.Inline, inlineMax(u.r))+1)
	if u.r.Length >= 0 && u.r.Length < int64(len(first)) {
		first = first[:u.r.Length+1]
	}
	n, err := io.ReadFull(u.r.Body, first)
	u.size = int64(n)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return first[:n], nil
	case err != nil:
		return nil, bodyError(err)
	}
	body := io.MultiReader(bytes.NewReader(first), u.r.Body)
	if u.m.chunksTo(u.r.Peer) {
		return nil, u.chunks(ctx, body)
	}
	return nil, u.parts(ctx, body)
}

// chunks sends the body as chunks, which are stored and travel while it comes.
func (u *upload) chunks(ctx context.Context, body io.Reader) error {
	sealer, err := u.m.sealerFor(u.r.Peer, u.r.Fresh)
	if err != nil {
		return err
	}
	p := newShipper(ctx, u.m, sealer, u.m.cutting(u.r.Peer, !u.r.NoCompress, u.r.Fixed), u.r.Peer, u.id, 0, u.r.Length)
	p.owner, p.first = requestOwner(u.id), u.note
	u.sent = true
	src := &source{r: body}
	if _, err := p.w.ReadFrom(src); err != nil {
		p.abort()
		if src.err != nil {
			return bodyError(src.err)
		}
		return chunkProblem(p.cause(err))
	}
	if u.size, err = p.close(); err != nil {
		return chunkProblem(err)
	}
	return nil
}

// source tells errors of reading a body from those of storing it.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// inlineMax leaves room for the head in the message.
func inlineMax(r *Request) int {
	head := len(r.Target) + len(r.Host) + 512
	for _, f := range append(r.Fields, r.Trailers...) {
		head += len(f.Name) + len(f.Value)*3/2 + 8
	}
	return max((frame.MaxMessage-head)*3/4-64, 0)
}

// parts sends the body in messages; at most partsUnderWay of them wait for their commit.
func (u *upload) parts(ctx context.Context, body io.Reader) error {
	p := newProducer(ctx, u.m, u.r.Peer, u.id, !u.r.NoCompress, false)
	p.first = u.note
	buf := make([]byte, partSize)
	u.size = 0
	for {
		n, err := io.ReadFull(body, buf)
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return bodyError(err) // what came of this part is of no use
		}
		if n > 0 {
			if serr := p.send(&bodyData{Exchange: u.id, Offset: u.size}, buf[:n]); serr != nil {
				return serr
			}
			u.sent = true
			u.size += int64(n)
		}
		if ended {
			return p.wait()
		}
	}
}

// note writes a row for an upload that has begun, so that a crash in the middle of it leaves no parts
// that nobody knows of: the next start gives them up.
func (u *upload) note(s *node.Step) {
	u.m.uploads[u.id] = u
	s.Store().PutExchange(store.Exchange{ID: u.id, Side: store.SideIngress, Peer: u.r.Peer, Upstream: u.r.Upstream, Route: u.r.Route, Method: u.r.Method,
		Target: u.r.Target, Caller: u.r.Client, Stage: stageUploading, State: StateRunning, Created: s.Now})
}

// bodyError passes problems on as they are and wraps the rest.
func bodyError(err error) error {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return Problemf(CodeBadRequest, "the request body broke off")
}

// giveUp tells the far side to drop the parts of an upload that was never accepted.
func (u *upload) giveUp() {
	if !u.sent {
		return
	}
	msg, err := uploadAborted(u.id)
	if err != nil {
		return
	}
	_ = u.m.loop.Do(func(s *node.Step) { u.m.giveUp(s, u.r.Peer, u.id, msg) })
}

// giveUp has the far side drop the parts of an upload, and forgets it here.
func (m *Manager) giveUp(s *node.Step, peer identity.ID, id ID, abort node.Message) {
	delete(m.uploads, id)
	m.endOffer(s, peer, id, requestOwner(id))
	_ = s.Send(peer, abort) // a peer that is no longer configured has nothing to drop
	s.Store().PurgeExchange(id)
}

// uploadAborted is the message that gives an upload up.
func uploadAborted(id ID) (node.Message, error) {
	msg, err := encode(frame.KindAbort, link.PrioControl, id, &abortData{Exchange: id, Reason: "upload broken off"}, nil, false)
	msg.Must = true
	return msg, err
}
