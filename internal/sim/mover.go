package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// mover carries files between the folders, with every fault of the plan.
type mover struct {
	w       *World
	highest map[direction]uint64 // number of a file that was laid
	known   map[frame.Name]bool  // names that were carried; it never carries them again
	onWay   map[frame.Name]bool  // files that were picked up, or will be, before the repair
	old     []carried            // files of all times, to come again
	stopped time.Duration        // stands still until then
	flying  int                  // files and pieces on their way since before the repair
}

// carried is a file on its way, or as it was.
type carried struct {
	name frame.Name
	data []byte
}

// keptOld is how many files are kept to be replayed.
const keptOld = 300

func newMover(w *World) *mover {
	return &mover{w: w, highest: map[direction]uint64{}, known: map[frame.Name]bool{}, onWay: map[frame.Name]bool{}}
}

// path gives the place of a file in a folder, as pipe.Mem lays it.
func path(n frame.Name) string { return n.Recipient.String() + "/" + n.String() }

// appeared is told of every file that a site put.
func (m *mover) appeared(s *site, n frame.Name, data []byte) {
	w := m.w
	m.remember(carried{n, data})
	if w.plan.Mover == OneFolder {
		m.inPlace(carried{n, data})
		return
	}
	if m.known[n] {
		return // movers skip names they know
	}
	m.known[n] = true
	m.sent(n)
	// A part of the delay is the pause between two looks, the rest the way.
	d := m.delay()
	look := time.Duration(w.rnd.Int64N(int64(d) + 1))
	w.after(look, func() { m.take(s, n, d-look) })
}

// delay draws how long a file takes.
func (m *mover) delay() time.Duration {
	w := m.w
	d, most := time.Duration(0), w.plan.DelayMax
	if !w.healthy && w.chance(w.plan.Tail) {
		most = max(w.plan.Delay, w.plan.TailMax)
	}
	if d = w.between(w.plan.Delay, most); d >= 24*time.Hour && !w.healthy {
		w.struck(FaultDayLate)
	}
	return d
}

// later plans something that comes into an inbox.
func (m *mover) later(d time.Duration, fn func()) {
	if m.w.healthy {
		m.w.after(d, fn)
		return
	}
	m.flying++
	m.w.after(d, func() { m.flying--; fn() })
}

// sent and came count what is on its way since before the repair.
func (m *mover) sent(n frame.Name) {
	if !m.w.healthy {
		m.flying++
		m.onWay[n] = true
	}
}

func (m *mover) came(n frame.Name) {
	if m.onWay[n] {
		m.flying--
		delete(m.onWay, n)
	}
}

// stop has the mover stand still for a while.
func (m *mover) stop(d time.Duration) {
	if d >= time.Hour {
		m.w.struck(FaultStopped)
	}
	m.stopped = max(m.stopped, m.w.now()+d)
}

// take has the mover pick a file up, if it is still there.
func (m *mover) take(s *site, n frame.Name, way time.Duration) {
	w := m.w
	if wait := m.stopped - w.now(); wait > 0 && !w.healthy {
		w.after(wait+w.between(0, w.plan.DelayMax), func() { m.take(s, n, way) })
		return
	}
	data, ok := s.out.ReadFile(path(n))
	if !ok {
		m.came(n)
		return
	}
	if n.Ext == frame.ExtPack && !w.healthy && !w.plan.Private && w.chance(w.plan.Cut/2) { // cut where it lies
		data = m.cut(data)
		s.out.Truncate(path(n), len(data))
	}
	if w.plan.Mover == Moves {
		s.out.Remove(path(n))
	}
	f := carried{n, data}
	w.after(way, func() { m.arrive(f) })
}

// arrive lays a file into its inbox, or what the faults leave of it.
func (m *mover) arrive(f carried) {
	w := m.w
	m.came(f.name)
	if w.healthy {
		m.lay(f, f.data, false)
		return
	}
	pl := &w.plan
	switch {
	case w.chance(pl.Drop) || m.holdsBack(f):
		w.report.Lost++
		w.struck(FaultLost)
		w.trace.note(w, 'L', f.name.Seq)
		return
	case w.chance(pl.Cut):
		m.lay(f, m.cut(f.data), true)
	case w.chance(pl.Flip):
		m.lay(f, m.flip(f.data), true)
	case w.chance(pl.Partial):
		m.inPieces(f)
	default:
		m.lay(f, f.data, false)
	}
	if w.chance(pl.Dup) {
		w.struck(FaultRepeated)
		m.later(m.delay(), func() { m.lay(f, f.data, true) })
	}
	if w.chance(pl.Reappear) {
		w.struck(FaultBack)
		again := f.data
		if w.chance(0.3) {
			again = m.cut(f.data)
		}
		m.later(m.delay()+w.between(0, 20*time.Second), func() { m.lay(f, again, true) })
	}
}

