package node

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/store"
)

// Pipe is what a node needs of layer 0; pipe.Dir and pipe.Mem have it.
type Pipe interface {
	Put(ctx context.Context, name frame.Name, chunks ...[]byte) error
	PutStream(ctx context.Context, name frame.Name, size int64, fill func(io.Writer) error) error
	Open(f pipe.File) (pipe.Content, error)
	RemoveOwn(name frame.Name) (bool, error)
	ListOwn(peer identity.ID) ([]pipe.Entry, error)
	Scan(now time.Time) ([]pipe.File, error)
	Read(f pipe.File) ([]byte, error)
	Remove(f pipe.File) error
	Quarantine(f pipe.File, data []byte, reason string) error
	Done(f pipe.File)
	Pending(f pipe.File)
	Again(f pipe.File)
	Hints() <-chan struct{}
	Run(ctx context.Context) error
}

// Store is what a node needs of the store.
type Store interface {
	store.Reader
	store.Committer
}

// Sealer seals lines to one peer; seal.Sealer does.
type Sealer interface {
	Rkt() string
	Seal(dst, claims []byte) ([]byte, error)
}

// Opener opens the peers' files; seal.Opener does.
type Opener interface {
	File(name frame.Name, data []byte, from seal.Mark) seal.Result
}

// Peer is one peer of a node.
type Peer struct {
	ID     identity.ID
	Name   string
	Sealer Sealer
	// Signed says that files of the link are signed and not encrypted, and packs are the bytes of bodies as they are.
	Signed bool
}

// Options says what a node works with. Link is a template: ids, key binding and randomness are filled in.
type Options struct {
	Self   identity.ID
	Peers  []Peer
	Opener Opener
	Pipe   Pipe
	Store  Store
	// Chunks keeps what travels in packs; nil: nothing does.
	Chunks Chunks
	// Links has packs linked and moved instead of copied; nil: they are copied.
	Links *Links
	// Bulk is a template for packs.
	Bulk   bulk.Config
	Link   link.Config
	Limits Limits
	Log    zerolog.Logger
	// Rand gives each link its randomness when it is loaded; nil: seeded by the operating system.
	Rand func() *rand.Rand
}

// Recoverer is a handler that takes up what an earlier run left, before any other event.
type Recoverer interface {
	Handler
	Recover(ctx context.Context, s *Step) error
}

// Node runs a Core on a real pipe and store. Do and Epoch are safe for concurrent use.
type Node struct {
	opt    Options
	core   *Core
	peers  map[identity.ID]Peer
	epochs map[identity.ID]*atomic.Uint64
	caps   map[identity.ID]*atomic.Pointer[[]string]
	events chan func(time.Time)
	closed chan struct{} // no more events are taken
	once   sync.Once
	io     sync.WaitGroup
	packs  chan struct{} // slots for reading packs
	reader *Reader
	ready  chan struct{}
}

// ErrClosed says that the node stops or has stopped.
var ErrClosed = errors.New("node is closed")

const (
	// eventQueue is how many events may wait for the loop; producers wait beyond it.
	eventQueue = 512
	// drainMax is how many events are taken before effects are looked at: what comes together is committed together.
	drainMax = 256
	// stopGrace is how long a stopping node finishes its commits and writes.
	stopGrace = 5 * time.Second
)

// New prepares a node. SetHandler and Run come next.
func New(opt Options) *Node {
	n := &Node{opt: opt, peers: map[identity.ID]Peer{}, epochs: map[identity.ID]*atomic.Uint64{}, caps: map[identity.ID]*atomic.Pointer[[]string]{},
		events: make(chan func(time.Time), eventQueue), closed: make(chan struct{}), ready: make(chan struct{}), packs: make(chan struct{}, readsAtOnce)}
	for _, p := range opt.Peers {
		n.peers[p.ID] = p
		n.epochs[p.ID], n.caps[p.ID] = new(atomic.Uint64), new(atomic.Pointer[[]string])
	}
	n.reader = NewReader(opt)
	return n
}

// Do has fn run in the loop; it returns before that, or ErrClosed.
func (n *Node) Do(fn func(*Step)) error {
	return n.post(func(now time.Time) { n.core.Do(now, fn) })
}

