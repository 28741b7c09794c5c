package link

import (
	"sort"

	"github.com/hoft/hoft/pkg/frame"
)

// bulkShare is the part of the window, and of the files in transit, that bulk may fill: the rest is kept
// for control and calls, so that no body delays them by more than the frame that is being written.
const bulkShare = 0.75

func (l *Link) hasRoom(p Prio) bool {
	return len(l.items) < shareOf(p, l.cfg.WindowMessages) && l.winBytes < shareOf(p, l.cfg.WindowBytes)
}

// shareOf is how much of a limit messages of a priority may use up; the smallest limit lets one of each through.
func shareOf(p Prio, limit int) int {
	if p < PrioBulk {
		return limit
	}
	return max(int(bulkShare*float64(limit)), 1)
}

func (l *Link) window(it Item) *item {
	x := &item{Item: it}
	l.items[it.ID] = x
	l.winBytes += len(it.Data)
	l.enqueue(x)
	return x
}

func (l *Link) enqueue(x *item) {
	if x.queued || x.done {
		return
	}
	x.queued = true
	q := &l.queues[x.Prio]
	if n := len(*q); n > 0 && (*q)[n-1].ID > x.ID {
		i := sort.Search(n, func(i int) bool { return (*q)[i].ID > x.ID })
		*q = append(*q, nil)
		copy((*q)[i+1:], (*q)[i:])
		(*q)[i] = x
		return
	}
	*q = append(*q, x)
}

// Query asks for rows of the outbox: ids above After, at most N, ascending; none if N is 0.
// Small asks for rows with a priority before PrioBulk only.
type Query struct {
	After uint64
	N     int
	Small bool
}

// NeedLoad says which rows of the outbox to give to Load. Small messages have a way of their own past bulk
// that waits in the store.
func (l *Link) NeedLoad() Query {
	if l.peerFull && l.loadedTo < l.committed && l.lacksLowest() {
		return Query{After: l.loadedTo, N: max(l.roomFor(PrioBulk), loadLowest)}
	}
	if l.smallTo < min(l.lastSmall, l.committed) {
		if n := l.roomFor(PrioCall); n > 0 {
			return Query{After: l.smallTo, N: n, Small: true}
		}
		return Query{}
	}
	if l.loadedTo < l.committed {
		return Query{After: l.loadedTo, N: l.roomFor(PrioBulk)}
	}
	return Query{}
}

// lacksLowest says that the window holds nothing but small messages that went past bulk in the store. A peer that takes
// no new range may refuse all of them, and waits for what is below.
func (l *Link) lacksLowest() bool {
	for id := range l.items {
		if id <= l.loadedTo {
			return false
		}
	}
	return true
}

// loadLowest is how many messages come into a full window that lacks the lowest ones.
const loadLowest = 8

// loadBatch bounds one read of the outbox.
const loadBatch = 512

// roomFor is how many messages of the usual size the window still takes, at most loadBatch.
func (l *Link) roomFor(p Prio) int {
	if !l.hasRoom(p) {
		return 0
	}
	n := min(shareOf(p, l.cfg.WindowMessages)-len(l.items), loadBatch)
	if l.held.messages > 0 {
		usual := int(min(max(l.held.bytes/l.held.messages, 1), frame.MaxMessage))
		n = min(n, max((shareOf(p, l.cfg.WindowBytes)-l.winBytes)/usual, 1))
	}
	return n
}

// Load takes the outbox rows that NeedLoad asked for, ascending; upTo is the highest committed id when they
// were read. Where all rows were asked for, ids between them are not held any more.
func (l *Link) Load(rows []Item, q Query, upTo uint64) {
	end := upTo
	if len(rows) == q.N && q.N > 0 {
		end = rows[q.N-1].ID
	}
	if q.Small {
		if q.After != l.smallTo || end < q.After {
			return // an answer to an older question
		}
		for _, r := range rows {
			l.take1(r)
		}
		l.smallTo = end
		return
	}
	if q.After != l.loadedTo || end < q.After {
		return
	}
	prev := q.After
	for _, r := range rows {
		l.done.Add(prev+1, r.ID-1)
		prev = r.ID
		l.take1(r)
	}
	l.done.Add(prev+1, end)
	l.loadedTo, l.smallTo = end, max(l.smallTo, end)
	l.forgetEmpty()
}

// take1 puts one stored message into the window, unless it is there or done.
func (l *Link) take1(r Item) {
	if l.items[r.ID] != nil || l.done.Contains(r.ID) {
		return
	}
	x := l.window(r)
	x.sent = r.ID < l.run.FirstID // an earlier run may have written it
	l.adopt(x)
}

// SetHeld tells how much of the outbox was not acked at start.
func (l *Link) SetHeld(messages, bytes int64) { l.held = counts{messages, bytes} }

// RestoreFile tells of a file that an earlier run wrote: its messages are not due before its time. A time that lies
// ahead is of a clock that was set back since; waiting for it would lock the link up for as long.
// To be called before Load, in ascending order of seq.
func (l *Link) RestoreFile(s SentFile) {
	// By the clock of this run: one that is set back later must not make the file younger.
	start := l.durableTop.at // the time of the start, until a file comes
	s.At = start.Add(min(s.At.Sub(start), 0))
	if s.Seq < l.st.Epoch*frame.SeqPerEpoch { // of a life that is over: the peer would not hear it
		l.changes.SentReplaced.Add(s.Seq, s.Seq)
		l.changes.Remove = append(l.changes.Remove, s.Seq)
		return
	}
	l.files = append(l.files, &file{seq: s.Seq, at: s.At, size: s.Size, ids: s.IDs, restored: true})
}

