// Package sim runs whole sites on a simulated clock and holds them to what hoft promises.
//
// A World has two to eight sites: the core of a node, its exchanges, a store and a pipe in memory. Between their
// folders stands a mover that loses, cuts, repeats, delays, reorders, damages and brings back files; machines lose
// power between any two durable steps, disks fill up, clocks jump, state folders are lost, restored from an old copy
// or run twice. Every choice comes from one seed, so a run can be repeated to the last event: Run with the same Plan
// gives the same Report.Hash. The structure is that of the simulators of FoundationDB and TigerBeetle.
//
// What must hold is checked at every step (check_*.go) and at the end: when the faults stop, everything that was
// accepted ends within bounded time, and then there is silence. The first Violation ends a run.
//
// Real are: node.Core, node.Reader, exchange.Manager, link, frame, pipe.Mem, store.Mem, and the seal in some runs.
// The rest of a site, what goroutines of node.Node do between them, is played by the World: files are sealed and put,
// batches are committed, each a moment after it was asked for. Goroutines of exchange.Manager run in a bubble of
// testing/synctest, one at a time: whoever wakes one lets it come to rest before the next thing happens.
package sim

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Violation says what did not hold.
type Violation struct {
	Invariant string // a short name, see docs/reliability.md
	Detail    string
}

// Report is what a run gave.
type Report struct {
	Plan       Plan
	Hash       uint64 // of everything that happened
	Deliveries int    // files that the mover laid into an inbox while there were faults
	Faulted    int    // of them, those that it had done something to
	Lost       int    // files that it never delivered
	Files      int    // files that the sites wrote
	Packs      int    // of them, packs of chunks
	Shared     int    // of them, those with chunks of several bodies
	Linked     int    // times that a pack entered or left the pipe by its name, or as a clone
	Reads      int    // of stored data, at another site
	Brought    int    // of them, those that got it while they waited
	Taken      int    // times that another site took stored data that was sent to it, while somebody waited
	Calls      int    // calls that callers made
	Accepted   int
	Ended      map[string]int // accepted calls by what became of them
	Faults     map[Fault]int  // how often each struck
	Kinds      map[string]int // worlds by what they are of
	Crashes    int
	Stops      int    // of sites, in order
	Disasters  int    // state lost, set back or doubled
	Sent       uint64 // messages written where nothing was disturbed, once round trips were known
	Again      uint64 // of them, those that were written again
	Simulated  time.Duration
	Violation  *Violation // nil: everything held
	Log        []string   // the last events, with Plan.Verbose
}

// World is one run.
type World struct {
	plan   Plan
	rnd    *rand.Rand
	start  time.Time
	wake   chan struct{} // a goroutine left something to do
	queue  agenda
	sites  []*site
	mover  *mover
	calls  []*call
	stored []*stored

	sendings []*sending
	dataDice *rand.Rand // of what is sent
	stopDice *rand.Rand // of sites that are stopped in order

	healthy bool // faults have ended
	lookAt  time.Duration
	trace   trace
	book    book
	report  Report

	mu       sync.Mutex // what goroutines of callers and callees leave
	broken   *Violation
	returned []*call
	stirred  map[*proc]bool
}

// Run plays one plan through, in a bubble of its own.
func Run(t *testing.T, plan Plan) (r Report) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(plan)
		w.run()
		r = w.finish()
	})
	return r
}

func newWorld(plan Plan) *World {
	w := &World{plan: plan, rnd: rand.New(rand.NewPCG(plan.Seed, 0x686f6674)), start: time.Now(), wake: make(chan struct{}, 1),
		stirred: map[*proc]bool{}}
	w.trace.verbose = plan.Verbose
	w.book = newBook()
	w.report = Report{Plan: plan, Ended: map[string]int{}, Faults: map[Fault]int{}, Kinds: map[string]int{}}
	for _, k := range plan.kinds() {
		w.report.Kinds[k] = 1
	}
	w.dataDice = newDataDice(plan.Seed)
	w.stopDice = rand.New(rand.NewPCG(plan.Seed, 0x73746f70))
	w.mover = newMover(w)
	for i := range plan.Sites {
		w.sites = append(w.sites, w.newSite(i))
	}
	w.layFolders()
	w.giveKeys()
	w.givePast()
	return w
}

