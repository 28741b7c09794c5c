package sim

import (
	"context"
	"testing/synctest"
	"time"
)

const (
	// drainFor and stopGrace are what pkg/site and pkg/node give a site that is stopped in order: for calls and callers, and
	// for commits and files.
	drainFor  = 5 * time.Second
	stopGrace = 5 * time.Second
	// haltLook is how often it is looked whether the next step can be taken.
	haltLook = 20 * time.Millisecond
)

// serving gives the process that takes calls of callers, nil if none does: one that stops takes no more.
func (s *site) serving() *proc {
	if p := s.main(); p != nil && !p.halting {
		return p
	}
	return nil
}

// restart stops the site's process in order, as an operator does for a new version. It starts again after a while.
func (s *site) restart() {
	p := s.serving()
	if p == nil || len(s.procs) > 1 {
		return
	}
	s.w.trace.say(s.w, "%s is stopped in order", s.name)
	p.mu.Lock()
	p.halting = true
	p.mu.Unlock()
	if p.data != nil {
		p.data.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	stop := p.stop
	p.stop = func() { stop(); cancel() }
	drained := make(chan struct{})
	go func() {
		p.m.Drain(ctx)
		close(drained)
		s.w.poke()
	}()
	synctest.Wait()
	p.hold(drainFor, func() bool {
		select {
		case <-drained:
			return !p.calledUpon()
		default:
			return false
		}
	}, p.part)
}

// hold waits until something is so, but no longer than most, and then goes on, unless the process has ended meanwhile.
func (p *proc) hold(most time.Duration, is func() bool, then func()) {
	end := p.w.now() + most
	var look func()
	look = func() {
		switch {
		case p.dead:
		case is() || p.w.now() >= end:
			then()
		default:
			p.w.after(haltLook, look)
		}
	}
	p.w.after(haltLook, look)
}

// calledUpon says whether a caller still waits for this process.
func (p *proc) calledUpon() bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	for _, c := range p.w.calls {
		if c.proc == p && c.held {
			return true
		}
	}
	return false
}

// part ends the callers' connections, and then the calls that are under way: they are taken up at the next start.
func (p *proc) part() {
	for _, c := range p.w.calls {
		if c.proc == p {
			c.letGo()
			synctest.Wait()
		}
	}
	for _, x := range p.w.sendings {
		if x.proc == p {
			x.letGo()
			synctest.Wait()
		}
	}
	p.w.after(time.Millisecond, func() {
		if p.dead {
			return
		}
		p.m.Close()
		p.stop()
		synctest.Wait()
		p.hold(stopGrace, p.flushed, p.exit)
	})
}

// flushed has everything committed, and says whether nothing is left to be.
func (p *proc) flushed() bool {
	p.core.Flush()
	p.w.stir(p)
	return p.core.Quiet() || !p.core.StoreFailing().IsZero()
}

// exit ends the process.
func (p *proc) exit() {
	w, s := p.w, p.site
	w.report.Stops++
	p.crash() // what is not committed now was never promised
	w.after(w.between(time.Millisecond, max(w.plan.DownFor, time.Second)), func() {
		if len(s.procs) == 0 && !s.down {
			s.boot()
		}
	})
}
