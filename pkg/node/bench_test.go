package node

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/store"
)

// bench is a core whose effects a test carries out itself, on a store in memory.
type bench struct {
	t    *testing.T
	now  time.Time
	core *Core
	db   *store.Mem
	seq  uint64
}

var (
	here  = identity.ID{1}
	there = identity.ID{2}
)

const thereEpoch = 1_763_000_000_000

func newBench(t *testing.T, db *store.Mem, h Handler) *bench {
	b := &bench{t: t, now: time.UnixMilli(1_763_800_000_000), db: db, seq: thereEpoch * frame.SeqPerEpoch}
	rows, err := db.Links(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var st link.State
	for _, r := range rows {
		st = StateOf(r)
	}
	l := link.New(link.Config{Self: here, Peer: there, Rkt: func() string { return "r" }, Rand: rand.New(rand.NewPCG(1, 2))}, st, b.now, 0)
	b.core = NewCore(here, map[identity.ID]*link.Link{there: l}, []identity.ID{there}, Limits{})
	b.core.SetHandler(h)
	b.work()
	return b
}

// work carries out what the core wants; files go nowhere.
func (b *bench) work() {
	for {
		e := b.core.Take(b.now)
		if e.Commit == nil && len(e.Writes) == 0 {
			return
		}
		if e.Commit != nil {
			err := b.db.Apply(e.Commit.Batch)
			b.core.Committed(b.now, err)
		}
		for _, w := range e.Writes {
			b.core.Wrote(b.now, w.Peer, 100, nil)
		}
	}
}

// pass lets time go by, with everything that falls due.
func (b *bench) pass(d time.Duration) {
	end := b.now.Add(d)
	for {
		at := b.core.Deadline(b.now)
		if at.IsZero() || at.After(end) {
			b.now = end
			return
		}
		if at.After(b.now) {
			b.now = at
		}
		b.core.Tick(b.now)
		b.work()
	}
}

// message delivers one message of the peer.
func (b *bench) message(id uint64, data string) {
	b.messages(frame.Message{ID: id, Kind: frame.KindReq, Data: []byte(data)})
}

// messages delivers one file of the peer.
func (b *bench) messages(ms ...frame.Message) {
	last := ms[len(ms)-1].ID
	own, _ := b.core.Link(there).Epoch()
	b.seq++
	c := &frame.Claims{V: 1, Ep: thereEpoch, Pep: own, Seq: b.seq, Fin: true, Iat: b.now.Unix(), Base: 1, Last: &last, Ack: &frame.Ack{}, Rx: &frame.Rx{},
		Msg: ms}
	b.core.Inbound(b.now, there, link.File{Seq: b.seq, Whole: true, Lines: []*frame.Claims{c}}, nil)
}
