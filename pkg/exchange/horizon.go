package exchange

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// horizon is up to which time, as their ids say it, executed calls may be unknown here (PROTOCOL "Epochs"). Ids carry the clock of
// the site that made them.
type horizon struct {
	common time.Time                 // for all: the start of the state, or the newest end of what was purged
	ahead  map[identity.ID]time.Time // the newest id of a peer that was purged, where its clock was ahead of ours
}

// metaHorizon is the key under which the horizon is kept. With a peer's id behind it: of that peer alone.
const metaHorizon = "horizon_ms"

// mayCover says whether a call of a peer may have been executed and forgotten.
func (h *horizon) mayCover(peer identity.ID, id ID) bool {
	at := IDTime(id)
	return !at.After(h.common) || !at.After(h.ahead[peer])
}

func (m *Manager) recoverHorizon(ctx context.Context, s *node.Step) error {
	h := horizon{ahead: map[identity.ID]time.Time{}}
	at, err := m.metaTime(ctx, metaHorizon)
	if errors.Is(err, store.ErrNotFound) {
		at, err = s.Now, nil // a new state folder remembers nothing from before it was made
		setTime(s, metaHorizon, at)
	}
	if err != nil {
		return fmt.Errorf("recover horizon: %w", err)
	}
	h.common = at
	for peer := range m.cfg.Peers {
		at, err := m.metaTime(ctx, horizonOf(peer))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("recover horizon: %w", err)
		}
		h.ahead[peer] = at
	}
	m.horizon = h
	return nil
}

// newestAhead gives, by peer, the newest of the ids that lie after the end of their own exchange.
func (m *Manager) newestAhead(ctx context.Context, keys []store.ExchangeKey) (map[identity.ID]time.Time, error) {
	newest := map[identity.ID]time.Time{}
	for _, k := range keys {
		at := IDTime(k.ID)
		if k.Side != store.SideEgress || !at.After(k.Ended) {
			continue
		}
		e, err := m.store.Exchange(ctx, k.ID, k.Side)
		switch {
		case errors.Is(err, store.ErrNotFound): // purged meanwhile
		case err != nil:
			return nil, err
		case at.After(newest[e.Peer]):
			newest[e.Peer] = at
		}
	}
	return newest, nil
}

// raiseHorizon takes note that these exchanges are purged in this step.
func (m *Manager) raiseHorizon(s *node.Step, keys []store.ExchangeKey, ahead map[identity.ID]time.Time) {
	h := &m.horizon
	for _, k := range keys {
		if k.Side == store.SideEgress && k.Ended.After(h.common) {
			h.common = k.Ended
		}
	}
	setTime(s, metaHorizon, h.common)
	for peer, at := range ahead {
		if at.After(h.ahead[peer]) {
			h.ahead[peer] = at
			setTime(s, horizonOf(peer), at)
		}
	}
}

func horizonOf(peer identity.ID) string { return metaHorizon + " " + peer.String() }

// metaTime reads a time that setTime stored.
func (m *Manager) metaTime(ctx context.Context, key string) (time.Time, error) {
	v, err := m.store.Meta(ctx, key)
	if err != nil {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(string(v), 10, 64)
	return time.UnixMilli(ms), err
}

func setTime(s *node.Step, key string, at time.Time) {
	s.Store().SetMeta(key, strconv.AppendInt(nil, at.UnixMilli(), 10))
}