// adopt connects a loaded message with the restored file that carries it.
func (l *Link) adopt(x *item) {
	for i := len(l.files) - 1; i >= 0; i-- {
		if f := l.files[i]; f.ids.Contains(x.ID) && !f.lost {
			x.file = f
			f.pending++
			l.unqueue(x)
			return
		}
	}
}

// DropEmpty forgets restored files that carry nothing which is still held; to be called after the first Loads.
func (l *Link) DropEmpty() {
	l.settled = true
	l.forgetEmpty()
}

// forgetEmpty drops restored files of which every message is known to be done. What waits in the store may
// still be theirs.
func (l *Link) forgetEmpty() {
	if !l.settled {
		return
	}
	kept, open := l.files[:0], false
	for _, f := range l.files {
		switch hi, _ := f.ids.Max(); {
		case f.pending > 0 || !f.restored:
		case hi <= l.loadedTo:
			l.changes.SentAcked.Add(f.seq, f.seq)
			l.changes.Remove = append(l.changes.Remove, f.seq)
			continue
		default:
			open = true
		}
		kept = append(kept, f)
	}
	clear(l.files[len(kept):])
	l.files, l.settled = kept, open
}

func (l *Link) unqueue(x *item) {
	x.queued = false
	q := l.queues[x.Prio]
	for i := range q {
		if q[i] == x {
			l.queues[x.Prio] = append(q[:i], q[i+1:]...)
			return
		}
	}
}

// Withdraw gives up messages that the peer has not acked: base passes them.
func (l *Link) Withdraw(ids frame.Ranges) {
	for id := range ids.All() {
		if id > l.st.LastID || l.done.Contains(id) {
			continue
		}
		l.finish(id, nil)
		l.changes.Withdrawn.Add(id, id)
		l.withdrawn.Add(id, id)
		l.dirty = true
	}
}

// Settle takes messages for acked: what came from the peer shows that it has had them, and no copy of them is to come
// any more.
func (l *Link) Settle(ids frame.Ranges) {
	for id := range ids.All() {
		if id > l.st.LastID || l.done.Contains(id) {
			continue
		}
		l.finish(id, nil)
		l.changes.Acked.Add(id, id)
		l.dirty = true
	}
}

// Holds says whether an own message is neither acked nor withdrawn, as of the newest event.
func (l *Link) Holds(id uint64) bool { return id <= l.st.LastID && !l.done.Contains(id) }

// MayBeWritten says whether a message can have reached the pipe, or may in a moment.
func (l *Link) MayBeWritten(id uint64) bool {
	if w := l.writing; w != nil && w.f.ids.Contains(id) {
		return true
	}
	if x := l.items[id]; x != nil {
		return x.sent || x.given
	}
	return id < l.run.FirstID || l.done.Contains(id)
}

// finish marks an own id as acked or withdrawn and lets go of it.
func (l *Link) finish(id uint64, acked *[]Acked) {
	l.done.Add(id, id)
	l.held.messages--
	x := l.items[id]
	if x == nil {
		if l.held.messages <= 0 {
			l.held = counts{}
		}
		return
	}
	delete(l.items, id)
	l.winBytes -= len(x.Data)
	l.held.bytes -= int64(len(x.Data))
	if l.held.messages <= 0 {
		l.held = counts{} // bytes of messages that were never loaded are not known one by one
	}
	x.done = true
	if acked != nil {
		*acked = append(*acked, Acked{x.Ref, x.Kind})
	}
	l.leave(x, true)
}

// leave takes a message out of its file; a file that carries nothing any more is removed.
func (l *Link) leave(x *item, acked bool) {
	f := x.file
	x.file = nil
	if f == nil {
		return
	}
	f.pending--
	if f.pending > 0 {
		return
	}
	l.dropFile(f, acked && !f.lost)
}

func (l *Link) dropFile(f *file, acked bool) {
	for i, g := range l.files {
		if g == f {
			l.files = append(l.files[:i], l.files[i+1:]...)
			break
		}
	}
	l.changes.Remove = append(l.changes.Remove, f.seq)
	if acked || f.seen {
		l.taken.handled[l.taken.next] = f.seq
		l.taken.next = (l.taken.next + 1) % len(l.taken.handled)
	}
	if acked {
		l.changes.SentAcked.Add(f.seq, f.seq)
	} else {
		l.changes.SentReplaced.Add(f.seq, f.seq)
	}
}

// base is the lowest own id that is still held, last+1 when none is: the ack of the ack. What was withdrawn is held until that
// is durable: after a crash it is sent all the same, and the peer must not take it for what never comes.
func (l *Link) base() uint64 {
	if len(l.done) == 0 || l.done[0][0] > 1 {
		return 1
	}
	base := min(l.done[0][1], l.committed) + 1
	for _, r := range []frame.Ranges{l.withdrawn, l.stagedWithdrawn} {
		if len(r) > 0 {
			base = min(base, r[0][0])
		}
	}
	return base
}