// run goes through the phases: trouble, healing, silence.
func (w *World) run() {
	for _, s := range w.sites {
		s.boot()
	}
	w.workload()
	w.troubles()
	w.transfers()
	w.sends()
	w.until("trouble", w.plan.Trouble, func() bool { return w.issued() && w.now() >= w.plan.MinTrouble })
	if w.ok() {
		w.heal()
		w.until("healing", w.patience(), w.done)
		w.checkEnded()
	}
	if w.ok() {
		w.checkSilence()
	}
	if w.ok() {
		w.checkShelves()
		w.checkFetches()
		w.checkStored()
		w.checkAnswers()
	}
}

// finish ends every goroutine and sums up.
func (w *World) finish() Report {
	for _, s := range w.sites {
		for len(s.procs) > 0 {
			s.procs[0].crash()
		}
	}
	for _, c := range w.calls {
		c.letGo()
	}
	for _, s := range w.sendings {
		s.letGo()
	}
	synctest.Wait()
	w.tally()
	w.report.Hash, w.report.Simulated, w.report.Log = w.trace.sum(), w.now(), w.trace.lines
	w.report.Violation = w.violation()
	return w.report
}

// now is the time since the world began.
func (w *World) now() time.Duration { return time.Since(w.start) }

// fail notes the first violation; the run ends after the present event. Safe for concurrent use.
func (w *World) fail(invariant, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = &Violation{invariant, fmt.Sprintf(format, args...)}
	}
}

func (w *World) violation() *Violation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

func (w *World) ok() bool { return w.violation() == nil }

// until lets the world go on until done, at most for a while; a violation ends it early.
func (w *World) until(phase string, most time.Duration, done func() bool) {
	w.trace.say(w, "phase %s, at most %v", phase, most)
	end := w.now() + most
	for w.ok() && !done() && w.now() < end {
		if !w.step(end) {
			return
		}
	}
}

// step moves the clock to the next event, at most to end, and lets it happen. False: nothing is left to happen.
func (w *World) step(end time.Duration) bool {
	w.rest()
	next, what := w.next()
	if what == nil {
		return false
	}
	if next > end {
		next, what = end, nil
	}
	if !w.sleep(next) || what == nil {
		return true // a goroutine came first
	}
	what()
	w.rest()
	return true
}

// next gives the earliest of what is planned and of what the sites wait for.
func (w *World) next() (at time.Duration, what func()) {
	at = -1
	if len(w.queue.events) > 0 {
		at, what = w.queue.events[0].at, w.queue.pop
	}
	for _, s := range w.sites {
		for _, p := range s.procs {
			if p.due >= 0 && (at < 0 || p.due < at) {
				at, what = p.due, p.tick
			}
		}
	}
	return at, what
}

// sleep lets time pass; false says that a goroutine has left something to do before that.
func (w *World) sleep(until time.Duration) bool {
	d := until - w.now()
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.wake:
		synctest.Wait()
		return false
	}
}

// poke has the world look at what a goroutine left. Safe for concurrent use.
func (w *World) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// rest works off what goroutines left until all of them sleep.
func (w *World) rest() {
	for range 10_000 {
		synctest.Wait()
		w.goOn()
		did := false
		for _, s := range w.sites {
			for i := 0; i < len(s.procs); i++ {
				did = s.procs[i].pump() || did
			}
		}
		if !did || !w.ok() {
			return
		}
	}
	w.fail("busy", "no end of work without time passing")
}

// after plans something; what happens at one moment happens in the order of planning.
func (w *World) after(d time.Duration, fn func()) { w.queue.add(w.now()+max(d, 0), fn) }

// chance is true with probability p.
func (w *World) chance(p float64) bool { return p > 0 && w.rnd.Float64() < p }

// between gives a duration from lo to hi, evenly.
func (w *World) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(w.rnd.Int64N(int64(hi-lo)+1))
}
