package link

import (
	"sort"

	"github.com/hoft/hoft/pkg/frame"
)

func (l *Link) hasRoom() bool {
	return len(l.items) < l.cfg.WindowMessages && l.winBytes < l.cfg.WindowBytes
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

// NeedLoad says which rows of the outbox to give to Load: ids above after, at most n, none if n is 0.
func (l *Link) NeedLoad() (after uint64, n int) {
	if l.loadedTo >= l.committed || !l.hasRoom() {
		return 0, 0
	}
	return l.loadedTo, min(l.cfg.WindowMessages-len(l.items), loadBatch)
}

// loadBatch bounds one read of the outbox.
const loadBatch = 512

// Load takes outbox rows that NeedLoad asked for, ascending. asked and n are what NeedLoad gave; upTo
// is the highest committed id when the rows were read. Ids between the rows are not held any more.
func (l *Link) Load(rows []Item, asked uint64, n int, upTo uint64) {
	end := upTo
	if len(rows) == n && n > 0 {
		end = rows[n-1].ID
	}
	if asked != l.loadedTo || end < asked {
		return // an answer to an older question
	}
	prev := asked
	for _, r := range rows {
		l.done.Add(prev+1, r.ID-1)
		prev = r.ID
		if !l.done.Contains(r.ID) {
			x := l.window(r)
			x.sent = r.ID < l.run.FirstID // an earlier run may have written it
			l.adopt(x)
		}
	}
	l.done.Add(prev+1, end)
	l.loadedTo = end
}

// SetHeld tells how much of the outbox was not acked at start.
func (l *Link) SetHeld(messages, bytes int64) { l.held = counts{messages, bytes} }

// RestoreFile tells of a file that an earlier run wrote: its messages are not due before its time.
// To be called before Load, in ascending order of seq.
func (l *Link) RestoreFile(s SentFile) {
	l.files = append(l.files, &file{seq: s.Seq, at: s.At, size: s.Size, ids: s.IDs})
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
	kept := l.files[:0]
	for _, f := range l.files {
		if f.pending > 0 {
			kept = append(kept, f)
			continue
		}
		l.changes.SentAcked.Add(f.seq, f.seq)
		l.changes.Remove = append(l.changes.Remove, f.seq)
	}
	l.files = kept
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
		l.dirty = true
	}
}

// MayBeWritten says whether a message can have reached the pipe.
func (l *Link) MayBeWritten(id uint64) bool {
	if x := l.items[id]; x != nil {
		return x.sent
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
	if acked {
		l.changes.SentAcked.Add(f.seq, f.seq)
	} else {
		l.changes.SentReplaced.Add(f.seq, f.seq)
	}
}

// base is the lowest own id that is still held, last+1 when none is: the ack of the ack.
func (l *Link) base() uint64 {
	if len(l.done) > 0 && l.done[0][0] <= 1 {
		return min(l.done[0][1], l.committed) + 1
	}
	return 1
}
