package link

import (
	"slices"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/planted"
)

// forked says whether a line shows that the peer's state is doubled or was set back within its epoch
// (PROTOCOL "Epochs": fork). Nothing of such a frame may be applied: its ids and file numbers were used
// before for something else. Genuine old or replayed frames never look like this.
//
// Every start of a site draws a run: its first file number, its first message id, random bits. Both
// numbers are durably reserved before use, so a newer run begins above all that older runs can have used.
func (l *Link) forked(c *frame.Claims) bool {
	r, known := c.Run, l.st.PeerRun
	switch {
	case planted.Bug == planted.Rollback:
		return false
	case known == (frame.Run{}):
	case r.Rand == known.Rand:
		if l.forgot(c, l.floor) {
			return true
		}
		l.show(c)
		return false
	case r.FirstSeq == known.FirstSeq:
		return true // two runs that began at the same place
	case r.FirstSeq < known.FirstSeq: // late, from an older run
		next, ok := l.runAfter(r)
		if !ok || c.Seq >= next.FirstSeq || len(c.Msg) > 0 && c.Msg[len(c.Msg)-1].ID >= next.FirstID || c.Last != nil && *c.Last >= next.FirstID {
			return true
		}
		if c.Ack != nil && c.Pep == l.st.Epoch && !l.beyond(c.Ack, l.newly(c.Ack)) {
			l.floor.add(c.Ack.Contig, c.Ack.OOO)
		}
		return false
	case r.FirstID <= max(l.highest(), l.st.PeerLast) || r.FirstSeq <= l.top:
		return true // newer, but what it has begun with was used already
	}
	for _, u := range c.Unmet { // runs between, of which nothing came: of one of them this may be the successor
		switch {
		case u.FirstSeq == known.FirstSeq && u.Rand != known.Rand:
			return true
		case u.FirstSeq > known.FirstSeq && (u.FirstID <= max(l.highest(), l.st.PeerLast) || u.FirstSeq <= l.top):
			return true
		}
	}
	was := floor{l.st.AckedContig, l.st.AckedOOO.Clone()}
	if l.forgot(c, was) {
		return true
	}
	l.floor = was
	l.noteRuns(known, c.Unmet)
	l.st.PeerRun, l.st.PeerShown = r, false
	l.show(c)
	l.dirty = true
	return false
}

// runAfter gives the run of the peer that began next after an older one, as far as is known: what that may have used ends there. It
// is not ok when another is known that began where it did.
func (l *Link) runAfter(r frame.Run) (next frame.Run, ok bool) {
	for _, e := range l.st.PeerRuns {
		switch {
		case e.FirstSeq == r.FirstSeq && e.Rand != r.Rand:
			return e, false
		case e.FirstSeq > r.FirstSeq:
			return e, true
		}
	}
	return l.st.PeerRun, true
}

// noteRuns keeps which runs there were before a new one, for lines of theirs that come late: the newest before it, and those that it
// says there were in between.
func (l *Link) noteRuns(known frame.Run, unmet []frame.Run) {
	runs := l.st.PeerRuns
	for _, r := range append([]frame.Run{known}, unmet...) {
		if n := len(runs); r != (frame.Run{}) && (n == 0 || runs[n-1].FirstSeq < r.FirstSeq) {
			runs = append(slices.Clip(runs), r)
		}
	}
	l.st.PeerRuns = runs[max(len(runs)-frame.MaxUnmet, 0):]
}

// show takes note that the newest run of the peer has been compared. A line in the middle of a file, or of a pair that is
// over, says nothing of what the run has: told of it, the run would take from us what it never had.
func (l *Link) show(c *frame.Claims) {
	if !l.st.PeerShown && c.Ack != nil && c.Pep == l.st.Epoch {
		l.st.PeerShown, l.dirty = true, true
	}
}

// shown is the random bits of the peer's newest run once it was compared, zero before.
func (st *State) shown() frame.Rand {
	if !st.PeerShown {
		return frame.Rand{}
	}
	return st.PeerRun.Rand
}

// unmet adds a run that begins to those that the peer has not met. Of too many, those go first that gave no ids, then those in
// the middle, and a state that was set back may then be noticed later, or not.
func unmet(runs []frame.Run, r frame.Run) []frame.Run {
	runs = append(slices.Clone(runs), r)
	if len(runs) <= frame.MaxUnmet {
		return runs
	}
	drop := len(runs) / 2
	for i := range runs[1:] {
		if runs[i].FirstID == runs[i+1].FirstID {
			drop = i
			break
		}
	}
	return slices.Delete(runs, drop, drop+1)
}

// earlier is the runs before this one that the peer has not met.
func (l *Link) earlier() []frame.Run {
	if l.met {
		return nil
	}
	return l.st.Unmet[:len(l.st.Unmet)-1]
}

// meet takes note of the newest run that the peer has compared, and with it what earlier ones began with. By its random bits, for a state that was set back uses file numbers again, and what the life that is lost has
// written was handled.
func (l *Link) meet(run frame.Rand) {
	if !l.met && run == l.run.Rand {
		l.met, l.changes.Met = true, true
	}
	i := slices.IndexFunc(l.st.Unmet, func(r frame.Run) bool { return r.Rand == run })
	if i >= 0 {
		l.st.Unmet, l.dirty = l.st.Unmet[i+1:], true
	}
}

// floor is what earlier runs of the peer said they have.
type floor struct {
	contig uint64
	ooo    frame.Ranges
}

// add takes in what one of them said, however late that comes.
func (f *floor) add(contig uint64, ooo frame.Ranges) {
	f.contig = max(f.contig, contig)
	f.ooo.Union(ooo)
	closeGap(&f.contig, &f.ooo)
}

// forgot says whether the peer has less of our messages than its earlier runs said: what is acked is durable, so its
// state was set back. A list of ranges that is full may leave some out.
func (l *Link) forgot(c *frame.Claims, f floor) bool {
	switch a := c.Ack; {
	case a == nil || c.Pep != l.st.Epoch:
		return false
	case a.Contig < f.contig:
		return true
	case len(a.OOO) < frame.MaxOOO:
		missing := f.ooo.Clone()
		missing.Remove(0, a.Contig)
		for _, r := range a.OOO {
			missing.Remove(r[0], r[1])
		}
		return len(missing) > 0
	}
	return false
}

// highest is the highest message id received from the peer in this epoch.
func (l *Link) highest() uint64 {
	hi := l.st.Contig
	for _, r := range []frame.Ranges{l.st.OOO, l.staging, l.fresh} {
		if m, ok := r.Max(); ok {
			hi = max(hi, m)
		}
	}
	return hi
}
