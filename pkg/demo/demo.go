// Package demo runs two whole sites on this machine with a faulty file mover between them, makes calls and checks every answer.
package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/site"
)

// Options says what is run. Calls and Concurrency must be positive.
type Options struct {
	Calls       int
	Concurrency int
	Faults      Faults
	Seed        uint64
	Once        bool   // end after the totals
	Dir         string // "": a temporary folder
	Keep        bool   // leave the folder; a named one is always left
	Listen      string // of the ingress
	LogLevel    zerolog.Level
}

// many is how many calls are too many to show each.
const many = 300

// demo is a run.
type demo struct {
	o       Options
	place   Place
	callee  *callee
	a, b    *end
	movers  []*carrier
	running sync.WaitGroup
	failed  chan error
	samples samples

	mu    sync.Mutex // one event at a time
	show  Show
	begun time.Time
	tally tally
}

// end is one running site.
type end struct {
	site *site.Site
	peer identity.ID
	log  *os.File
	last link.Stats
}

// Run makes the calls and, unless o.Once, stays up until ctx ends. The error is ctx's if that ended before all
// calls did. Totals are nil only when nothing was begun.
func Run(ctx context.Context, o Options, show Show) (*Totals, error) {
	d := &demo{o: o, show: show, failed: make(chan error, 4)}
	dir, err := newPlace(o.Dir)
	if err != nil {
		return nil, err
	}
	if !o.Keep && o.Dir == "" {
		defer os.RemoveAll(dir)
	}
	d.place = Place{Dir: dir, Samples: filepath.Join(dir, "samples"), Faults: o.Faults, Seed: o.Seed, Calls: o.Calls, Many: o.Calls > many}
	if err := os.Mkdir(d.place.Samples, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for samples: %w", err)
	}
	d.samples = samples{dir: d.place.Samples}
	if d.callee, err = newCallee(d.served); err != nil {
		return nil, err
	}
	defer d.callee.close()

	// What runs below ends by itself after the sites: an interrupt ends the callers first.
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer d.running.Wait()
	defer stop()
	sites, stopSites := context.WithCancel(runCtx)
	defer stopSites()
	ended, err := d.start(ctx, sites, runCtx)
	if err != nil {
		stopSites()
		ended.Wait()
		d.closeLogs()
		return nil, err
	}
	t, err := d.play(ctx)
	stopSites()
	ended.Wait()
	d.closeLogs()
	return t, err
}

// start brings up sites and movers. The wait group counts the sites.
func (d *demo) start(ctx, sites, movers context.Context) (*sync.WaitGroup, error) {
	ended := new(sync.WaitGroup)
	sa, sb, err := setUp(d.place.Dir, d.o.Listen, d.callee.url(), d.o.Concurrency)
	if err != nil {
		return ended, err
	}
	if d.b, err = d.open(sb, site.Roles{Egress: true}); err != nil {
		return ended, err
	}
	d.serve(sites, ended, d.b)
	if d.a, err = d.open(sa, site.Roles{Ingress: true}); err != nil {
		return ended, err
	}
	d.serve(sites, ended, d.a)
	d.a.peer, d.b.peer = d.b.site.ID(), d.a.site.ID()
	d.place.ConfigA, d.place.ConfigB = sa.file, sb.file
	d.place.Ingress, d.place.Callee = "http://"+d.a.site.Addr().String(), d.callee.url()
	for _, e := range []*end{d.a, d.b} {
		select {
		case <-e.site.Ready():
		case err := <-d.failed:
			return ended, err
		case <-ctx.Done():
			return ended, ctx.Err()
		}
	}
	d.begun = time.Now()
	d.show.Begin(d.place)
	for _, way := range []struct {
		from, to *end
		out, in  string
		seed     uint64
	}{{d.a, d.b, sa.cfg.Pipe.Outbox, sb.cfg.Pipe.Inbox, d.o.Seed}, {d.b, d.a, sb.cfg.Pipe.Outbox, sa.cfg.Pipe.Inbox, ^d.o.Seed}} {
		c, err := d.newCarrier(way.from, way.to, d.o.Faults.mover(way.out, way.in, way.seed))
		if err != nil {
			return ended, err
		}
		d.movers = append(d.movers, c)
		d.running.Go(func() {
			if err := c.mover.Run(movers); err != nil {
				d.fail(err)
			}
		})
	}
	return ended, nil
}

// open opens a site with its log in a file.
func (d *demo) open(s siteSetup, roles site.Roles) (*end, error) {
	f, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", s.cfg.Name, err)
	}
	log := zerolog.New(f).Level(d.o.LogLevel).With().Timestamp().Logger()
	opened, err := site.Open(s.cfg, roles, log)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", s.cfg.Name, err)
	}
	return &end{site: opened, log: f}, nil
}

