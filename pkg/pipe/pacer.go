package pipe

import (
	"context"
	"sync"
	"time"
)

// pacer decides when the next scan is due and says so on hints: at once when poked, else at the end of an
// interval that shrinks to lo when there is traffic and grows to hi while there is none.
type pacer struct {
	hints  chan struct{}
	kick   chan struct{} // the due time moved forward
	lo, hi time.Duration

	mu       sync.Mutex
	interval time.Duration
	earliest time.Time // no hint before it: dear scans are spaced out
	early    bool      // the interval ends at earliest
}

func newPacer(lo, hi time.Duration) *pacer {
	return &pacer{hints: make(chan struct{}, 1), kick: make(chan struct{}, 1), lo: lo, hi: hi, interval: lo}
}

func (p *pacer) hint() { signal(p.hints) }

// signal sends without blocking; one waiting signal is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// poke asks for a scan now: something is known to have happened.
func (p *pacer) poke() {
	p.mu.Lock()
	wait := time.Now().Before(p.earliest)
	p.early = p.early || wait
	p.mu.Unlock()
	if wait {
		signal(p.kick)
		return
	}
	p.hint()
}

// soon ends the interval under way, so that run calls each and hints.
func (p *pacer) soon() {
	p.mu.Lock()
	p.early = true
	p.mu.Unlock()
	signal(p.kick)
}

// busy shortens the interval: there is traffic, or an answer may come soon.
func (p *pacer) busy() {
	p.mu.Lock()
	longer := p.interval > p.lo
	p.interval = p.lo
	p.mu.Unlock()
	if longer {
		signal(p.kick)
	}
}

// dearScan is the cost from which scans are spaced out, to a fifth of the time at most.
const dearScan = 2 * time.Millisecond

// scanned tells what a scan found and cost.
func (p *pacer) scanned(found, more bool, cost time.Duration) {
	p.mu.Lock()
	if cost >= dearScan {
		p.earliest = time.Now().Add(min(4*cost, p.hi))
	}
	p.mu.Unlock()
	if found {
		p.busy()
	}
	if more {
		p.hint() // a backlog is worth its scans
	}
}

// due says how long to wait from now until the next hint, given the start of the interval.
func (p *pacer) due(start time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := start.Add(p.interval)
	if p.early || at.Before(p.earliest) {
		at = p.earliest
	}
	return time.Until(at)
}

// elapsed closes an interval: the next is longer by half unless traffic shortens it.
func (p *pacer) elapsed() {
	p.mu.Lock()
	p.interval = min(p.interval*3/2, p.hi)
	p.early = false
	p.mu.Unlock()
}

func (p *pacer) current() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.interval
}

// run sends hints until ctx ends and calls each before every polled one.
func (p *pacer) run(ctx context.Context, each func()) {
	start := time.Now()
	timer := time.NewTimer(p.due(start))
	defer timer.Stop()
	p.hint()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		case <-timer.C:
			p.elapsed()
			each()
			p.hint()
			start = time.Now()
		}
		timer.Reset(p.due(start))
	}
}
