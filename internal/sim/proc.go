package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// proc is one run of a site's process: what node.Node and pkg/site assemble, without their goroutines.
type proc struct {
	w    *World
	site *site
	n    int           // of all runs
	born time.Duration // when
	*folder
	db     *store.Mem // of the folder
	shelf  *shelf     // nil: bodies travel in messages alone
	links  *node.Links
	pipe   *pipe.Mem
	core   *node.Core
	reader *node.Reader
	m      *exchange.Manager
	data   *datapipe.Pipe // nil: no data is stored
	seal   sealing
	stop   context.CancelFunc
	due    time.Duration // when the core wants a tick; -1: never
	late   int           // ticks in a row without time passing
	minute time.Duration // in which files were written
	files  int           // in it

	rows  map[identity.ID]store.Link // as committed
	taken map[received]bool          // message ids handed to the layer above in this run
	// carried is which of them came in files that are not handled yet.
	carried map[frame.Name][]received

	epochs  map[identity.ID]*atomic.Uint64
	caps    map[identity.ID]*atomic.Pointer[[]string]
	sealers map[identity.ID]*chunk.Sealer
	mu      sync.Mutex
	queue   []func(*node.Step)
	dead    bool
	halting bool // it is being stopped in order
	reading bool // a client waits for stored data
}

var errDead = errors.New("the process has ended")

// start runs a process on a state folder.
func (s *site) start(disk *folder) *proc {
	w := s.w
	w.report.Crashes++ // counted by starts; the first of each site is taken off at the end
	p := &proc{w: w, site: s, n: w.report.Crashes, born: w.now(), folder: disk, db: disk.Mem, due: -1, rows: map[identity.ID]store.Link{},
		taken: map[received]bool{}, carried: map[frame.Name][]received{}, epochs: map[identity.ID]*atomic.Uint64{},
		caps: map[identity.ID]*atomic.Pointer[[]string]{}, sealers: map[identity.ID]*chunk.Sealer{}}
	w.trace.say(w, "%s starts as run %d", s.name, p.n)
	peers := s.others()
	for _, id := range peers {
		p.epochs[id], p.caps[id] = new(atomic.Uint64), new(atomic.Pointer[[]string])
	}
	var err error
	if p.pipe, err = pipe.OpenMem(pipe.Options{Self: s.id, Peers: peers, Outbox: "/o", Inbox: "/i", Keep: w.plan.Keep, Private: w.plan.Private}, s.out, s.in); err != nil {
		panic(err)
	}
	p.seal = w.sealingOf(s)
	opt := node.Options{Self: s.id, Opener: p.seal, Pipe: p.pipe, Store: p.db, Log: zerolog.Nop(), Link: p.linkConfig(),
		Limits: node.Limits{OutboxMessages: 10_000, OutboxBytes: 64 << 20},
		Rand:   func() *rand.Rand { return rand.New(rand.NewPCG(w.rnd.Uint64(), w.rnd.Uint64())) }}
	names, signed := map[identity.ID]string{}, map[identity.ID]bool{}
	for _, id := range peers {
		names[id] = w.byID(id).name
		signed[id] = w.signed(s, w.byID(id))
		opt.Peers = append(opt.Peers, node.Peer{ID: id, Name: names[id], Sealer: p.seal.to(id), Signed: signed[id]})
	}
	cfg := exchange.Config{Peers: names, TTL: 90 * 24 * time.Hour, Remember: remember, Window: w.plan.Ahead, Signed: signed, Upstreams: callee{p}, Now: p.now,
		Honoured: func(up string) bool { return up == honoured }, Log: zerolog.Nop()}
	in := &receiver{datapipe.Receiver{Inner: callee{p}}, p}
	if w.plan.Sends > 0 {
		cfg.Upstreams = in
	}
	if w.plan.Chunks {
		p.shelf = &shelf{Chunks: disk.chunks, p: p}
		opt.Chunks, cfg.Chunks, cfg.Sealer = p.shelf, p.shelf, p.sealerFor
		p.pipe.Beside(disk.chunks.Folder())
		if w.plan.Shares {
			p.pipe.Clones()
		}
		p.links = &node.Links{Pipe: p.pipe, Chunks: p.shelf}
	}
	if w.plan.Apart {
		opt.Bulk.Apart, cfg.Apart = apart, p.shelf.Begin
	}
	p.reader = node.NewReader(opt)
	p.m = exchange.NewManager(cfg, p, p.db)
	p.readRows()
	core, err := node.LoadCore(context.Background(), opt, p.handler(names, in), p.now())
	if err != nil {
		w.fail("start", "%s cannot start: %v", s.name, err)
		return nil
	}
	core.Between = func() { synctest.Wait() }
	core.Panics = func(d *node.Delivery, v any, stack []byte) { w.fail("panic", "%s: %v\n%s", s.name, v, stack) }
	p.core = core
	p.publish()
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	s.procs, s.leftovers = append(s.procs, p), false
	if w.plan.Expires {
		go p.m.Expire(ctx)
	}
	w.stir(p)
	return p
}

