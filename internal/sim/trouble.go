package sim

import (
	"testing/synctest"
	"time"
)

// troubles plans what happens to machines, clocks, disks and the mover.
func (w *World) troubles() {
	pl := &w.plan
	span := max(pl.Gap*time.Duration(pl.Calls), pl.MinTrouble)
	some := func(n int, fn func()) {
		for range n {
			w.after(w.between(span/20, span), func() {
				if !w.healthy {
					fn()
				}
			})
		}
	}
	some(pl.Lose, func() { w.anySite().lose() })
	some(pl.Rollback, func() {
		s := w.anySite()
		s.keepCopy()
		w.after(w.between(0, span/4), func() {
			if !w.healthy {
				s.restore()
			}
		})
	})
	some(pl.Clone, func() { w.anySite().double(w.between(0, span/4)) })
	some(pl.Jumps, func() { w.anySite().jump(w.between(-pl.JumpMost, pl.JumpMost)) })
	some(pl.Evict, func() {
		if p := w.anySite().main(); p != nil && p.shelf != nil {
			p.shelf.evict()
		}
	})
	for range pl.Stops {
		w.after(time.Duration(w.stopDice.Int64N(int64(span))), func() {
			if !w.healthy {
				w.sites[w.stopDice.IntN(len(w.sites))].restart()
			}
		})
	}
	some(pl.DiskFull, func() { w.anySite().fill(w.between(0, max(span/10, 20*time.Second))) })
	w.again(pl.CrashEvery, func() {
		s := w.anySite()
		if p := s.main(); p != nil {
			w.struck(FaultPower)
			p.powerCut()
		}
	})
	w.again(pl.Replay, w.mover.replay)
	w.again(pl.Stop, func() { w.mover.stop(w.between(0, pl.StopFor)) })
}

// again has something happen again and again, at random, while there are faults.
func (w *World) again(mean time.Duration, fn func()) {
	if mean <= 0 {
		return
	}
	w.after(time.Duration(w.rnd.ExpFloat64()*float64(mean)), func() {
		if w.healthy {
			return
		}
		fn()
		w.again(mean, fn)
	})
}

func (w *World) anySite() *site { return w.sites[w.rnd.IntN(len(w.sites))] }

// mostCuts ends the failures of the power at durable steps. Each start takes such steps towards all other sites: where
// there are many, one failure causes more than one, and the world would hardly come to its end.
const mostCuts = 2000

// crashNow lets the power fail at a durable step, or not.
func (w *World) crashNow(p *proc) bool {
	if w.healthy || p.dead || !w.chance(w.plan.Crash) || w.report.Crashes > mostCuts {
		return p.dead
	}
	w.struck(FaultMidStep)
	p.powerCut()
	return true
}

// powerCut ends a process; its site starts again after a while. Of two processes on one state the other goes on.
func (p *proc) powerCut() {
	w, s := p.w, p.site
	p.crash()
	if len(s.procs) > 0 {
		s.answersGo()
		s.disk = s.procs[0].folder
		s.history.cloned++ // what this one did is gone
		s.leftovers = true
		return
	}
	w.after(w.between(time.Millisecond, w.plan.DownFor), func() {
		if len(s.procs) == 0 && !s.down {
			s.boot()
		}
	})
}

// stopAll ends every process of a site.
func (s *site) stopAll() {
	for len(s.procs) > 0 {
		s.procs[len(s.procs)-1].crash()
	}
}

// lose has the state folder deleted; with the plan's will the clock is wrong as well when the site starts anew.
func (s *site) lose() {
	w := s.w
	w.trace.say(w, "%s loses its state", s.name)
	w.report.Disasters++
	s.stopAll()
	s.answersGo()
	s.history.lost++
	w.struck(FaultStateLost)
	s.disk, s.copy = newFolder(), nil
	if w.plan.LoseClock {
		w.struck(FaultClockLost)
		s.clock.off += w.between(-w.plan.JumpMost-time.Hour, 0)
	}
	s.boot()
}

// answersGo notes which answers of this site may be in a caller's site's memory alone once this one's state goes: a full
// disk there does not take them.
func (s *site) answersGo() {
	for _, c := range s.w.calls {
		if p := c.site.main(); c.peer == s && p != nil {
			c.noteUnsaved(p.folder, true)
		}
	}
}

// keepCopy copies the state folder while the process runs.
func (s *site) keepCopy() {
	from := s.disk
	if p := s.main(); p != nil {
		from = p.folder
	}
	s.copy = from.clone()
}

// restore puts the older copy in the place of the state.
func (s *site) restore() {
	if s.copy == nil {
		return
	}
	w := s.w
	w.trace.say(w, "%s is restored from an older copy", s.name)
	w.report.Disasters++
	s.stopAll()
	s.answersGo()
	s.history.restored++
	w.struck(FaultRestored)
	s.disk, s.copy = s.copy, nil
	s.doubt()
	s.boot()
}

// double starts a second process on a copy of the state; after a while one of the two is stopped for good.
func (s *site) double(d time.Duration) {
	w := s.w
	p := s.main()
	if p == nil || len(s.procs) > 1 || p.halting {
		return
	}
	w.trace.say(w, "%s runs twice", s.name)
	w.report.Disasters++
	s.history.cloned++
	w.struck(FaultDoubled)
	disk := p.folder.clone()
	s.doubt()
	s.start(disk)
	s.scanSoon(0)
	w.after(d, func() { s.single() })
}

// single stops one of two processes and starts the other anew, as an operator does who finds them.
func (s *site) single() {
	if len(s.procs) < 2 {
		return
	}
	w := s.w
	w.trace.say(w, "%s runs once again", s.name)
	keep := w.rnd.IntN(len(s.procs))
	kept := s.procs[keep]
	for len(s.procs) > 1 {
		if s.procs[0] != kept {
			s.procs[0].crash()
		} else {
			s.procs[1].crash()
		}
	}
	s.answersGo()
	s.history.cloned++ // what the other one did is gone from here on
	s.disk = kept.folder
	kept.crash()
	s.doubt()
	s.boot()
}

// jump sets the clock of a running machine.
func (s *site) jump(d time.Duration) {
	s.w.trace.say(s.w, "the clock of %s jumps by %v", s.name, d)
	if len(s.procs) > 0 {
		s.w.struck(FaultJump)
	}
	s.clock.off += d
	s.clock.set++
}

// fill has the disk be full for a while.
func (s *site) fill(d time.Duration) {
	w := s.w
	w.trace.say(w, "the disk of %s is full", s.name)
	s.full = true
	w.after(d, func() { s.full = false })
}

// heal ends all faults: machines run, one process each, disks have room, the mover works.
func (w *World) heal() {
	w.trace.say(w, "everything is repaired")
	w.healthy = true
	for _, s := range w.sites {
		s.full = false
		s.single()
		if p := s.main(); p != nil && p.halting {
			p.crash()
		}
		if len(s.procs) == 0 {
			s.boot()
		}
	}
	synctest.Wait()
}
