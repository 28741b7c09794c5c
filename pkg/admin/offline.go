package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// FromState tells what the state folder of a site holds that does not run, without changing it. peers
// names the peers that are to be listed whether the state knows them or not; a link with a site that
// they do not name is listed by its id.
func FromState(ctx context.Context, stateDir string, self *identity.Site, peers []Name) (*Status, error) {
	now := time.Now().UTC()
	st := &Status{Schema: Schema, Site: self.Name(), ID: self.ID().String(), Time: now, StateDir: stateDir, DB: DB{Bytes: store.Size(stateDir)}, Peers: []Peer{}}
	db, err := store.OpenReadOnly(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		for _, p := range peers {
			st.Peers = append(st.Peers, Peer{Name: p.Name, ID: p.ID.String(), State: StateStopped, Log: Log{RecvGaps: gaps(0, nil)}})
		}
		st.diagnose()
		return st, nil // it never ran
	}
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := st.readLinks(ctx, db, peers); err != nil {
		return nil, err
	}
	if st.Exchanges, err = storedExchanges(ctx, db, now); err != nil {
		return nil, err
	}
	dead, err := Callbacks(ctx, db)
	if err != nil {
		return nil, err
	}
	st.CallbacksDead = len(dead.Callbacks)
	st.diagnose()
	return st, nil
}

func (s *Status) readLinks(ctx context.Context, db *store.ReadOnly, peers []Name) error {
	rows, err := db.Links(ctx)
	if err != nil {
		return err
	}
	links, named := map[identity.ID]store.Link{}, map[identity.ID]bool{}
	list := append([]Name(nil), peers...)
	for _, p := range peers {
		named[p.ID] = true
	}
	for _, r := range rows {
		links[r.Peer] = r
		if !named[r.Peer] {
			list = append(list, Name{ID: r.Peer, Name: r.Peer.String()})
		}
	}
	for _, p := range list {
		peer, err := storedPeer(ctx, db, p, links[p.ID], s.Time)
		if err != nil {
			return fmt.Errorf("peer %s: %w", p.Name, err)
		}
		s.Peers = append(s.Peers, peer)
	}
	return nil
}

func storedPeer(ctx context.Context, db *store.ReadOnly, p Name, r store.Link, now time.Time) (Peer, error) {
	st := node.StateOf(r)
	out := Peer{Name: p.Name, ID: p.ID.String(), State: StateStopped, LastSeen: timeOrNil(r.LastSeen), Log: logOf(st), Clocks: clocksOf(st), Caps: r.PeerCaps}
	if r.SRTT > 0 {
		out.RTT = rttOf(r.SRTT, r.RTTVar)
	}
	stats, err := db.Stats(ctx, p.ID)
	if err != nil {
		return out, err
	}
	out.Outbox = Outbox{Messages: stats.Messages, Bytes: stats.Bytes, OldestS: ageOrNil(now, stats.Oldest)}
	out.SetAside = stats.Failed
	open, err := db.SentOpen(ctx, p.ID)
	out.InFlight.Files = len(open)
	out.Size = Size{Safe: st.Learned.Safe, CutAt: st.Learned.Limit}
	return out, err
}

func storedExchanges(ctx context.Context, db *store.ReadOnly, now time.Time) (*Exchanges, error) {
	x := &Exchanges{Calls: map[string]int{}, Jobs: map[string]int{}}
	counts, err := db.Running(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range counts {
		by := x.Calls
		if c.Side == store.SideEgress {
			by = x.Jobs
		}
		by[c.Word] += int(c.N)
	}
	return x, x.past(ctx, db, now)
}
