package exchange

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

const maxOffset = 1 << 50

var (
	errOffset = errors.New("offset out of range")
	errEpoch  = errors.New("epoch out of range")
)

// rows reads what the outbox keeps of a call. The read is of committed rows and takes microseconds;
// it happens only when a peer lost its state.
func (m *Manager) rows(c *call) ([]store.Out, error) {
	rows, err := m.store.OutboxExchange(context.Background(), c.id)
	if err != nil {
		m.cfg.Log.Error().Stringer("exchange", c.id).Err(err).Msg("cannot read the stored request")
	}
	return rows, err
}

// withdraw takes back what was not acked of a call.
func (m *Manager) withdraw(s *node.Step, c *call) { s.Withdraw(c.peer, m.unacked(c)) }

// settle ends what of the request is still on its way when the call ends: a peer that loses its state would make the
// call again. The rows stay, for a replay.
func (m *Manager) settle(s *node.Step, c *call) {
	l := s.Link(c.peer)
	if l == nil || c.local || c.reqID != 0 && !c.earlier && !l.Holds(c.reqID) {
		return // the usual case: the ack came with the answer
	}
	if ids := m.unacked(c); len(ids) > 0 {
		s.Settle(c.peer, ids)
	}
}

// unacked gives the ids of a call's messages that may not be acked, stored or not.
func (m *Manager) unacked(c *call) frame.Ranges {
	rows, _ := m.rows(c) // without them what is on its way stays there, and is void
	ids := unackedIDs(rows)
	ids.Union(c.ids)
	return ids
}

func unackedIDs(rows []store.Out) frame.Ranges {
	var ids frame.Ranges
	for _, r := range rows {
		if r.Acked.IsZero() {
			ids.Add(r.ID, r.ID)
		}
	}
	return ids
}

// sendAgain gives the whole request to the link anew, under a higher attempt: what the peer had of it is lost.
func (m *Manager) sendAgain(s *node.Step, c *call) {
	rows, err := m.rows(c)
	committed := slices.ContainsFunc(rows, func(r store.Out) bool { return r.Kind == frame.KindReq })
	if err == nil && !committed { // accepted just now: it goes out as it is
		err = sendLost(s, rows)
	}
	if err != nil {
		m.damaged(s, c, err)
	}
	if err != nil || !committed {
		return
	}
	unacked := m.unacked(c)
	c.earlier = c.mayBeWritten(s.Link(c.peer))
	c.sent++
	sent := c.sent
	s.Store().PatchExchange(c.id, store.SideIngress, store.Patch{Attempt: &sent})
	if Repeatable(c.method) && (c.waiter == nil || !c.waiter.passedOn()) {
		// What came so far may be of another call than what will come. Where it has just been passed on, the call ends here.
		if !m.attempt(s, c, c.sent*attemptsPerRequest) && m.calls[c.id] != c {
			return
		}
	}
	c.ids = nil
	rows = newest(rows)
	for _, r := range rows {
		tail, err := retail(r.Data, c.sent)
		if err != nil {
			m.damaged(s, c, err)
			return
		}
		msg := node.Message{Outgoing: link.Outgoing{Kind: r.Kind, Prio: link.Prio(r.Prio), Ref: link.Ref(c.id), Tail: tail}, Keep: true, Must: true}
		isReq := r.Kind == frame.KindReq
		msg.Got = func(id uint64) {
			if c.ids.Add(id, id); isReq {
				c.reqID = id
			}
		}
		if err := s.Send(c.peer, msg); err != nil {
			m.fail(s, c, Problemf(CodeNoPeer, "peer %s is no longer configured", c.peer))
			return
		}
	}
	s.Withdraw(c.peer, unacked)
}

// damaged ends a call that cannot be sent again, for what is stored of it cannot be used.
func (m *Manager) damaged(s *node.Step, c *call, err error) {
	m.cfg.Log.Error().Stringer("exchange", c.id).Err(err).Msg("the stored request cannot be used")
	if c.mayBeWritten(s.Link(c.peer)) {
		m.fail(s, c, Problemf(CodeUncertain, "the request was sent, and cannot be sent again: what is stored of it is damaged; the server may have acted"))
		return
	}
	m.fail(s, c, Problemf(CodeInternal, "the stored request is damaged"))
}

// uploadAgain gives the link anew what a peer had of bodies that are still being uploaded, and has lost.
func (m *Manager) uploadAgain(s *node.Step, peer identity.ID) {
	for _, id := range idsInOrder(m.uploads) {
		if u := m.uploads[id]; u.r.Peer == peer {
			u.again(s)
		}
	}
}

func (u *upload) again(s *node.Step) {
	rows, err := u.m.store.OutboxExchange(context.Background(), u.id)
	if err == nil {
		err = sendLost(s, rows)
	}
	if err != nil {
		u.m.cfg.Log.Error().Stringer("exchange", u.id).Err(err).Msg("cannot send again what was uploaded")
		u.stop(Problemf(CodeInternal, "site %s has lost its state, and what it had of the body cannot be sent again", u.m.cfg.Peers[u.r.Peer]))
	}
}

// sendLost gives the link anew those parts of a body that were acked; the others go out by themselves.
func sendLost(s *node.Step, rows []store.Out) error {
	for _, r := range newest(rows) {
		if s.Link(r.Peer).Holds(r.ID) {
			continue
		}
		tail, err := retail(r.Data, 0)
		if err != nil {
			return err
		}
		msg := node.Message{Outgoing: link.Outgoing{Kind: r.Kind, Prio: link.Prio(r.Prio), Ref: link.Ref(r.Exchange), Tail: tail}, Keep: true, Must: true}
		if err := s.Send(r.Peer, msg); err != nil {
			return err
		}
	}
	return nil
}

// newest leaves one row of each piece of a request: an earlier sending may have left its own.
func newest(rows []store.Out) []store.Out {
	type piece struct {
		kind   frame.Kind
		offset int64
	}
	last := map[piece]int{}
	at := make([]piece, len(rows))
	for i, r := range rows {
		at[i].kind = r.Kind
		var msg frame.Message
		if json.Unmarshal(r.Data, &msg) == nil {
			if b, err := decodeLoose[bodyData](msg.Data); err == nil {
				at[i].offset = b.Offset
			}
		}
		last[at[i]] = i
	}
	var out []store.Out
	for i, r := range rows {
		if last[at[i]] == i {
			out = append(out, r)
		}
	}
	return out
}

// retail gives an encoded message without its id; a request gets the new attempt.
func retail(data []byte, attempt int) (frame.Tail, error) {
	i := bytes.IndexByte(data, ',')
	if i < 0 {
		return nil, errors.New("encoded message without members")
	}
	var msg frame.Message
	if err := json.Unmarshal(data, &msg); err != nil {
		return nil, err
	}
	if msg.Kind != frame.KindReq {
		return frame.Tail(bytes.Clone(data[i+1:])), nil
	}
	r, err := decode[reqData](msg.Data)
	if err != nil {
		return nil, err
	}
	r.Attempt = attempt
	js, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return frame.Retail(msg.Kind, js, msg.Enc, msg.Body)
}
