package exchange

import (
	"context"
	"errors"
	"time"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// Filter selects exchanges of callers here, newest first; zero members select all.
type Filter struct {
	Owner string
	Peer  string // its name
	State string // running, succeeded, failed, canceled or uncertain
	Route string
	Since time.Time
	After ID // only what comes after this one in the list
	Limit int
}

// listStep is how many rows are read at a time where some of them are not shown.
const listStep = 200

// List gives the exchanges that callers here made and f selects. Safe for concurrent use.
func (m *Manager) List(ctx context.Context, f Filter) ([]*State, error) {
	out, err := ListStored(ctx, m.store, m.cfg.Peers, f)
	if err != nil {
		return nil, err
	}
	return out, m.refresh(ctx, out)
}

// Lister reads rows of exchanges; every store does.
type Lister interface {
	Exchanges(ctx context.Context, f store.ExchangeFilter) ([]store.Exchange, error)
}

// ListStored is List by what is stored alone; peers are names.
func ListStored(ctx context.Context, r Lister, peers map[identity.ID]string, f Filter) ([]*State, error) {
	q := store.ExchangeFilter{State: f.State, Owner: f.Owner, Route: f.Route, Since: f.Since, Before: f.After, Limit: listStep}
	if f.Peer != "" {
		if q.Peer = peerID(peers, f.Peer); q.Peer.IsZero() {
			return nil, nil
		}
	}
	var out []*State
	for len(out) < f.Limit {
		rows, err := r.Exchanges(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if q.Before = row.ID; row.Side == store.SideIngress && row.Stage != stageUploading && len(out) < f.Limit {
				out = append(out, stateOf(peers, row))
			}
		}
		if len(rows) < listStep {
			break
		}
	}
	return out, nil
}

// refresh brings running exchanges to what the loop knows of them.
func (m *Manager) refresh(ctx context.Context, states []*State) error {
	return m.sync(ctx, func(s *node.Step) {
		for _, st := range states {
			if c := m.calls[st.ID]; c != nil && st.State == StateRunning {
				st.Stage, st.Stages = c.shownStage(), c.stages.times()
				st.Transfer = m.transfer(s, c)
				if c.local {
					st.ResBytes = int64(c.have.Count())
				}
			}
		}
	})
}

func peerID(peers map[identity.ID]string, name string) identity.ID {
	for id, n := range peers {
		if n == name {
			return id
		}
	}
	return identity.ID{}
}

// row reads the row of an exchange of a caller here, or ErrUnknown. One that is being uploaded is not known yet.
func (m *Manager) row(ctx context.Context, id ID) (store.Exchange, error) {
	row, err := m.store.Exchange(ctx, id, store.SideIngress)
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Stage == stageUploading {
		return row, ErrUnknown
	}
	return row, err
}