// View has fn look at the core, in the loop, and waits until it did.
func (n *Node) View(ctx context.Context, fn func(c *Core, now time.Time)) error {
	done := make(chan struct{})
	if err := n.post(func(now time.Time) { fn(n.core, now); close(done) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.closed:
		return ErrClosed
	}
}

func (n *Node) post(ev func(time.Time)) error {
	select {
	case <-n.closed:
		return ErrClosed
	default:
	}
	select {
	case n.events <- ev:
		return nil
	case <-n.closed:
		return ErrClosed
	}
}

// Epoch is the own epoch of the link with a peer, 0 for an unknown peer.
func (n *Node) Epoch(peer identity.ID) uint64 {
	if e := n.epochs[peer]; e != nil {
		return e.Load()
	}
	return 0
}

// Takes says whether a peer's last caps allow a kind of message; heard is false when it has told none yet. Safe for
// concurrent use.
func (n *Node) Takes(peer identity.ID, kind frame.Kind) (takes, heard bool) {
	c := n.caps[peer]
	if c == nil || c.Load() == nil || len(*c.Load()) == 0 {
		return false, false
	}
	return slices.Contains(*c.Load(), string(kind)), true
}

// Ready is closed when the state is loaded and the first scan was made.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// FileStats tells what was made of the peers' files, by peer.
func (n *Node) FileStats() map[identity.ID]FileStats { return n.reader.Stats() }

// Run loads the state and works until ctx ends; then it finishes what is under way, for at most
// stopGrace, and returns nil. It returns early with an error that makes working impossible.
func (n *Node) Run(ctx context.Context, h Recoverer) error {
	core, err := LoadCore(ctx, n.opt, h, time.Now())
	if err != nil {
		return err
	}
	n.core = core
	n.publishEpochs()
	ioCtx, stopIO := context.WithCancel(context.Background())
	defer stopIO()
	readCtx, stopRead := context.WithCancel(ctx)
	defer stopRead()
	n.io.Go(func() {
		if err := n.opt.Pipe.Run(readCtx); err != nil {
			n.opt.Log.Error().Err(err).Msg("watching the inbox failed")
		}
	})
	n.io.Go(func() { n.read(readCtx) })
	n.loop(ctx, ioCtx)
	stopRead()
	n.once.Do(func() { close(n.closed) })
	stopIO()
	n.io.Wait()
	return nil
}

// loop takes events, has their effects carried out and sleeps until the next deadline.
func (n *Node) loop(ctx, ioCtx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := ctx.Done()
	var grace <-chan time.Time
	for {
		select {
		case ev := <-n.events:
			ev(time.Now())
			n.drainEvents()
		case <-timer.C:
		case <-done:
			done, grace = nil, time.After(stopGrace)
			n.core.Flush()
		case <-grace:
			n.opt.Log.Warn().Msg("stopped before everything was written; it is saved and goes on at the next start")
			return
		}
		now := time.Now()
		if at := n.core.Deadline(now); !at.IsZero() && !now.Before(at) {
			n.core.Tick(now)
		}
		n.carryOut(ioCtx, n.core.Take(now))
		n.publishEpochs()
		if done == nil && (n.core.Quiet() && len(n.events) == 0 || !n.core.StoreFailing().IsZero()) {
			return // what could not be committed was never acknowledged to anybody
		}
		if at := n.core.Deadline(now); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(time.Until(at), 0))
		}
	}
}

func (n *Node) drainEvents() {
	for range drainMax {
		select {
		case ev := <-n.events:
			ev(time.Now())
		default:
			return
		}
	}
}

func (n *Node) publishEpochs() {
	for id, e := range n.epochs {
		own, _ := n.core.links[id].Epoch()
		if e.Load() != own {
			e.Store(own)
		}
		words := n.core.links[id].PeerCaps()
		if c := n.caps[id]; c.Load() == nil || !slices.Equal(*c.Load(), words) {
			c.Store(&words)
		}
	}
}

// carryOut starts what the core wants done; outcomes come back as events.
func (n *Node) carryOut(ctx context.Context, e Effects) {
	if c := e.Commit; c != nil {
		n.io.Go(func() {
			err := n.opt.Store.Commit(ctx, c.Batch)
			if err != nil && ctx.Err() == nil {
				n.reader.quiet.trouble(n.opt.Log.Error, time.Now(), "", "cannot store changes; trying again. Check free space and the state folder", err)
			}
			n.tell(ctx, func(now time.Time) { n.core.Committed(now, err) })
		})
	}
	for _, w := range e.Writes {
		n.io.Go(func() { n.write(ctx, w) })
	}
	for _, w := range e.Packs {
		n.io.Go(func() { n.writePack(ctx, w) })
	}
	for _, r := range e.Reads {
		n.io.Go(func() { n.readPack(ctx, r) })
	}
	for _, l := range e.Loads {
		n.io.Go(func() {
			rows, err := l.Rows(ctx, n.opt.Store)
			if err != nil && ctx.Err() == nil {
				n.reader.quiet.trouble(n.opt.Log.Error, time.Now(), "", "cannot read the outbox; trying again", err)
			}
			n.tell(ctx, func(now time.Time) { n.core.Loaded(now, l, rows, err) })
		})
	}
	if len(e.Remove)+len(e.Consume) > 0 {
		n.io.Go(func() { n.clean(ctx, e.Remove, e.Consume) })
	}
	for _, p := range e.Looks {
		n.io.Go(func() { n.look(ctx, p) })
	}
}

// tell brings an outcome back into the loop; also while the node stops.
func (n *Node) tell(ctx context.Context, ev func(time.Time)) {
	select {
	case n.events <- ev:
	case <-ctx.Done():
	}
}

// Items turns outbox rows up to a committed id into what a link loads.
func Items(rows []store.Out, upTo uint64) []link.Item {
	items := make([]link.Item, 0, len(rows))
	for _, r := range rows {
		if r.ID <= upTo {
			items = append(items, link.Item{ID: r.ID, Kind: r.Kind, Prio: link.Prio(r.Prio), Ref: r.Exchange, Data: r.Data})
		}
	}
	return items
}