// handler is the layer above, watched.
func (p *proc) handler(names map[identity.ID]string, in *receiver) node.Recoverer {
	if p.w.plan.Data == 0 {
		return watched{p.m, p}
	}
	p.openData(names)
	p.data.Receive(&in.Receiver, in)
	return watchedData{watched{p.data, p}, p.data}
}

// apart is from which size on a pack ends with what was offered together; bodies here are small.
const apart = 64 << 10

// remember is how long a callees' side knows what it executed; results are kept longer than any run lasts.
const remember = 200 * 24 * time.Hour

func (p *proc) linkConfig() link.Config {
	pl := &p.w.plan
	return link.Config{Caps: exchange.Caps(pl.Chunks), Heartbeat: pl.Heartbeat, WindowMessages: pl.Window, MaxRanges: pl.MaxRanges, MaxFiles: pl.MaxFiles, FrameBytes: pl.FrameBytes}
}

// crash ends the process as a power cut does: what was not committed is gone.
func (p *proc) crash() {
	w, s := p.w, p.site
	w.trace.say(w, "%s run %d ends", s.name, p.n)
	p.mu.Lock()
	p.dead = true
	p.queue = nil
	p.mu.Unlock()
	disk := p.folder.clone()
	p.db.Close()
	for i, q := range s.procs {
		if q == p {
			s.procs = append(s.procs[:i:i], s.procs[i+1:]...)
		}
	}
	for _, c := range w.calls {
		if c.proc == p {
			c.noteUnsaved(disk, false)
			c.letGo()
		}
	}
	for _, x := range w.sendings {
		if x.proc == p {
			x.letGo()
		}
	}
	p.stop()
	if p.data != nil {
		p.data.Close()
	}
	p.m.Close()
	synctest.Wait()
	s.disk = disk
	p.forget()
}

// forget lets go of what an ended process had in memory. Its calls know it for as long as the world goes on.
func (p *proc) forget() {
	p.w.mu.Lock()
	delete(p.w.stirred, p)
	p.w.mu.Unlock()
	*p = proc{w: p.w, site: p.site, n: p.n, dead: true}
}

// Do implements exchange.Loop.
func (p *proc) Do(fn func(*node.Step)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errDead
	}
	p.queue = append(p.queue, fn)
	p.w.poke()
	return nil
}

// Epoch implements exchange.Loop.
func (p *proc) Epoch(peer identity.ID) uint64 {
	if e := p.epochs[peer]; e != nil {
		return e.Load()
	}
	return 0
}

func (p *proc) publish() {
	for id, e := range p.epochs {
		l := p.core.Link(id)
		own, _ := l.Epoch()
		e.Store(own)
		caps := l.PeerCaps()
		p.caps[id].Store(&caps)
	}
}

// stir has the process looked at before time passes.
func (w *World) stir(p *proc) {
	w.mu.Lock()
	w.stirred[p] = true
	w.mu.Unlock()
}

// takeQueue gives what goroutines want done in the loop, and whether the process wants to be looked at.
func (p *proc) takeQueue() (q []func(*node.Step), stirred bool) {
	p.mu.Lock()
	q, p.queue = p.queue, nil
	p.mu.Unlock()
	p.w.mu.Lock()
	stirred = p.w.stirred[p]
	delete(p.w.stirred, p)
	p.w.mu.Unlock()
	return q, stirred
}

// pump does what the loop of a node does between two sleeps; it says whether there was anything to do.
func (p *proc) pump() bool {
	q, stirred := p.takeQueue()
	syncs := !p.dead && p.shelf != nil && p.shelf.work()
	if p.dead || len(q) == 0 && !stirred {
		return syncs
	}
	for _, fn := range q {
		p.core.Do(p.now(), fn)
		synctest.Wait()
	}
	p.turn()
	return true
}

// turn lets time pass for the core where it asked for it, and carries out what it wants.
func (p *proc) turn() {
	now := p.now()
	if at := p.core.Deadline(now); !at.IsZero() && !now.Before(at) {
		p.core.Tick(now)
		synctest.Wait()
	}
	e := p.core.Take(now)
	p.publish()
	p.carryOut(e)
	p.checkBounds()
	if at := p.core.Deadline(now); at.IsZero() {
		p.due = -1
	} else {
		p.due = p.w.now() + max(at.Sub(now), 0)
	}
}

// tick is called when the time has come that the core waited for.
func (p *proc) tick() {
	before := p.w.now()
	p.turn()
	if p.due != before {
		p.late = 0
		return
	}
	// The real loop would turn without rest; here time must pass for anything to happen.
	if p.late++; p.late > 1000 {
		p.w.fail("busy", "%s: the core wants to be woken at a time that has passed, again and again", p.site.name)
	}
	p.due += 10 * time.Microsecond
}
