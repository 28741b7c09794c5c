package exchange

import (
	"bytes"
	"context"
	"io"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// State implements Caller.
func (m *Manager) State(ctx context.Context, id ID) (*State, error) {
	row, err := m.row(ctx, id)
	if err != nil {
		return nil, err
	}
	st := m.StateOf(row)
	if row.State != StateRunning {
		return st, nil
	}
	return st, m.refresh(ctx, []*State{st}) // it may be further than its row says
}

// StateOf turns a stored row into what people see.
func (m *Manager) StateOf(row store.Exchange) *State { return stateOf(m.cfg.Peers, row) }

func stateOf(peers map[identity.ID]string, row store.Exchange) *State {
	st := &State{ID: row.ID, Peer: peers[row.Peer], Upstream: row.Upstream, Method: row.Method, Target: row.Target, Stage: row.Stage,
		State: row.State, Created: row.Created, Ended: row.Ended, Status: row.Status, ReqBytes: row.ReqBytes, ResBytes: row.ResBytes,
		Route: row.Route, Client: row.Caller, Owner: row.Owner, Deadline: row.Deadline, Expired: row.Expired, ReplayOf: row.ReplayOf, Keyed: row.Key != "",
		Local: row.Upstream == FetchUpstream}
	if row.Problem != "" {
		st.Problem = &Problem{Code: row.Problem, Detail: row.Detail}
	}
	stages := parseStages(row.Stages)
	st.Stages = stages.times()
	if row.State == StateRunning {
		st.Stage = shownStage(row.Stage, &stages)
	}
	return st
}

// Result implements Caller. What is stored stays until the body is closed.
func (m *Manager) Result(ctx context.Context, id ID) (*Response, error) {
	end := m.reading.begin(id)
	resp, err := m.result(ctx, id)
	if err != nil {
		end()
		return nil, err
	}
	if _, stored := resp.Body.(twoPieces); stored {
		resp.Body = endReading{resp.Body, end}
	} else {
		end()
	}
	return resp, nil
}

// result reads a stored answer; the body is twoPieces where a part of it is read from the store later.
func (m *Manager) result(ctx context.Context, id ID) (*Response, error) {
	row, err := m.row(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case row.State == StateRunning:
		return nil, ErrPending
	case row.Problem != "":
		return nil, &Problem{Code: row.Problem, Detail: row.Detail}
	}
	parts, err := m.store.InboxExchange(ctx, id)
	if err != nil {
		return nil, err
	}
	head, attempt := newestHead(parts)
	if head == nil {
		return nil, ErrGone
	}
	d, err := decode[resData](head.Data)
	if err != nil {
		return nil, err
	}
	inline, err := plainOf(*head)
	if err != nil {
		return nil, err
	}
	resp := &Response{Status: d.Status, Fields: d.Fields, Length: d.Length, Callee: d.Callee.callee(), PeerName: m.cfg.Peers[row.Peer], Exchange: id}
	trailers := d.Trailers
	resp.Body = io.NopCloser(bytes.NewReader(inline))
	if d.More {
		rest := &partsBody{ctx: ctx, store: m.store, chunks: m.cfg.Chunks, id: id, attempt: attempt, offset: int64(len(inline)), total: row.ResBytes}
		resp.Body = twoPieces{io.MultiReader(bytes.NewReader(inline), rest), rest}
		trailers = lastTrailers(parts, attempt)
	}
	resp.Trailers = func() Fields { return trailers }
	return resp, nil
}

// newestHead finds the response's head of the highest attempt.
func newestHead(rows []store.In) (head *store.In, attempt int) {
	for i := range rows {
		if rows[i].Kind == frame.KindRes && (head == nil || rows[i].Attempt > attempt) {
			head, attempt = &rows[i], rows[i].Attempt
		}
	}
	return head, attempt
}

func lastTrailers(rows []store.In, attempt int) Fields {
	for _, r := range rows {
		if r.Kind != frame.KindBody || r.Attempt != attempt {
			continue
		}
		if d, err := decode[bodyData](r.Data); err == nil && d.Total != nil {
			return d.Trailers
		}
	}
	return nil
}

// twoPieces is a body in two pieces, of which the second is closed.
type twoPieces struct {
	io.Reader
	io.Closer
}
