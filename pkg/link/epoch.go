package link

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/planted"
)

// pair applies the epoch rule to one line. ofPeer: the line is of the peer's newest epoch; ofPair: it
// also speaks to our present epoch, so its messages and acks count.
func (l *Link) pair(now time.Time, c *frame.Claims) (ofPeer, ofPair bool) {
	switch {
	case c.Ep < l.st.PeerEpoch:
		l.wrongPair(now)
		return false, false
	case c.Ep > l.st.PeerEpoch:
		l.resetPeer(now, c.Ep)
	}
	// What the peer says of our own lives holds whatever is wrong with its own: else two that take each other for doubled
	// would wait for each other for ever.
	if c.Pep > l.st.Epoch || c.Fork && c.Pep == l.st.Epoch {
		l.force(now, c)
	}
	if l.forked(c) {
		l.stats.Forks++
		l.events.PeerDoubled = now
		l.fork, l.answerDue = true, true
		return false, false
	}
	if c.Pep != l.st.Epoch {
		if l.begun && c.Pep != 0 {
			l.events.SelfLost = now
		}
		l.wrongPair(now)
		return true, false
	}
	if !l.st.Confirmed {
		l.st.Confirmed, l.dirty = true, true
	}
	return true, true
}

// wrongPair has the peer told which pair is alive, within the limits of the bucket.
func (l *Link) wrongPair(time.Time) {
	l.stats.WrongPair++
	l.answerDue = true
}

// resetPeer begins with a new epoch of the peer: what we knew of its acks and of what it sent is void.
func (l *Link) resetPeer(now time.Time, ep uint64) {
	if l.st.PeerEpoch == 0 {
		l.changes.FirstContact = true
	} else {
		l.changes.PeerReset = true
		l.stats.PeerResets++
		l.events.PeerBegan = now
	}
	l.st.PeerEpoch, l.transit = ep, transit{} // it may have another clock
	l.st.Contig, l.st.OOO, l.st.PeerBase, l.st.PeerLast = 0, nil, 0, 0
	l.fresh, l.staging, l.freshSeen, l.stagingSeen, l.stored = nil, nil, nil, nil, nil
	l.untold = nil
	l.cuts, l.top, l.stagedTop, l.full, l.peerFull = nil, 0, 0, false, false
	l.durableTop = topFile{at: now}
	l.peerBase, l.stagedBase = 0, 0
	l.st.PeerRun, l.st.PeerRuns, l.st.PeerShown, l.fork = frame.Run{}, nil, false, false
	l.durableRun, l.stagedRun, l.toldRun = frame.Rand{}, frame.Rand{}, frame.Rand{}
	l.voidSent()
	l.greet(now) // it has lost our caps too
	l.urgent = true
}

// voidSent takes back everything in transit: it was written for a pair that is over.
func (l *Link) voidSent() {
	l.st.AckedContig, l.st.AckedOOO, l.floor = 0, nil, floor{}
	for len(l.files) > 0 {
		l.void(l.files[0])
	}
	if l.writing != nil {
		l.writing.stale = true
	}
	l.loss.progress()
}

// void takes one file back and queues what it carried.
func (l *Link) void(f *file) {
	for id := range f.ids.All() {
		if x := l.items[id]; x != nil && x.file == f {
			x.file = nil
			l.enqueue(x)
		}
	}
	f.pending = 0
	l.dropFile(f, false)
}

// force opens a new own epoch: the peer knows a later life of this site than we do (PROTOCOL "Epochs").
func (l *Link) force(now time.Time, c *frame.Claims) {
	top := uint64(0)
	if c.Rx != nil {
		top = c.Rx.Top
	}
	l.renew(now, c.Pep, top)
}

// OwnFile tells of an own file that lies in the outbox at the start, before anything else is told. Numbers are durably
// reserved before use: one that is beyond shows that this state is older than what was written.
func (l *Link) OwnFile(now time.Time, seq uint64) {
	if seq >= l.nextSeq {
		l.renew(now, 0, seq)
	}
}

// NameTaken tells, before Wrote, that a file of the name of the frame under way is in the outbox already: somebody else
// has used the number, so a second copy of this site runs, or ran.
func (l *Link) NameTaken(now time.Time) {
	if w := l.writing; w != nil && !w.stale {
		l.renew(now, 0, w.f.seq)
	}
}

// begin opens the first epoch of a state that is new. Without a sign of an earlier life that is the time.
func (l *Link) begin(now time.Time, ownTop uint64) {
	l.begun = true
	l.st.Epoch = max(uint64(now.UnixMilli()), 1)
	if ownTop == 0 {
		return
	}
	l.events.SelfLost = now
	if heard := ownTop / frame.SeqPerEpoch; heard+epochGap > l.st.Epoch { // else the clock is right
		l.st.Epoch = l.above(now, heard)
	}
}

// renew opens a new own epoch, above pep and above that of the file number top.
func (l *Link) renew(now time.Time, pep, top uint64) {
	if l.forced {
		l.stop(now, pep, top)
		return
	}
	ep := l.above(now, max(pep, l.st.Epoch, top/frame.SeqPerEpoch))
	if planted.Bug == planted.NameReuse {
		ep = max(uint64(now.UnixMilli()), pep+1, l.st.Epoch+1)
	}
	if ep > frame.MaxEpoch-1 { // no life of this site was ever there
		l.stopped = "the peer speaks of an epoch of this site that cannot be: it lies, or its state is damaged"
		return
	}
	l.forced, l.events.SelfBehind = true, now
	l.changes.OwnReset = true
	l.st.Epoch, l.st.Confirmed = ep, false
	l.nextSeq = ep * frame.SeqPerEpoch
	l.reserved = 0 // nothing is written before the new epoch is durable
	l.st.SeqReserved = l.nextSeq + seqBlock
	l.run.FirstSeq, l.met = l.nextSeq, false
	l.st.Unmet = unmet(nil, l.run)
	l.voidSent()
	l.greet(now)
	l.urgent = true
}

