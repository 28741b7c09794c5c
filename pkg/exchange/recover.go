package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unique"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// Recover takes up what an earlier run left: calls go on, jobs that had begun are called again where
// that is harmless, else they end uncertain. It must be called in the loop, before any other event.
func (m *Manager) Recover(ctx context.Context, s *node.Step) error {
	if err := m.recoverHorizon(ctx, s); err != nil {
		return err
	}
	var err error
	if m.lastEvent, err = m.store.LastEvent(ctx); err != nil {
		return fmt.Errorf("recover events: %w", err)
	}
	over := map[ID]bool{} // exchanges that end here
	var before ID
	for {
		rows, err := m.store.Exchanges(ctx, store.ExchangeFilter{Running: true, Before: before, Limit: 1000})
		if err != nil {
			return fmt.Errorf("recover exchanges: %w", err)
		}
		for _, e := range rows {
			if e.Stage == stageUploading {
				msg, err := uploadAborted(e.ID)
				if err != nil {
					return err
				}
				over[e.ID] = true
				m.giveUp(s, e.Peer, e.ID, msg)
			} else if e.Side == store.SideIngress {
				m.recoverCall(e)
			} else if s.Link(e.Peer) == nil {
				// Nothing is called for a peer that is not configured, and nothing can be said to it. If it is again, this goes on.
			} else if err := m.recoverJob(ctx, s, e); err != nil {
				return err
			}
			before = e.ID
		}
		if len(rows) < 1000 {
			break
		}
	}
	if err := m.recoverParts(ctx, s); err != nil {
		return err
	}
	if err := m.recoverOffers(ctx, s, over); err != nil {
		return err
	}
	if err := m.recoverGone(ctx, s.Now); err != nil {
		return err
	}
	m.recoverAnnounced(s)
	m.resume(s)
	return nil
}

// recoverGone remembers what was canceled before it came, as far back as a request may be late.
func (m *Manager) recoverGone(ctx context.Context, now time.Time) error {
	var before ID
	for {
		rows, err := m.store.Exchanges(ctx, store.ExchangeFilter{State: StateCanceled, Since: now.Add(-m.cfg.Remember), Before: before, Limit: 1000})
		if err != nil {
			return fmt.Errorf("recover canceled exchanges: %w", err)
		}
		for _, e := range rows {
			if e.Side == store.SideEgress && e.Attempt == 0 {
				m.gone[e.ID] = wordOf(e)
				u := m.share(e.Peer)
				u.void = append(u.void, e.ID)
			}
			before = e.ID
		}
		if len(rows) < 1000 {
			for _, u := range m.shares {
				slices.Reverse(u.void) // the newest came first
			}
			return nil
		}
	}
}

func (m *Manager) recoverCall(e store.Exchange) {
	r := Request{Owner: e.Owner, Client: e.Caller}
	c := &call{id: e.ID, peer: e.Peer, method: e.Method, sent: max(e.Attempt, 1), deadline: millis(e.Deadline), total: -1, content: -1,
		stages: parseStages(e.Stages), transient: e.Transient, client: unique.Make(r.party())}
	if e.Upstream == FetchUpstream {
		c.local, c.sent = true, 0
	}
	c.stages.set(StageAccepted, e.Created) // if they are not among them
	c.stages.set(e.Stage, e.Created)
	for i, ms := range c.stages {
		if ms != 0 {
			c.recorded |= 1 << i // stored before, or too late to matter
		}
	}
	if e.Callback != "" {
		c.hook = &hook{url: e.Callback, notify: e.Notify}
	}
	m.enter(c)
	m.watchDeadline(c)
}

// recoverJob rebuilds a job from its row and its stored request.
func (m *Manager) recoverJob(ctx context.Context, s *node.Step, e store.Exchange) error {
	j := &job{id: e.ID, peer: e.Peer, try: e.Attempt, arrived: e.Created, stored: true}
	if e.Stage == StageCalling || e.Stage == StageAnswered {
		j.state = jobCalling
	}
	row, err := m.store.InboxRequest(ctx, e.ID, false)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("recover exchange %s: %w", e.ID, err)
	}
	if err == nil {
		var r *reqData
		if r, err = decode[reqData](row.Data); err == nil {
			j.ask, j.due, j.held = m.askOf(r), dueOf(r, row.SentAt, row.Received), costOf(r, len(row.Data), row.Size)
		}
	}
	if err != nil { // never so by our own doing; a site that cannot start would help nobody
		m.cfg.Log.Error().Stringer("exchange", j.id).Err(err).Msg("the stored request is missing; the exchange ends uncertain")
		m.abandon(s, e, Problemf(CodeUncertain, "the far site has lost the request; the server may have acted"))
		return nil
	}
	if !e.Deadline.IsZero() && (j.expires.IsZero() || e.Deadline.Before(j.expires)) {
		j.expires = e.Deadline // more was known
	}
	m.jobs[j.id] = j
	return nil
}