// lay writes a file into the inbox of its recipient.
func (m *mover) lay(f carried, data []byte, faulted bool) {
	w := m.w
	to := w.byID(f.name.Recipient)
	if to == nil {
		return
	}
	if !w.healthy {
		w.report.Deliveries++
		if faulted {
			w.report.Faulted++
		}
		if d := (direction{f.name.Sender, f.name.Recipient}); f.name.Seq < m.highest[d] && !faulted {
			w.struck(FaultOvertaken)
		} else {
			m.highest[d] = max(m.highest[d], f.name.Seq)
		}
	}
	w.trace.note(w, 'D', uint64(to.n), f.name.Seq, uint64(len(data)))
	if w.trace.verbose {
		w.trace.tell(w, fmt.Sprintf("%s <- %d, %d of %d bytes", to.name, f.name.Seq, len(data), len(f.data)))
	}
	to.in.WriteFile(path(f.name), data)
	to.scanSoon(w.between(time.Millisecond, m.poll()))
}

// poll is how long a site may take to look into its inbox.
func (m *mover) poll() time.Duration {
	return min(time.Second, max(m.w.plan.Delay, 5*time.Millisecond))
}

// inPieces shows a file half-written before it is whole.
func (m *mover) inPieces(f carried) {
	w := m.w
	w.struck(FaultHalf)
	d := time.Duration(0)
	for range 1 + w.rnd.IntN(3) {
		part := f.data[:w.rnd.IntN(len(f.data)+1)]
		m.later(d, func() { m.lay(f, part, true) })
		d += w.between(0, 8*time.Second)
	}
	m.later(d, func() { m.lay(f, f.data, false) })
}

// inPlace does to a file in the one folder what a mover would do to it on its way.
func (m *mover) inPlace(f carried) {
	w := m.w
	in := w.byID(f.name.Recipient).in
	there := func() bool { _, ok := in.ReadFile(path(f.name)); return ok }
	pl := &w.plan
	if w.healthy {
		m.lay(f, f.data, false)
		return
	}
	switch {
	case w.chance(pl.Drop) || m.holdsBack(f):
		w.report.Lost++
		w.struck(FaultLost)
		in.Remove(path(f.name))
		return
	case w.chance(pl.Cut):
		m.lay(f, m.cut(f.data), true)
	case w.chance(pl.Flip):
		m.lay(f, m.flip(f.data), true)
	case w.chance(pl.Partial):
		w.struck(FaultHalf)
		m.lay(f, f.data[:w.rnd.IntN(len(f.data)+1)], true)
		m.later(m.delay(), func() {
			if there() {
				m.lay(f, f.data, false)
			}
		})
	default:
		// Shown after a while: a share may take its time.
		in.Remove(path(f.name))
		m.later(m.delay(), func() { m.lay(f, f.data, false) })
	}
	if w.chance(pl.Reappear) {
		w.struck(FaultBack)
		m.later(m.delay()+w.between(0, 20*time.Second), func() { m.lay(f, f.data, true) })
	}
}

// vanished is told of every file that its sender removed.
func (m *mover) vanished(_ *site, n frame.Name) {
	w := m.w
	if w.plan.Mover != Mirrors {
		return
	}
	w.after(m.delay(), func() {
		if to := w.byID(n.Recipient); to != nil {
			to.in.Remove(path(n))
		}
	})
}

// remember keeps a file for a replay; old ones stay as likely as new ones.
func (m *mover) remember(f carried) {
	if len(m.old) < keptOld {
		m.old = append(m.old, f)
		return
	}
	if i := m.w.rnd.IntN(2 * keptOld); i < keptOld {
		m.old[i] = f
	}
}

// replay has some old file come again, whole or not.
func (m *mover) replay() {
	w := m.w
	if len(m.old) == 0 || w.healthy {
		return
	}
	f := m.old[w.rnd.IntN(len(m.old))]
	if m.holdsBack(f) {
		return
	}
	data := f.data
	if w.chance(0.3) {
		data = m.cut(data)
	}
	w.struck(FaultReplayed)
	m.lay(f, data, true)
}

// holdsBack says whether a file carries the message that must not come.
func (m *mover) holdsBack(f carried) bool {
	id := m.w.plan.HoldBack
	return id != 0 && f.name.Sender == m.w.sites[0].id && f.name.Recipient == m.w.sites[1].id && slices.Contains(m.w.book.inFile[f.name], id)
}

func (m *mover) cut(data []byte) []byte {
	m.w.struck(FaultCut)
	return data[:m.w.rnd.IntN(len(data)+1)]
}

// flip changes some bits.
func (m *mover) flip(data []byte) []byte {
	m.w.struck(FaultFlipped)
	data = slices.Clone(data)
	for range 1 + m.w.rnd.IntN(3) {
		if len(data) > 0 {
			data[m.w.rnd.IntN(len(data))] ^= 1 << m.w.rnd.IntN(8)
		}
	}
	return data
}
