package link

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// Changes is what events left to be persisted or done.
type Changes struct {
	Acked        frame.Ranges // own ids the peer has: ack the outbox rows
	Withdrawn    frame.Ranges // own ids withdrawn: drop the outbox rows
	Sent         []SentFile   // files written
	SentAcked    frame.Ranges // files whose content is acked
	SentReplaced frame.Ranges // files whose content was written again
	Remove       []uint64     // own files to remove from the pipe now
	AckedRefs    []Acked      // what the acked messages belonged to
	WrittenRefs  []Ref        // what messages written for the first time belong to
	PeerReset    bool         // the peer lost its state (its epoch grew): what is unanswered must be decided anew
	Met          bool         // the peer has seen a file of this run, and knows of no later life
	FirstContact bool         // the peer's epoch became known
	OwnReset     bool         // our own state was set back: what was acked may have been forgotten here
}

// Acked tells of one message that the peer has stored.
type Acked struct {
	Ref  Ref
	Kind frame.Kind
}

// SentFile records a file that was written.
type SentFile struct {
	Seq   uint64
	Nonce string
	At    time.Time
	IDs   frame.Ranges
	Size  int64
}

// Drain returns what was left since the last call.
func (l *Link) Drain() Changes {
	c := l.changes
	l.changes = Changes{}
	return c
}

// Urgency says how soon a Snapshot is wanted.
type Urgency int

// Urgencies: nothing changed; take it along with another commit; an ack waits for it, which may be
// delayed anyway; a write waits for it.
const (
	Clean Urgency = iota
	Lazy
	Soon
	Now
)

// Dirty says how soon a Snapshot is wanted.
func (l *Link) Dirty() Urgency {
	switch {
	case l.urgent:
		return Now
	case l.owed:
		return Soon
	case l.dirty:
		return Lazy
	}
	return Clean
}

// Snapshot gives the state to commit now, with everything received and submitted so far. At most one
// snapshot may be under way; its end is told by Committed (a failed commit is repeated by the caller
// until it succeeds, with the same or a newer snapshot).
func (l *Link) Snapshot() State {
	if l.st.SeqReserved < l.nextSeq+seqAhead {
		l.st.SeqReserved = l.nextSeq + seqBlock
	}
	l.st.SRTT, l.st.RTTVar = 0, 0
	if l.rtt.measured {
		l.st.SRTT, l.st.RTTVar = l.rtt.smoothed, l.rtt.variation
	}
	l.st.Learned = l.size.learned(l.cfg.Pipe)
	l.st.Learned.Takes = l.taken.takes
	l.staged = l.st.LastID
	l.stagedWithdrawn.Union(l.withdrawn)
	l.withdrawn = nil
	l.staging.Union(l.fresh)
	l.fresh = nil
	l.stagingSeen.Union(l.freshSeen)
	l.freshSeen = nil
	l.stagedBase, l.stagedTop, l.stagedRun = l.peerBase, l.top, l.st.shown()
	l.stagedElicit = l.stagedElicit || l.elicited
	l.elicited = false
	l.dirty, l.urgent, l.owed = false, false, false

	st := l.State()
	st.receive(l.staging, l.stagedBase)
	st.Seen.Union(l.stagingSeen)
	trimLow(&st.Seen, keptSeen)
	return st
}

// Committed tells that the last snapshot is durable: its messages may be written, its ids acked.
func (l *Link) Committed(now time.Time, st State) {
	l.committed, l.stagedWithdrawn = l.staged, nil
	l.reserved = st.SeqReserved
	l.st.receive(l.staging, l.stagedBase)
	l.staging = nil
	l.stored.Union(l.stagingSeen)
	l.untold.Union(l.stagingSeen)
	trimLow(&l.untold, keptSeen)
	trimLow(&l.stored, keptSeen)
	l.stagingSeen = nil
	l.tellRun(now)
	if l.stagedTop > l.durableTop.seq {
		l.durableTop = topFile{seq: l.stagedTop, at: now}
	}
	if l.stagedElicit {
		l.stagedElicit = false
		l.askAck(now)
	}
}

// tellRun has the peer's newest run told what it has shown once that is durable. A new run gets a hello: its state may be an older copy,
// in which our caps are not, and what waits for the word that it was met must not wait for a file that is removed when its
// messages come by another copy.
func (l *Link) tellRun(now time.Time) {
	r := l.stagedRun
	l.durableRun = r
	if r == (frame.Rand{}) || r == l.toldRun {
		return
	}
	if l.toldRun != (frame.Rand{}) {
		l.greet(now)
	}
	l.toldRun = r
}

// receive puts ids into contig and the ranges above it, and applies the ack of the ack: what the peer no longer
// holds will never come.
func (st *State) receive(ids frame.Ranges, base uint64) {
	st.OOO.Union(ids)
	if base > st.PeerBase {
		st.PeerBase = base
		if base-1 > st.Contig {
			st.Contig = base - 1
			st.OOO.Remove(0, base-1)
		}
	}
	closeGap(&st.Contig, &st.OOO)
}

// closeGap moves contig over the ranges that adjoin it.
func closeGap(contig *uint64, ooo *frame.Ranges) {
	for len(*ooo) > 0 && (*ooo)[0][0] <= *contig+1 {
		*contig = max(*contig, (*ooo)[0][1])
		*ooo = (*ooo)[1:]
	}
}

func trimLow(r *frame.Ranges, keep int) {
	if n := len(*r); n > keep {
		*r = (*r)[n-keep:].Clone()
	}
}
