package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// Monitor looks at a running site. Safe for concurrent use.
type Monitor struct {
	site   Site
	listen Listen

	links   shared[inLoop]
	folders shared[*Pipe]
	wait    time.Duration // for each part
}

// NewMonitor makes a monitor; listen is what Status says of addresses.
func NewMonitor(s Site, listen Listen) *Monitor {
	listen.Ingress = s.Ingress
	return &Monitor{site: s, listen: listen, wait: patience}
}

// errLoop and errFolders say what did not answer in time.
var (
	errLoop    = errors.New("the site's loop does not answer")
	errFolders = errors.New("the pipe's folders do not answer; does a network share hang?")
)

func (m *Monitor) lookLinks(ctx context.Context) (inLoop, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, m.wait, errLoop)
	defer cancel()
	return m.links.do(ctx, func() (inLoop, error) { return m.site.links(context.WithoutCancel(ctx)) })
}

func (m *Monitor) lookFolders(ctx context.Context) (*Pipe, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, m.wait, errFolders)
	defer cancel()
	return m.folders.do(ctx, m.site.folders)
}

// Status gives the state of the site now. It fails only when the loop does not answer; what else is
// wrong is in the status.
func (m *Monitor) Status(ctx context.Context) (*Status, error) {
	s := &m.site
	in, err := m.lookLinks(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	st := &Status{Schema: Schema, Site: s.Name, ID: s.ID.String(), Version: s.Version, Time: now, Running: true, Started: timeOrNil(s.Started),
		UptimeS: now.Sub(s.Started).Seconds(), Roles: s.Roles, Listen: &m.listen, StateDir: s.StateDir, Peers: in.peers,
		DB: DB{Bytes: store.Size(s.StateDir), FailingSince: timeOrNil(in.failing)}}
	var more []Problem
	unknown := func(what string, err error) {
		more = append(more, Problem{Code: "unknown", Level: LevelWarn, Text: fmt.Sprintf("%s: %v", what, err), Hint: "hoft status"})
	}
	if st.Pipe, err = m.lookFolders(ctx); err != nil {
		more = append(more, Problem{Code: "pipe-unusable", Level: LevelCritical, Text: err.Error(), Hint: listCommand(s.Outbox)})
	}
	if err := s.stored(ctx, st.Peers, now); err != nil {
		unknown("the outbox cannot be read", err)
	}
	var mistakes map[identity.ID]uint64
	if st.Exchanges, mistakes, err = s.exchanges(ctx, now); err != nil {
		unknown("calls cannot be counted", err)
	}
	if st.Chunks, err = chunksOf(ctx, s.Chunks); err != nil {
		unknown("the chunk store cannot be looked at", err)
	}
	for i := range st.Peers {
		st.Peers[i].Mistakes = mistakes[s.Peers[i].ID]
		if b := st.Peers[i].Bulk; b != nil {
			st.Peers[i].Mistakes += b.BadMessages
		}
	}
	st.Upstreams = s.upstreams()
	if dead, err := Callbacks(ctx, s.State); err != nil {
		unknown("callbacks cannot be counted", err)
	} else {
		st.CallbacksDead = len(dead.Callbacks)
	}
	st.diagnose()
	st.Problems = append(st.Problems, more...)
	st.Healthy = len(st.Problems) == 0
	return st, nil
}
