package node

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// brittle is a pipe some of whose files cannot be removed, and one of whose names is taken.
type brittle struct {
	Pipe
	held  map[uint64]error
	taken bool
}

func (p *brittle) RemoveOwn(n frame.Name) (bool, error) { return p.held[n.Seq] == nil, p.held[n.Seq] }

func (p *brittle) PutStream(context.Context, frame.Name, int64, func(io.Writer) error) error {
	if p.taken {
		return pipe.ErrExists
	}
	return nil
}

// newNode gives a node without a loop: what is told to the core is told by told.
func newNode(c *Core, p Pipe, peer identity.ID) (n *Node, told func(time.Time)) {
	n = New(Options{Pipe: p, Peers: []Peer{{ID: peer}}, Log: zerolog.Nop()})
	n.core = c
	return n, func(now time.Time) {
		for len(n.events) > 0 {
			(<-n.events)(now)
		}
	}
}

// An own file that cannot be removed (a mover on Windows has it open) goes later; what is no file is left.
func TestRemovalOfAnOwnFileIsTriedAgain(t *testing.T) {
	c, peer, now := newBulkCore(t)
	p := &brittle{held: map[uint64]error{2: errors.New("sharing violation"), 3: pipe.ErrNotRegular}}
	n, told := newNode(c, p, peer)
	n.clean(t.Context(), []frame.Name{c.frameName(peer, 1), c.frameName(peer, 2), c.frameName(peer, 3)}, nil)
	told(now)
	if e := settle(c, now); len(e.Remove) != 0 {
		t.Fatalf("at once: %v", e.Remove)
	}
	for range 2 {
		at := c.Deadline(now)
		if at.IsZero() || at.After(now.Add(removeRetry)) {
			t.Fatalf("deadline %v", at)
		}
		now = now.Add(removeRetry)
		c.Tick(now)
		e := settle(c, now)
		if len(e.Remove) != 1 || e.Remove[0].Seq != 2 {
			t.Fatalf("removed: %v", e.Remove)
		}
		n.clean(t.Context(), e.Remove, nil)
		told(now)
		delete(p.held, 2)
	}
	c.Tick(now.Add(time.Hour))
	if e := settle(c, now.Add(time.Hour)); len(e.Remove) != 0 {
		t.Errorf("removed once more: %v", e.Remove)
	}
}

// A pack whose name is taken is not written for ever: it counts as written, and the peer tells what came of it.
func TestPackWhoseNameIsTaken(t *testing.T) {
	c, peer, now := newBulkCore(t)
	row := bulk.Row{Key: bulk.Key{Own: true, Seq: 7}, Runs: []bulk.Run{{Exchange: bulk.ID{1}, N: 1}}}
	var err error
	if row.Records, err = bulk.UnpackRecords(append(make([]byte, 51), 9)); err != nil {
		t.Fatal(err)
	}
	c.Bulk(peer).Restore(now, []bulk.Row{row}, []bulk.Saved{{Exchange: bulk.ID{1}, Records: row.Records}}, nil)
	n, told := newNode(c, &brittle{taken: true}, peer)
	again := c.Bulk(peer).Rewrites(now)
	if len(again) != 1 {
		t.Fatalf("to be written: %v", again)
	}
	w := c.packWrite(peer, again[0])
	w.Pack.Verify = false // as in the run that announced it
	n.writePack(t.Context(), w)
	told(now)
	if got := c.Bulk(peer).Rewrites(now.Add(time.Hour)); len(got) != 0 || c.WriteFailing(peer) != nil {
		t.Errorf("to be written again: %v; %v", got, c.WriteFailing(peer))
	}
}

// starting is a handler of a site that starts.
type starting struct{ idle }

func (starting) Recover(context.Context, *Step) error { return nil }

type unsealed struct{ Sealer }

func (unsealed) Rkt() string { return "" }

func (p *brittle) ListOwn(peer identity.ID) (all []pipe.Entry, err error) {
	for _, seq := range []uint64{1, 2} {
		all = append(all, pipe.Entry{Name: frame.Name{Recipient: peer, Sender: here, Seq: seq, Ext: frame.ExtFrame}})
	}
	return all, nil
}

// A file of an earlier run that cannot be removed does not keep a site from starting.
func TestStartWithAFileThatCannotBeRemoved(t *testing.T) {
	p := &brittle{held: map[uint64]error{2: errors.New("sharing violation")}}
	now := time.UnixMilli(1_763_800_000_000)
	c, err := LoadCore(t.Context(), Options{Self: here, Peers: []Peer{{ID: there, Sealer: unsealed{}}}, Pipe: p, Store: store.NewMem(), Log: zerolog.Nop()}, starting{}, now)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(removeRetry)
	c.Tick(now)
	if e := settle(c, now); len(e.Remove) != 1 || e.Remove[0].Seq != 2 {
		t.Errorf("removed: %v", e.Remove)
	}
}
