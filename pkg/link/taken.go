package link

import (
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// taken learns whether files leave the outbox by themselves: a mover that moves them, or a reader that removes them
// in a shared folder. Where they do, a file that is still there has not been taken: it is not lost, however long it
// waits. The outbox is looked at only when a file would otherwise be given up.
type taken struct {
	takes   bool        // files leave by themselves
	left    int         // in a row that were gone when they were to be removed
	stayed  int         // in a row that the peer has had and that were still there
	handled [128]uint64 // files dropped because the peer has them
	next    int
	lay     [32]uint64 // files that were still there when they were removed, before it was known whether the peer has them
	nextLay int

	looking bool
	look    time.Time     // when the outbox is to be looked at; zero: no need
	looked  time.Time     // when it was
	asked   time.Time     // when the look under way was asked for
	cost    time.Duration // what the last one took
}

const (
	// takenAfter is how many files in a row change the mind about how the pipe works.
	takenAfter = 3
	// lookPauseMax bounds how long the outbox is not looked at while a file lies there and is not taken.
	lookPauseMax = time.Minute
	// passedOver is how many later files must have been seen before one that lies there counts as lost: then the
	// mover passes it over.
	passedOver = packetThresholdMax
	// leftAfter is how long a file must lie there before it can be said to be left behind: a long one may take as long.
	leftAfter = 5 * time.Minute
)

// Removed tells what Changes.Remove came to: gone says that the file was not in the outbox any more.
func (l *Link) Removed(seq uint64, gone bool) {
	switch t := &l.taken; {
	case gone || slices.Contains(t.handled[:], seq):
		l.leaves(gone)
	default: // perhaps only not taken yet
		t.lay[t.nextLay] = seq
		t.nextLay = (t.nextLay + 1) % len(t.lay)
	}
}

// noteLay takes note of removed files that the peer has after all: they were carried, and still lay there.
func (l *Link) noteLay(seen frame.Ranges) {
	for i, seq := range l.taken.lay {
		if seq != 0 && seen.Contains(seq) {
			l.taken.lay[i] = 0
			l.leaves(false)
		}
	}
}

// notePassed counts the files that the peer has seen and that were written later than one that lies in the outbox.
func (l *Link) notePassed(seen frame.Ranges) {
	if !l.taken.takes {
		return
	}
	for i := range l.loss.written {
		w := &l.loss.written[i]
		if w.seen || !seen.Contains(w.seq) {
			continue
		}
		w.seen = true
		for _, f := range l.files {
			if f.seq < w.seq && !f.gone && !f.there.IsZero() {
				f.passed++
			}
		}
	}
}

// leftBehind says whether the mover passes over a file that lies in the outbox: it lay there before, later ones came,
// and none of them lies there too. One that takes files in whatever order, or few at a time, leaves others there as
// well. (A mover that knows names skips one that a doubled or restored state used again.)
func (l *Link) leftBehind(now time.Time, f *file, youngest uint64) bool {
	return f.pending > 0 && !f.lost && !f.seen && f.passed >= l.loss.threshold && f.seq == youngest &&
		!now.Before(f.at.Add(max(leftAfter, 8*l.rtt.timeout(l.cfg.AckDelay))))
}

// leaves counts one file that had left by itself, or had come and not left.
func (l *Link) leaves(left bool) {
	t := &l.taken
	if left {
		t.left, t.stayed = t.left+1, 0
	} else {
		t.left, t.stayed = 0, t.stayed+1
	}
	was := t.takes
	t.takes = t.takes && t.stayed < takenAfter || t.left >= takenAfter
	if t.takes != was {
		t.look = time.Time{}
		l.dirty = true
	}
}

// waits says whether a file has not been taken yet, as far as it is known. One that the peer has seen is not waiting for
// the mover, even if it lies there: then a doubled or restored state has used its name for something else.
func (l *Link) waits(f *file) bool { return l.taken.takes && !f.gone && !f.seen }

// since is when a file's timers begin: on a pipe that takes files, when it was taken.
func (f *file) since() time.Time {
	if f.left.After(f.at) {
		return f.left
	}
	return f.at
}

// lookFor is when the outbox is to be looked at for the sake of a file that is not known to have been taken: when it would
// be written again if it had been, or, where it was still there then, less and less often.
func (l *Link) lookFor(f *file) time.Time {
	if f.patience > 0 {
		return f.there.Add(f.patience)
	}
	return f.at.Add(l.rtt.timeout(l.cfg.AckDelay))
}

// missed has the outbox looked at for a file that would be lost if it had been taken.
func (l *Link) missed(now time.Time, f *file) {
	f.wanted = true
	if at := f.there.Add(f.patience); f.patience > 0 && at.After(now) {
		now = at
	}
	l.wantLook(now)
}

// wantLook has the outbox looked at, unless that was just done.
func (l *Link) wantLook(at time.Time) {
	t := &l.taken
	// A listing that takes long, of a folder with much in it or far away, is made for a fifth of the time at most.
	if soonest := t.looked.Add(min(max(timerGranularity, 4*t.cost), lookPauseMax)); at.Before(soonest) {
		at = soonest
	}
	if t.look.IsZero() || at.Before(t.look) {
		t.look = at
	}
}

// Look says whether the outbox is to be listed now; then Looked or LookFailed must be called.
func (l *Link) Look(now time.Time) bool {
	t := &l.taken
	if l.stopped != "" || t.looking || t.look.IsZero() || now.Before(t.look) {
		return false
	}
	t.looking, t.asked = true, now
	return true
}

// lookDeadline is when the outbox is to be looked at; zero: no need.
func (l *Link) lookDeadline() time.Time {
	t := &l.taken
	switch {
	case t.looking:
		return time.Time{}
	case !t.look.IsZero():
		return t.look
	}
	return l.lookAt()
}

// Looked tells which own files are in the outbox. A file that was there before and is gone was taken at last; one
// that was never seen there was taken at once.
func (l *Link) Looked(now time.Time, present []uint64) {
	t := &l.taken
	there := make(map[uint64]bool, len(present))
	for _, seq := range present {
		there[seq] = true
	}
	if t.looking {
		t.cost = now.Sub(t.asked)
	}
	t.look, t.looked, t.looking = time.Time{}, now, false
	youngest := uint64(0) // of those that lay there at the last look too
	for _, f := range l.files {
		if !f.gone && there[f.seq] && !f.there.IsZero() {
			youngest = max(youngest, f.seq)
		}
	}
	for _, f := range l.files {
		switch {
		case f.gone:
		case there[f.seq] && l.leftBehind(now, f, youngest):
			l.giveUp(now, f)
		case there[f.seq]:
			if f.wanted || !now.Before(l.lookFor(f)) { // else it is young, and may well be there
				f.patience = min(max(2*f.patience, timerGranularity), lookPauseMax)
			}
			f.there, f.wanted = now, false
		default:
			f.gone = true
			if !f.there.IsZero() {
				f.left = now
			}
			if f.suspect && !f.lost && !f.seen && f.pending > 0 {
				l.giveUp(now, f)
			}
		}
	}
	l.detectLost(now)
}

// LookFailed tells that the outbox could not be listed; it is tried again later.
func (l *Link) LookFailed(now time.Time) {
	l.taken.looked, l.taken.look, l.taken.looking = now, now.Add(lookPauseMax), false
}

// Waiting gives the number of files with messages that were last seen in the outbox although files leave it by
// themselves, and since when the oldest lies there.
func (l *Link) Waiting() (files int, since time.Time) {
	for _, f := range l.files {
		if l.waits(f) && !f.there.IsZero() && f.pending > 0 {
			if files++; files == 1 {
				since = f.at
			}
		}
	}
	return files, since
}

// FilesLeave says whether files leave the outbox by themselves.
func (l *Link) FilesLeave() bool { return l.taken.takes }
