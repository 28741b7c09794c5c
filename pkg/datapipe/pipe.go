// Package datapipe moves stored data between sites: it fetches chunks that a reader here lacks, and gives peers what they ask for.
//
// It stands between the node and the exchanges: a Pipe is the node's Handler, takes what is about stored data, and hands
// everything else on. What is fetched for a client is shown as an exchange (exchange.Local), so it has a state, events
// and an end like any call.
package datapipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// Chunks is what a Pipe needs of the site's chunk store. Safe for concurrent use.
type Chunks = exchange.Chunks

// Loop runs functions in the site's loop; *node.Node does. Do returns before fn ran.
type Loop interface {
	Do(fn func(*node.Step)) error
	// Takes says whether a peer takes a kind of message; heard is false when nothing was heard of it yet.
	Takes(peer identity.ID, kind frame.Kind) (takes, heard bool)
}

// Peer is a site that may be asked, and may ask.
type Peer struct {
	ID   identity.ID
	Name string
}

// Options are what a Pipe works with.
type Options struct {
	// Peers in the order in which they are asked where a client names none.
	Peers  []Peer
	Chunks Chunks
	Store  Store
	// Allowed says which peers are given chunks of what is stored here; nil: all.
	Allowed func(peer identity.ID) bool
	// MaxFetch bounds what is asked for at a time, all together may have twice as much; KeepMost bounds what of it is kept until the exchange expires, in
	// bytes of data; 0: no limit.
	MaxFetch, KeepMost int64
	// GiveUp is how long a fetch may take; 0: a day.
	GiveUp time.Duration
	Now    func() time.Time // nil: time.Now
	// NewID makes the id of a fetch; nil: exchange.NewID.
	NewID func(now time.Time) exchange.ID
	Log   zerolog.Logger
}

// Store is what a Pipe reads.
type Store interface {
	Fetches(ctx context.Context) ([]store.Fetch, error)
	Offers(ctx context.Context, peer identity.ID) ([]store.Offer, error)
	Exchange(ctx context.Context, id [16]byte, side store.Side) (store.Exchange, error)
}

// Pipe is the stored data's way between sites. Bring, Stats and Close are safe for concurrent use; the rest
// belongs to the loop.
type Pipe struct {
	*exchange.Manager // what is not about stored data

	o      Options
	loop   Loop
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	work   sync.WaitGroup
	counts counts
	trip   func(s *node.Step, peer identity.ID) time.Duration // a round trip of a small file

	fetches map[exchange.ID]*fetch // under way
	ended   map[exchange.ID]ended  // of which something may still come
	given   map[gift]time.Time     // what peers asked for, since when
	looking map[identity.ID]int    // questions of a peer that are being looked up

	mu   sync.Mutex
	jobs map[jobKey]*job
	busy int64 // bytes of data that are being fetched, or read after that
}

// ended is a fetch that asks for nothing more.
type ended struct {
	peers []identity.ID
	at    time.Time
}

const (
	sweepEvery = 30 * time.Second
	// lateMost is how long packs of a fetch that has ended may be on their way.
	lateMost = time.Hour
)

// gift names what is given to a peer under an exchange.
type gift struct {
	peer identity.ID
	id   exchange.ID
}

var (
	_ node.Recoverer    = (*Pipe)(nil)
	_ node.ChunkHandler = (*Pipe)(nil)
	_ node.FetchHandler = (*Pipe)(nil)
)

const defaultGiveUp = 24 * time.Hour

// New puts a Pipe before the exchanges of a site; it is the Handler of the node then.
func New(o Options, m *exchange.Manager, loop Loop) *Pipe {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = exchange.NewID
	}
	if o.GiveUp <= 0 {
		o.GiveUp = defaultGiveUp
	}
	p := &Pipe{Manager: m, o: o, loop: loop, fetches: map[exchange.ID]*fetch{}, ended: map[exchange.ID]ended{}, given: map[gift]time.Time{}, looking: map[identity.ID]int{},
		jobs: map[jobKey]*job{}}
	p.trip = func(s *node.Step, peer identity.ID) time.Duration { return s.Link(peer).SmallTrip() }
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Close ends what is under way; it goes on at the next start. The exchanges are closed by themselves.
func (p *Pipe) Close() {
	p.stop()
	p.work.Wait()
}

// Recover takes up what an earlier run left.
func (p *Pipe) Recover(ctx context.Context, s *node.Step) error {
	if err := p.Manager.Recover(ctx, s); err != nil {
		return err
	}
	if err := p.recoverGiven(ctx, s); err != nil {
		return fmt.Errorf("recover what peers asked for: %w", err)
	}
	if err := p.recoverJobs(ctx, s); err != nil {
		return fmt.Errorf("recover fetches: %w", err)
	}
	p.run(p.sweeping)
	return nil
}

// sweeping looks now and then at what may be forgotten.
func (p *Pipe) sweeping(ctx context.Context) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = p.loop.Do(p.sweep)
		case <-ctx.Done():
			return
		}
	}
}

