package admin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// Loop is what is needed of a node; *node.Node has it.
type Loop interface {
	View(ctx context.Context, fn func(c *node.Core, now time.Time)) error
	FileStats() map[identity.ID]node.FileStats
	ScanFailing() error
	Ready() <-chan struct{}
}

// Calls is what is needed of the exchanges; *exchange.Manager has it.
type Calls interface {
	Tally(ctx context.Context) (exchange.Tally, error)
}

// Folder is what is needed of the pipe; *pipe.Dir has it.
type Folder interface{ Stats() pipe.Stats }

// State is what is needed of the store; *store.SQLite has it.
type State interface {
	Outbox(ctx context.Context, peer identity.ID, after uint64, limit int) ([]store.Out, error)
	Exchanges(ctx context.Context, f store.ExchangeFilter) ([]store.Exchange, error)
	WentWrong(ctx context.Context, since time.Time) ([]store.Count, error)
	SetAside(ctx context.Context, peer identity.ID) (int64, error)
	Hooked
}

// Name is a peer as the configuration knows it.
type Name struct {
	ID     identity.ID
	Name   string
	Signed bool // files of the link are signed and not encrypted
}

// Site is a running site as this package sees it.
type Site struct {
	Name      string
	ID        identity.ID
	Version   string
	Started   time.Time
	Roles     []string
	Ingress   string // address, "" without one
	StateDir  string
	Outbox    string // folders
	Inbox     string
	Peers     []Name
	Heartbeat time.Duration
	Limits    node.Limits

	Loop  Loop
	Calls Calls
	Pipe  Folder
	State State
	Work  Work  // nil: exchanges cannot be changed from here
	Hooks Hooks // nil: no callbacks are sent
	// Chunks is the store of long bodies; nil: there is none.
	Chunks ChunkStore

	Callees Callees // nil without an egress
}

// patience is how long the parts of a site are waited for, each.
const patience = 5 * time.Second

// inLoop is what only the loop knows.
type inLoop struct {
	peers   []Peer
	failing time.Time
}

// links looks at every link, in the loop.
func (s *Site) links(ctx context.Context) (out inLoop, err error) {
	files := s.Loop.FileStats()
	err = s.Loop.View(ctx, func(c *node.Core, now time.Time) {
		out.failing = c.StoreFailing()
		for _, p := range s.Peers {
			out.peers = append(out.peers, s.link(c, now, p, files[p.ID]))
		}
	})
	return out, err
}

func (s *Site) link(c *node.Core, now time.Time, p Name, files node.FileStats) Peer {
	l := c.Link(p.ID)
	st := l.State()
	smoothed, variation, measured := l.RTT()
	late := lateAfter(s.Heartbeat, smoothed, variation)
	out := Peer{Name: p.Name, ID: p.ID.String(), Seal: sealOf(p.Signed), LastSeen: timeOrNil(l.LastSeen()), LateS: late.Seconds(), Log: logOf(st), Clocks: clocksOf(st),
		Caps: st.PeerCaps, Counters: countersOf(l.Stats()), Files: &files}
	out.State, out.Reason = judge(signs{now: now, started: s.Started, seen: l.LastSeen(), late: late, stopped: l.Stopped(), files: files})
	out.Outbox.Messages, out.Outbox.Bytes = l.Held()
	lim := s.Limits
	out.Outbox.Full = lim.OutboxMessages > 0 && out.Outbox.Messages >= lim.OutboxMessages ||
		lim.OutboxBytes > 0 && out.Outbox.Bytes >= lim.OutboxBytes
	out.InFlight = InFlight{Files: l.InFlight(), NextResend: timeOrNil(l.NextResend())}
	if measured {
		out.RTT = rttOf(smoothed, variation)
	}
	waiting, since := l.Waiting()
	out.InFlight.Waiting, out.InFlight.WaitingSince = waiting, timeOrNil(since)
	out.Events = eventsOf(l.Events())
	if out.Bulk = bulkOf(c.Bulk(p.ID), now); out.Bulk != nil {
		out.Bulk.BadMessages = c.BadBulk(p.ID)
	}
	out.Size.Safe, out.Size.CutAt = l.SafeSize()
	if err := c.WriteFailing(p.ID); err != nil {
		out.WriteError = err.Error()
	}
	return out
}

