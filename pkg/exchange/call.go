package exchange

import (
	"net/http"
	"slices"
	"time"
	"unique"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/planted"
	"github.com/hoft/hoft/pkg/store"
)

// call is one unfinished exchange at the callers' side. It belongs to the loop, but for its waiter. A site may have very
// many that wait: what is needed only now and then is in the store.
type call struct {
	id        ID
	peer      identity.ID
	method    string
	reqID     uint64       // message id of the request; 0 after a restart
	sent      int          // how often the request was given to the link: the attempt of the newest
	earlier   bool         // a sending before the newest may have been written, or one of another life of this site
	ids       frame.Ranges // of the messages of the newest sending, where there was another: they may not be stored yet
	stages    stageTimes
	recorded  uint8     // stages whose events are stored, a bit each
	slow      bool      // its stages are stored when it takes long, or were
	transient bool      // what is stored for it goes at its end
	local     bool      // work of this site, see Local
	fetched   *Transfer // how far it is; nil: it has not told
	stop      func()
	client    unique.Handle[string]
	hook      *hook // nil without a callback
	// deadline is when a request that was not written yet ends the call, unix milliseconds; 0: none, or looked at already.
	deadline int64
	attempt  int // of the response being received
	head     *resData
	broken   *abortData // the answer broke off, and its head has yet to come
	inbound             // of the response body
	inline   int64      // bytes that came with the head
	total    int64      // -1 until the last part came
	waiter   *waiter    // nil when nobody waits
	content  int64      // bytes stored for it; -1 where that must be counted
}

// created is when the call was accepted.
func (c *call) created() time.Time { return time.UnixMilli(c.stages[stageIndex(StageAccepted)]) }

// hook is where the outcome of a call is sent.
type hook struct {
	url    string
	notify bool // each stage too
}

// reach notes that the exchange got as far as a stage; it says whether that was new.
func (c *call) reach(stage string, at time.Time) (news bool) { return c.stages.set(stage, at) }

// mayBeWritten says whether the far side may have had the request, in whatever sending of it.
func (c *call) mayBeWritten(l *link.Link) bool {
	return c.earlier || c.reqID == 0 || l.MayBeWritten(c.reqID)
}

// stage is the last one that was reached.
func (c *call) stage() string { return c.stages.last() }

// onRes takes the head of a response, with its body or the beginning of it, or the far side's problem.
func (m *Manager) onRes(s *node.Step, d *node.Delivery) (*node.Keep, error) {
	r, err := decode[resData](d.Data)
	if err != nil {
		return nil, err
	}
	c := m.calls[r.Exchange]
	if c == nil || c.peer != d.Peer {
		m.refused(d.Peer, r)
		m.dropped.Add(1) // finished, or not ours: the link has acked it
		if c == nil && r.More {
			m.sendCancel(s, d.Peer, r.Exchange) // nobody opens its window, and nobody reads it
		}
		return nil, nil
	}
	ofAny := r.Problem != nil && r.Attempt == 0 // of a message that could not be handled
	if !ofAny && !m.attempt(s, c, r.Attempt) {
		return nil, nil
	}
	if r.Problem != nil {
		c.noteFar(r.Callee)
		m.reached(s, c, StageArrived, s.Now)
		m.fail(s, c, &Problem{Code: r.Problem.Code, Detail: r.Problem.Detail, Far: true})
		return nil, nil
	}
	if c.head != nil {
		return nil, nil
	}
	body, err := (&d.Message).Plain()
	if err != nil {
		return nil, err
	}
	if again, err := c.place(0, int64(len(body))); again || err != nil {
		return nil, errOverlap
	}
	if !m.more(s.Now, c.peer, 0, int64(len(body))) {
		m.flooded(s, c)
		return nil, nil
	}
	c.size += int64(len(body))
	c.head, c.inline = r, int64(len(body))
	c.stored(d, r.More)
	c.noteFar(r.Callee)
	m.reached(s, c, StageAnswered, s.Now)
	c.add(0, int64(len(body)))
	if c.waiter != nil {
		c.waiter.setHead(r, body, m.cfg.Peers[c.peer])
	}
	if !r.More {
		c.total = c.inline
	}
	if c.broken != nil {
		m.breakOffHere(s, c, c.broken)
		return nil, nil
	}
	m.unbound(s, c)
	m.finishIfComplete(s, c)
	return &node.Keep{Exchange: c.id, Attempt: r.Attempt, Size: c.inline, Part: r.More}, nil
}