func (d *demo) serve(ctx context.Context, ended *sync.WaitGroup, e *end) {
	ended.Go(func() {
		if err := e.site.Run(ctx); err != nil {
			d.fail(fmt.Errorf("%s: %w", e.site.Name(), err))
		}
	})
}

func (d *demo) fail(err error) {
	select {
	case d.failed <- err:
	default:
	}
}

func (d *demo) closeLogs() {
	for _, e := range []*end{d.a, d.b} {
		if e != nil {
			e.log.Close()
		}
	}
}

// play makes the calls, tells the totals and stays up.
func (d *demo) play(ctx context.Context) (*Totals, error) {
	watched, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	d.running.Go(func() { d.watch(watched) })

	calls, stopCalls := context.WithCancelCause(ctx)
	defer stopCalls(nil)
	go func() {
		select {
		case err := <-d.failed:
			stopCalls(err)
		case <-calls.Done():
		}
	}()
	d.ask(calls)
	took := time.Since(d.begun)
	d.quiet(calls)
	t := d.totals(took)
	err := why(ctx, calls)
	d.mu.Lock()
	d.show.Totals(t)
	d.mu.Unlock()
	if err != nil || d.o.Once {
		return t, err
	}
	d.mu.Lock()
	d.show.Idle(d.place)
	d.mu.Unlock()
	<-calls.Done()
	if ctx.Err() != nil {
		return t, nil // what was to be done is done
	}
	return t, context.Cause(calls)
}

// why says what ended the calls before their time: an interrupt, or a part that failed; nil if nothing did.
func why(ctx, calls context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return context.Cause(calls)
}

// event passes an event on, in order.
func (d *demo) event(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.At = time.Since(d.begun)
	if e.Call != nil && e.Call.Ended {
		d.tally.add(e.Call)
	}
	d.show.Event(e)
}

func (d *demo) served(method, path string, status int) {
	d.event(Event{Served: &ServedEvent{Method: method, Path: path, Status: status}})
}

// totals adds everything up.
func (d *demo) totals(took time.Duration) *Totals {
	d.mu.Lock()
	t := d.tally.totals
	t.RoundTrip = roundTrips(d.tally.trips)
	d.mu.Unlock()
	t.Schema, t.Calls, t.Concurrency, t.Faults, t.Seed = schema, d.o.Calls, d.o.Concurrency, d.o.Faults.String(), d.o.Seed
	t.Seconds = float64(took.Milliseconds()) / 1000
	t.Executions, t.ExecutedTwice = d.callee.executions()
	for _, c := range d.movers {
		t.Files.add(c.mover.Counters())
	}
	for _, e := range []*end{d.a, d.b} {
		s, held, _ := e.look()
		t.addLink(s)
		t.Open += held
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.MemoryBytes = m.Sys
	return &t
}

// look reads a site's link; ok is false when the site has ended or does not answer.
func (e *end) look() (s link.Stats, held int64, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), lookWait)
	defer cancel()
	type seen struct {
		stats link.Stats
		held  int64
	}
	got := make(chan seen, 1)
	err := e.site.Node().View(ctx, func(c *node.Core, _ time.Time) {
		l := c.Link(e.peer)
		held, _ := l.Held()
		got <- seen{l.Stats(), held}
	})
	if err != nil {
		return s, 0, false
	}
	v := <-got
	return v.stats, v.held, true
}

const (
	// lookWait bounds one look at a site.
	lookWait = 10 * time.Second
	// quietWait bounds the wait for the last acknowledgements.
	quietWait = 30 * time.Second
	// watchEvery is how often resends are looked for.
	watchEvery = 40 * time.Millisecond
)

// quiet waits until neither site holds a message that the other has not acknowledged: a repeat that comes late
// is to be counted too.
func (d *demo) quiet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, quietWait)
	defer cancel()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		_, heldA, okA := d.a.look()
		_, heldB, okB := d.b.look()
		if okA && okB && heldA+heldB == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// watch tells of resends while ctx lasts.
func (d *demo) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, e := range []*end{d.a, d.b} {
			s, _, ok := e.look()
			if !ok {
				continue
			}
			was := e.last
			e.last = s
			if s.Resent > was.Resent {
				d.event(Event{Link: &LinkEvent{Site: e.site.Name(), Messages: s.Resent - was.Resent, Lost: s.FilesLost - was.FilesLost,
					Cut: s.FilesCut - was.FilesCut, Timeouts: s.Timeouts - was.Timeouts}})
			}
		}
	}
}