// folders looks at the pipe; on a network share that may take long.
func (s *Site) folders() (*Pipe, error) {
	st := s.Pipe.Stats()
	p := &Pipe{Outbox: s.Outbox, Inbox: s.Inbox, Mode: "poll", IntervalS: st.Poll.Seconds(), SettleS: st.Settle.Seconds(),
		FreeBytes: st.FreeBytes, TotalBytes: st.TotalBytes, OwnFiles: st.OwnFiles, Tracked: st.Tracked, Waiting: st.Waiting, Stuck: st.Stuck,
		Reappeared: st.Reappeared, Scans: st.Scans, Reported: st.Reported, Quarantined: st.Quarantined, Cloned: st.Cloned, Skipped: st.Skipped}
	if st.Watching && st.Notified {
		p.Mode = "notify"
	}
	if err := s.Loop.ScanFailing(); err != nil {
		p.ScanError = err.Error()
	}
	for _, dir := range []string{s.Outbox, s.Inbox} {
		if fi, err := os.Stat(dir); err != nil {
			return p, err
		} else if !fi.IsDir() {
			return p, fmt.Errorf("%s is not a folder", dir)
		}
	}
	return p, nil
}

// exchanges counts calls: the running ones in the loop, the others in the store.
func (s *Site) exchanges(ctx context.Context, now time.Time) (*Exchanges, map[identity.ID]uint64, error) {
	t, err := s.Calls.Tally(ctx)
	if err != nil {
		return nil, nil, err
	}
	x := &Exchanges{Calls: t.Calls, Jobs: t.Jobs, Dropped: t.Dropped}
	return x, t.Mistakes, x.past(ctx, s.State, now)
}

// newest is how many ids of uncertain exchanges are listed.
const newest = 5

// past adds what is known of exchanges that ended.
func (x *Exchanges) past(ctx context.Context, st interface {
	Exchanges(ctx context.Context, f store.ExchangeFilter) ([]store.Exchange, error)
	WentWrong(ctx context.Context, since time.Time) ([]store.Count, error)
}, now time.Time) error {
	since := now.Add(-24 * time.Hour)
	counts, err := st.WentWrong(ctx, since)
	if err != nil {
		return err
	}
	x.Day = map[string]int64{}
	for _, c := range counts {
		x.Day[c.Word] += c.N
	}
	if x.Day[exchange.StateUncertain] == 0 {
		return nil
	}
	rows, err := st.Exchanges(ctx, store.ExchangeFilter{State: exchange.StateUncertain, Since: since, Limit: newest})
	for _, r := range rows {
		x.Uncertain = append(x.Uncertain, exchange.ID(r.ID).String())
	}
	return err
}

// stored adds to the links what only the store knows.
func (s *Site) stored(ctx context.Context, peers []Peer, now time.Time) error {
	for i := range peers {
		id := s.Peers[i].ID
		var err error
		if peers[i].SetAside, err = s.State.SetAside(ctx, id); err != nil {
			return err
		}
		if peers[i].Outbox.Messages == 0 {
			continue
		}
		oldest, err := s.State.Outbox(ctx, id, 0, 1)
		if err != nil {
			return err
		}
		if len(oldest) == 1 {
			peers[i].Outbox.OldestS = ageOrNil(now, oldest[0].Created)
		}
	}
	return nil
}

// quarantineDir is where refused files are kept in a state folder.
func quarantineDir(stateDir string) string { return filepath.Join(stateDir, "quarantine") }