const (
	// epochGap is how far a new epoch is above what was heard of other lives, at least: they may have written a million files
	// since.
	epochGap = 1000
	// epochSpread is by how much more it may be. It is drawn at random, because several lives may have heard the same: copies
	// of one state at once, or lives that were lost one after the other, with a clock that cannot be trusted.
	epochSpread = 1 << 20
)

// above draws an epoch that is no other life's of this site: above the time, and above what was heard of others.
func (l *Link) above(now time.Time, heard uint64) uint64 {
	return max(uint64(now.UnixMilli()), heard) + epochGap + l.cfg.Rand.Uint64N(epochSpread)
}

// halt is a stop for a while: two copies of this site seem to run. If it was a late frame, of a life that was lost, the
// link goes on by itself.
type halt struct {
	until    time.Time     // zero: not stopped so
	pause    time.Duration // of the last stop
	pep, top uint64        // what was heard of other lives meanwhile
}

const (
	haltPause    = time.Minute
	haltPauseMax = time.Hour
)

// due is when the stop ends. An end that lies further ahead than any pause is of a clock that was set back since.
func (h *halt) due(now time.Time) time.Time {
	if h.until.Sub(now) > h.pause {
		return now
	}
	return h.until
}

// stop has nothing written for a while, twice as long each time. Both copies may have opened the same epoch, and the
// other's messages were acked for ours: so what comes then, the end of the pause or a new start, begins another.
func (l *Link) stop(now time.Time, pep, top uint64) {
	h := &l.halt
	h.pep, h.top = max(h.pep, pep), max(h.top, top)
	if !h.until.IsZero() {
		return
	}
	h.pause = min(max(2*h.pause, haltPause), haltPauseMax)
	h.until = now.Add(h.pause)
	l.stopped = "two copies of this site run, or its state was restored twice: stop one of them; it is tried again after a while"
	l.st.Doubled, l.urgent = true, true
}

// goOn ends a stop whose time has come: under a new epoch, above all that was heard of meanwhile.
func (l *Link) goOn(now time.Time) {
	h := &l.halt
	if h.until.IsZero() || l.writing != nil || now.Before(h.due(now)) {
		return
	}
	pep, top := h.pep, max(h.top, l.nextSeq)
	*h = halt{pause: h.pause}
	l.stopped, l.forced, l.st.Doubled = "", false, false
	l.renew(now, pep, top) // should another copy run, the next sign of it stops the link again
}

// greet has a hello written as soon as possible: the peer knows no caps of ours under the present pair.
func (l *Link) greet(now time.Time) { l.hello = hello{due: now} }

// mayTell says whether messages may be written. What a new state of ours hears first may be an old file, of a life of the peer
// that was lost: a call told to that one would have an uncertain end, although it began when all was well. So the peer must
// have spoken to our epoch (an unsafe request is no early data either: RFC 8470).
func (l *Link) mayTell() bool { return l.st.PeerEpoch != 0 && l.st.Confirmed }

// greeting says whether a hello is still wanted: until the peer's epoch is known, and until the peer has said that it
// saw one. A hello holds no message, so nothing else would notice that it was lost, and caps would never arrive.
func (l *Link) greeting() bool { return l.st.PeerEpoch == 0 || !l.hello.seen }

// greeted notes a file with a hello. Where files that lie in the outbox merely wait for the mover, repeating one
// sooner than a heartbeat would bring nothing, unless all else waits for its answer.
func (l *Link) greeted(now time.Time, f *file) {
	h := &l.hello
	h.files.Add(f.seq, f.seq)
	trimLow(&h.files, keptHellos)
	h.pause = l.rtt.timeout(l.cfg.AckDelay)
	for i := 0; i < h.tries && h.pause < l.cfg.Heartbeat; i++ {
		h.pause *= 2 // not shifted at once: a round trip of two days would overflow
	}
	h.pause = min(h.pause, l.cfg.Heartbeat)
	h.due = now.Add(h.pause)
	if l.taken.takes && l.mayTell() {
		h.due = now.Add(l.cfg.Heartbeat)
	}
	h.tries++
}

// overtook notes that the peer has handled a later file than the last hello, and not that: it does not wait for the mover, so
// it is repeated as where files stay.
func (l *Link) overtook(now time.Time, top uint64) {
	h := &l.hello
	last, ok := h.files.Max()
	if due := now.Add(h.pause); ok && !h.seen && top > last && due.Before(h.due) {
		h.due = due
	}
}

func (l *Link) helloDue(now time.Time) bool { return l.greeting() && !now.Before(l.hello.due) }

// ackOnlyDue says whether a frame without messages is to be written now.
func (l *Link) ackOnlyDue(now time.Time) bool {
	if l.st.PeerEpoch == 0 {
		return false
	}
	if !l.ackDue.IsZero() && !now.Before(l.ackDue) {
		return true
	}
	if l.answerDue && l.answers.take(now, max(l.rtt.smoothed, l.cfg.AckDelay)) {
		return true
	}
	return !now.Before(l.lastWrite.Add(l.cfg.Heartbeat))
}

const answerBurst = 3

// bucket limits answers to a wrong pair: one per round trip with a burst, at least one a minute.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) take(now time.Time, per time.Duration) bool {
	per = min(per, time.Minute)
	b.tokens = min(answerBurst, b.tokens+float64(now.Sub(b.at))/float64(per))
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