// abandon ends an exchange of which only its row is left.
func (m *Manager) abandon(s *node.Step, e store.Exchange, p *Problem) {
	state, now := StateUncertain, s.Now
	s.Store().PatchExchange(e.ID, store.SideEgress, store.Patch{State: &state, Problem: &p.Code, Detail: &p.Detail, Ended: &now})
	m.refuse(s, e.Peer, e.ID, 0, p, e.Created)
}

// recoverParts notes which parts of bodies are there.
func (m *Manager) recoverParts(ctx context.Context, s *node.Step) error {
	rows, err := m.store.InboxParts(ctx)
	if err != nil {
		return fmt.Errorf("recover body parts: %w", err)
	}
	over := map[ID]bool{} // exchanges that end here
	for _, r := range rows {
		id := ID(r.Exchange)
		if over[id] {
			continue
		}
		if c := m.calls[id]; c != nil {
			if err := m.recoverAnswer(s, c, &r); err != nil {
				m.cfg.Log.Error().Stringer("exchange", id).Err(err).Msg("a stored part of the answer cannot be used")
				over[id] = true
				m.giveUpOn(s, c, Problemf(CodeInternal, "a stored part of the answer cannot be used: %v", err))
			}
			continue
		}
		if r.Kind != frame.KindBody || m.cfg.Upstreams == nil || s.Link(r.Peer) == nil {
			continue
		}
		j := m.jobs[id]
		if j == nil {
			j = &job{id: id, peer: r.Peer, arrived: r.Received, held: bodyCost}
			m.jobs[id] = j
		}
		j.parcel().add(r.Offset, r.Size)
		j.body.newest = later(j.body.newest, r.Received)
		inChunks, err := m.recoverMap(s, &r, requestOwner(id), j.body)
		if err != nil {
			m.cfg.Log.Error().Stringer("exchange", id).Err(err).Msg("a stored part of the request's body cannot be used")
			over[id] = true
			m.unusable(s, j, Problemf(CodeInternal, "a stored part of the request's body cannot be used: %v", err))
		} else if !inChunks {
			j.held += r.Size + partCost
		}
	}
	for peer := range m.cfg.Peers {
		m.recount(m.share(peer), peer)
	}
	return nil
}

// recoverAnswer notes one stored message of an answer.
func (m *Manager) recoverAnswer(s *node.Step, c *call, r *store.In) error {
	if err := c.recoverPart(r); err != nil || r.Attempt != c.attempt {
		return err
	}
	inChunks, err := m.recoverMap(s, r, answerOwner(c.id), &c.inbound)
	if err == nil && !inChunks {
		c.size += r.Size
	}
	return err
}

func (c *call) recoverPart(r *store.In) (err error) {
	if r.Attempt < c.attempt {
		return nil
	}
	if r.Attempt > c.attempt {
		c.attempt, c.head, c.broken, c.inbound, c.total = r.Attempt, nil, nil, inbound{}, -1
	}
	switch r.Kind {
	case frame.KindRes:
		if c.head, err = decode[resData](r.Data); err == nil {
			if c.inline = r.Size; !c.head.More {
				c.total = r.Size
			}
		}
	case frame.KindBody:
		var d *bodyData
		if d, err = decode[bodyData](r.Data); err == nil && d.Total != nil {
			c.total = *d.Total
		}
	case frame.KindAbort:
		c.broken, err = decode[abortData](r.Data)
	}
	c.add(r.Offset, r.Size)
	return err
}

// resume decides about every job that an earlier run left, and ends the calls whose last chunk it had stored without
// living to note that.
func (m *Manager) resume(s *node.Step) {
	for _, c := range inOrder(m.calls) {
		m.finishIfComplete(s, c)
	}
	for _, j := range inOrder(m.jobs) {
		switch {
		case !j.came:
			continue
		case j.state == jobCalling && !j.repeat:
			m.turnDown(s, j, Problemf(CodeUncertain, "the site stopped during the call; the server may have acted"))
			continue
		}
		had := j.state == jobCalling
		j.state = jobBody
		if p := m.taken(j.upstream); p != nil { // also where more is to come: it would wait for a slot for ever
			m.turnDown(s, j, p)
		} else if had || j.complete() {
			m.begin(s, j)
		}
	}
}

// taken says whether calls to an upstream are made here at all; the rest of the allow-list is asked when the call is made.
func (m *Manager) taken(up string) *Problem {
	switch {
	case m.cfg.Upstreams == nil:
		return Problemf(CodeNoUpstream, "this site makes no calls")
	case m.cfg.Upstreams.Slots(up) == 0:
		return Problemf(CodeNoUpstream, "there is no upstream %q here", up)
	}
	return nil
}