// stored adds a message that is kept to what is stored for the call; parts make it be counted at the end.
func (c *call) stored(d *node.Delivery, part bool) {
	if part {
		c.content = -1
	}
	if c.content >= 0 {
		c.content += int64(len(d.Data) + len(d.Body))
	}
}

// noteFar takes the far side's times; they are by its clock.
func (c *call) noteFar(f *calleeData) {
	if f == nil {
		return
	}
	c.stages.fix(StageArrived, f.Arrived)
	c.stages.fix(StageCalling, f.Called)
}

// maxAttempts is beyond what any call is sent again.
const maxAttempts = 1 << 20

// attempt decides what a message of an attempt means: an older one is void, a newer one takes the
// place of what came, unless some of it was passed on already.
func (m *Manager) attempt(s *node.Step, c *call, attempt int) bool {
	if n := attempt / attemptsPerRequest; n > c.sent && n < maxAttempts && !c.local {
		// A later life of this site asked for it, and has had the rest of it: this is an older copy of the state. The
		// answers to what it asks itself would be void beside that.
		c.sent = n
		m.sendAgain(s, c)
		return false
	}
	switch {
	case attempt < c.attempt:
		return false
	case attempt == c.attempt || c.attempt == 0:
		c.attempt = attempt
		return true
	case planted.Bug == planted.Splice && (c.waiter == nil || !c.waiter.passedOn()):
		c.attempt = attempt
		return true
	}
	if c.waiter != nil && !c.waiter.restart() {
		m.sendCancel(s, c.peer, c.id) // nobody reads the new one: it would wait for its window for ever
		m.end(s, c, StateFailed, &Problem{Code: CodeCalleeBroken, Detail: "the far side began again after a part of its answer was passed on"})
		return false
	}
	m.dropBody(s, c.peer, c.id, answerOwner(c.id), &c.inbound)
	c.attempt, c.head, c.broken, c.inbound, c.total, c.inline, c.content = attempt, nil, nil, inbound{}, -1, 0, -1
	s.Store().DropInboxExchange(c.id, attempt)
	return true
}

// onBody takes a part of a body: of a response to a call of ours, else of a request.
func (m *Manager) onBody(s *node.Step, d *node.Delivery) (*node.Keep, error) {
	b, err := decode[bodyData](d.Data)
	if err != nil {
		return nil, err
	}
	c := m.calls[b.Exchange]
	switch {
	case c == nil && b.Attempt == 0:
		return m.onRequestBody(s, d, b)
	case c == nil: // of an answer to a call that has ended
		m.stray(s, d.Peer, b)
		return nil, nil
	}
	if c.peer != d.Peer {
		return nil, nil
	}
	if !m.attempt(s, c, b.Attempt) {
		if m.calls[b.Exchange] == nil { // it has just ended
			m.unwanted(s, d.Peer, b)
		}
		return nil, nil
	}
	if b.Map != nil {
		return m.onMapPart(s, c, d, b)
	}
	plain, err := (&d.Message).Plain()
	if err != nil {
		return nil, err
	}
	if b.Offset < 0 || b.Offset > maxOffset {
		return nil, errOffset
	}
	if again, err := c.place(b.Offset, int64(len(plain))); again || err != nil {
		return nil, err
	}
	if c.full(0) {
		return nil, errPieces
	}
	if !m.more(s.Now, c.peer, 0, int64(len(plain))) {
		m.flooded(s, c)
		return nil, nil
	}
	c.size += int64(len(plain))
	c.stored(d, true)
	if b.Total != nil {
		c.total = *b.Total
	}
	c.add(b.Offset, int64(len(plain)))
	if w := c.waiter; w != nil {
		if !w.addPart(b, plain) { // not kept in memory: to be read from the store when it is there
			s.OnCommit(func(*node.Step) {
				if c.attempt == b.Attempt { // else it is void, and gone
					w.stored(b.Offset, len(plain))
				}
			})
		}
	}
	m.finishIfComplete(s, c)
	return &node.Keep{Exchange: c.id, Attempt: b.Attempt, Offset: b.Offset, Size: int64(len(plain)), Part: true}, nil
}