// sweep forgets fetches of which nothing is on its way any more, and ends what lies on offer for long to peers that do
// not take it.
func (p *Pipe) sweep(s *node.Step) {
	for _, id := range inOrder(p.ended) {
		coming, e := 0, p.ended[id]
		for _, peer := range e.peers {
			n, _ := s.Bulk(peer).AnnouncedFor(id)
			coming += n
		}
		if age := s.Now.Sub(e.at); age < sweepEvery || coming > 0 && age < lateMost {
			continue
		}
		delete(p.ended, id)
		for _, peer := range e.peers {
			s.Over(peer, id)
		}
	}
	for _, g := range p.gifts() {
		since := p.given[g]
		if p.endGift(s, g); s.Now.Sub(since) > giftLife {
			p.dropGift(s, g)
		}
	}
}

// inOrder gives the ids of a table, oldest first, so that a simulation comes out the same each time.
func inOrder[T any](table map[exchange.ID]T) []exchange.ID {
	return slices.SortedFunc(maps.Keys(table), func(a, b exchange.ID) int { return bytes.Compare(a[:], b[:]) })
}

// ChunksStored implements node.ChunkHandler.
func (p *Pipe) ChunksStored(s *node.Step, peer identity.ID, x bulk.ID, names []chunk.Name) {
	p.Manager.ChunksStored(s, peer, x, names)
	if f := p.fetches[x]; f != nil {
		f.fullAt = time.Time{}
	}
	for _, id := range inOrder(p.fetches) {
		p.fetches[id].tell(func(n *news) { n.came = append(n.came, names...) })
	}
}

// ChunksGone implements node.ChunkHandler.
func (p *Pipe) ChunksGone(s *node.Step, peer identity.ID, x bulk.ID, names []chunk.Name) {
	f := p.fetches[x]
	if f == nil {
		p.Manager.ChunksGone(s, peer, x, names)
		return
	}
	f.tell(func(n *news) { n.refused = append(n.refused, refusal{peer, names}) })
}

// fullPatience is how long a fetch waits for room in the chunk store, since the last chunk that found some.
const fullPatience = time.Minute

// ChunksRefused implements node.ChunkHandler. What this site asked for itself is charged to nobody, so for a fetch it says
// that the chunk store is full.
func (p *Pipe) ChunksRefused(s *node.Step, peer identity.ID, x bulk.ID, full bool) {
	f := p.fetches[x]
	switch {
	case f == nil:
		p.Manager.ChunksRefused(s, peer, x, full)
	case !full:
	case f.fullAt.IsZero():
		f.fullAt = s.Now
	case s.Now.Sub(f.fullAt) >= fullPatience:
		f.tell(func(n *news) {
			n.failed = exchange.Problemf(exchange.CodeStorageFull, "the chunk store is full of what is needed, or its disk is")
		})
	}
}

// ChunksMoved implements node.ChunkHandler.
func (p *Pipe) ChunksMoved(s *node.Step, peer identity.ID, x bulk.ID) {
	p.Manager.ChunksMoved(s, peer, x)
	p.endGift(s, gift{peer, x})
}

// PeerReset implements node.Handler: the peer lost its state, and what it asked for with it.
func (p *Pipe) PeerReset(s *node.Step, peer identity.ID) {
	p.Manager.PeerReset(s, peer)
	for _, g := range p.gifts() {
		if g.peer == peer {
			p.dropGift(s, g)
		}
	}
}

// Live implements node.Handler.
func (p *Pipe) Live() int { return p.Manager.Live() + len(p.fetches) }

// run has fn work beside the loop until it returns or the site stops.
func (p *Pipe) run(fn func(ctx context.Context)) { p.work.Go(func() { fn(p.ctx) }) }

// name gives the name of a peer.
func (p *Pipe) name(id identity.ID) string {
	for _, x := range p.o.Peers {
		if x.ID == id {
			return x.Name
		}
	}
	return id.String()
}

// ErrNobody says that none of the peers that may be asked has a chunk.
var ErrNobody = errors.New("no peer that may be asked has it")

// asking gives the peers to ask, those first that were heard of: the one that the client names, else all in order.
func (p *Pipe) asking(name string) ([]identity.ID, *exchange.Problem) {
	var ids, later []identity.ID
	known, old := false, ""
	for _, x := range p.o.Peers {
		if name != "" && x.Name != name {
			continue
		}
		known = true
		switch takes, heard := p.loop.Takes(x.ID, frame.KindFetch); {
		case takes:
			ids = append(ids, x.ID)
		case !heard:
			later = append(later, x.ID)
		default:
			old = x.Name
		}
	}
	ids = slices.Concat(ids, later)
	switch {
	case !known && name != "":
		return nil, exchange.Problemf(exchange.CodeNoPeer, "no peer %q", name)
	case len(ids) == 0 && old != "":
		return nil, exchange.Problemf(exchange.CodeUnsupported, "site %s runs a version that gives no stored data", old)
	}
	return ids, nil
}
