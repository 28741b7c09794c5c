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
	FirstContact bool         // the peer's epoch became known
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
	l.staged = l.st.LastID
	l.staging.Union(l.fresh)
	l.fresh = nil
	l.stagingSeen.Union(l.freshSeen)
	l.freshSeen = nil
	l.stagedElicit = l.stagedElicit || l.elicited
	l.elicited = false
	l.dirty, l.urgent, l.owed = false, false, false

	st := l.State()
	l.addReceived(&st.Contig, &st.OOO, l.staging)
	st.Seen.Union(l.stagingSeen)
	trimLow(&st.Seen, keptSeen)
	return st
}

// Committed tells that the last snapshot is durable: its messages may be written, its ids acked.
func (l *Link) Committed(now time.Time, st State) {
	l.committed = l.staged
	l.reserved = st.SeqReserved
	l.addReceived(&l.st.Contig, &l.st.OOO, l.staging)
	l.staging = nil
	l.stored.Union(l.stagingSeen)
	trimLow(&l.stored, keptSeen)
	l.stagingSeen = nil
	if l.stagedElicit {
		l.stagedElicit = false
		l.askAck(now)
	}
}

// addReceived puts ids into contig and the ranges above it.
func (l *Link) addReceived(contig *uint64, ooo *frame.Ranges, ids frame.Ranges) {
	ooo.Union(ids)
	closeGap(contig, ooo)
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