// flooded ends a call whose peer gives more than it may have stored here.
func (m *Manager) flooded(s *node.Step, c *call) {
	m.mistake(c.peer)
	m.less(c.peer, len(c.names), c.size)
	m.giveUpOn(s, c, Problemf(CodeResponseLarge, "the answer, with others of that site that are unfinished, takes more room than it may have here"))
}

// finishIfComplete ends a call whose whole answer has come.
func (m *Manager) finishIfComplete(s *node.Step, c *call) {
	if c.head == nil || c.total < 0 {
		return
	}
	if last, some := c.have.Max(); some && int64(last) >= c.total {
		m.giveUpOn(s, c, Problemf(CodeInternal, "the answer is longer than the %d bytes that the far side says it has", c.total))
		return
	}
	if !c.covers(c.total) {
		return
	}
	if len(c.names) > 0 {
		m.sendWin(s, c.peer, &winData{Exchange: c.id, Attempt: c.attempt, Offset: c.total, Done: true})
	}
	if c.waiter != nil {
		m.reached(s, c, StageReturned, s.Now)
	}
	m.end(s, c, StateSucceeded, nil)
}

// onAbort ends an answer that the far side broke off, or drops a request that its caller broke off. The head of an
// answer was sent before: it is waited for, so that its caller sees the same whichever comes first.
func (m *Manager) onAbort(s *node.Step, d *node.Delivery) (*node.Keep, error) {
	a, err := decode[abortData](d.Data)
	if err != nil {
		return nil, err
	}
	c := m.calls[a.Exchange]
	switch {
	case c == nil && a.Attempt == 0:
		m.dropRequest(s, d.Peer, a.Exchange, nil)
		return nil, nil
	case c == nil: // of an answer to a call that has ended: what is stored of it stays
		m.dropped.Add(1)
		return nil, nil
	}
	if c.peer != d.Peer || !m.attempt(s, c, a.Attempt) {
		return nil, nil
	}
	if a.Attempt > 0 && c.head == nil {
		c.broken = a
		c.stored(d, true)
		return &node.Keep{Exchange: c.id, Attempt: a.Attempt, Part: true}, nil
	}
	m.breakOffHere(s, c, a)
	return nil, nil
}

// breakOffHere ends a call whose answer broke off.
func (m *Manager) breakOffHere(s *node.Step, c *call, a *abortData) {
	m.end(s, c, StateFailed, &Problem{Code: CodeCalleeBroken, Detail: a.Reason})
}

// onStage notes how far the far side got.
func (m *Manager) onStage(s *node.Step, d *node.Delivery) error {
	st, err := decode[stageData](d.Data)
	if err != nil {
		return err
	}
	c := m.calls[st.Exchange]
	if c == nil || c.peer != d.Peer {
		return nil
	}
	switch st.Stage {
	case StageArrived, StageCalling, StageAnswered:
		m.reached(s, c, st.Stage, fromMillis(st.At))
	}
	return nil
}

// giveUpOn fails a call whose answer is not wanted any more: the far side ends it, and waits for no window.
func (m *Manager) giveUpOn(s *node.Step, c *call, p *Problem) {
	if !c.local {
		m.sendCancel(s, c.peer, c.id)
	}
	m.fail(s, c, p)
}

// fail ends a call with a problem; its state says what is certain.
func (m *Manager) fail(s *node.Step, c *call, p *Problem) {
	m.end(s, c, p.state(), p)
}

// end finishes a call: the row gets its end, who waits is told.
func (m *Manager) end(s *node.Step, c *call, state string, p *Problem) {
	m.leave(c)
	if c.waiter != nil {
		c.waiter.finish(p, c.stage()) // before it hears that nothing more comes
	}
	m.endOffer(s, c.peer, c.id, requestOwner(c.id))
	m.settle(s, c)
	if state != StateSucceeded && len(c.names) > 0 { // nobody needs the rest of the answer
		m.sendWin(s, c.peer, &winData{Exchange: c.id, Attempt: c.attempt, Done: true})
	}
	m.keepAnswer(s, c, state == StateSucceeded)
	stage, now, res := c.stage(), s.Now, int64(c.have.Count())
	patch := store.Patch{Stage: &stage, State: &state, Stages: c.stages.json(), ResBytes: &res, Ended: &now}
	if c.content >= 0 {
		patch.Content = &c.content
	}
	if c.head != nil {
		patch.Status = &c.head.Status
	} else if c.local && p == nil {
		patch.Status = new(int)
		*patch.Status = http.StatusOK
	}
	if p != nil {
		patch.Problem, patch.Detail = &p.Code, &p.Detail
	}
	m.recordEnd(s, c)
	s.Store().PatchExchange(c.id, store.SideIngress, patch)
	if c.transient {
		m.forgetContent(s, c)
	} else {
		m.keepWhileRead(c)
	}
	if c.head != nil {
		m.trips.add(m.cfg.Peers[c.peer], s.Now.Sub(c.created()))
	}
	ev := m.cfg.Log.Info().Stringer("exchange", c.id).Str("peer", m.cfg.Peers[c.peer]).Str("method", c.method).Str("state", state).
		Int64("rtt_ms", s.Now.Sub(c.created()).Milliseconds()).Int64("bytes_in", res)
	if c.head != nil {
		ev = ev.Int("status", c.head.Status)
	}
	if p != nil {
		ev = ev.Str("problem", p.Code)
	}
	ev.Msg("exchange done")
}

// PeerReset implements node.Handler: the peer lost its state. What was never written, and what may be
// done twice, is sent again; for the rest nobody can know whether it was done.
func (m *Manager) PeerReset(s *node.Step, peer identity.ID) {
	m.dropAnswers(s, peer)
	m.unboundAnswers(peer)
	m.uploadAgain(s, peer)
	l := s.Link(peer)
	for _, c := range inOrder(m.calls) {
		if c.peer != peer || c.reqID == 0 && c.sent == 0 {
			continue
		}
		written := c.mayBeWritten(l)
		switch {
		case c.head != nil || c.broken != nil:
			m.fail(s, c, Problemf(CodeCalleeBroken, "the far site lost its state in the middle of its answer"))
		case c.canceling() && (!written || Safe(c.method)):
			m.withdraw(s, c)
			m.fail(s, c, Problemf(CodeCanceled, "canceled; site %s has lost its state", m.cfg.Peers[peer]))
		case !c.canceling() && (!written || Repeatable(c.method)):
			m.sendAgain(s, c)
		default:
			m.withdraw(s, c)
			m.fail(s, c, Problemf(CodeUncertain, "site %s lost its state after the request was sent; the server may have acted", m.cfg.Peers[peer]))
		}
	}
}

// OwnReset implements node.Handler: this site was set back to an older state, or runs twice. An answer that came
// meanwhile is gone here and, acked, at the peer as well. So the peer is asked again, under a higher attempt, and
// decides by what it remembers (PROTOCOL "Epochs"); a request that was never written, and of whose body nothing was acked, goes
// out by itself. Of one that was written the life that is gone may have had the ack and the beginning of the answer; of what was
// acked, that may have been for a message of that life with the same id.
func (m *Manager) OwnReset(s *node.Step, peer identity.ID) {
	m.doubt(s, peer)
	m.dropAnswers(s, peer) // void at the peer, and what it no longer needs it said to the life that is gone
	m.unboundAnswers(peer)
	m.uploadAgain(s, peer)
	held := func(r store.Out) bool {
		return r.Acked.IsZero() && s.Link(peer).Holds(r.ID)
	}
	for _, c := range inOrder(m.calls) {
		if c.peer != peer || c.local {
			continue
		}
		rows, err := m.rows(c)
		if err != nil || c.mayBeWritten(s.Link(peer)) || slices.ContainsFunc(newest(rows), func(r store.Out) bool { return !held(r) }) {
			m.sendAgain(s, c)
		} else if len(rows) > 0 {
			c.earlier = true // the other life may hold it too, and write it before it is stopped
		}
	}
}
