package link

import (
	"sort"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// Submit takes messages to send and gives their ids, first to first+len(tails)-1. They are to be
// stored in the same commit as the next Snapshot; they are written after Committed.
func (l *Link) Submit(kinds []Outgoing) (items []Item) {
	items = make([]Item, len(kinds))
	for i, o := range kinds {
		l.st.LastID++
		it := Item{ID: l.st.LastID, Kind: o.Kind, Prio: o.Prio, Ref: o.Ref, Data: o.Tail.WithID(l.st.LastID)}
		items[i] = it
		l.held.messages++
		l.held.bytes += int64(len(it.Data))
		l.admit(it)
	}
	l.urgent = true
	return items
}

// admit takes a new message into the window. As soon as one waits in the store, later ones of its sort do too:
// order of loading is by id. Small ones do not wait for bulk.
func (l *Link) admit(it Item) {
	next, room := l.loadedTo == it.ID-1, l.hasRoom(it.Prio)
	switch small := it.Prio < PrioBulk; {
	case small && room && l.smallTo >= l.lastSmall, !small && room && next:
		l.window(it)
		if next {
			l.loadedTo = it.ID
		}
		if l.smallTo >= l.lastSmall {
			l.smallTo = it.ID
		}
	case small:
		l.lastSmall = it.ID
	}
}

// Outgoing is a message before it has an id.
type Outgoing struct {
	Kind frame.Kind
	Prio Prio
	Ref  Ref
	Tail frame.Tail
}

// Frame is one frame to seal and write: each element of Lines is the claims of one line.
type Frame struct {
	Seq   uint64
	Lines [][]byte
}

type pendingWrite struct {
	f      *file
	items  []*item
	bytes  int // of its messages
	told   told
	acks   bool // an ack was due
	answer bool // the peer is to be told the live pair
	nonce  string
	hello  bool
	// stale says that the epoch pair changed meanwhile: the peer will ignore what is being written.
	stale bool
}

// Next gives the frame to write now, or nil. After a frame the caller must call Wrote before it asks again.
func (l *Link) Next(now time.Time) *Frame {
	if l.writing != nil || l.stopped != "" || now.Before(l.retryAt) || l.nextSeq >= l.reserved {
		return nil
	}
	l.detectLost(now)
	helloDue := l.helloDue(now)
	var take []*item
	if n := l.inTransit(); l.mayTell() && !helloDue && n < l.cfg.MaxFiles {
		most := PrioCall
		if n < shareOf(PrioBulk, l.cfg.MaxFiles) {
			most = PrioBulk
		}
		take = l.take(most, l.frameBytes(), now.Before(l.fullAt), l.toReplace())
	}
	ackOnly := len(take) == 0
	if ackOnly && !helloDue && !l.ackOnlyDue(now) {
		return nil
	}
	f := &file{seq: l.nextSeq, at: now, hello: helloDue, contig: l.st.Contig}
	l.nextSeq++
	if l.nextSeq+seqAhead > l.st.SeqReserved {
		l.urgent = true // reserve more
	}
	w := &pendingWrite{f: f, items: take, hello: helloDue, acks: !l.ackDue.IsZero(), answer: l.answerDue}
	fr := &Frame{Seq: f.seq}
	w.told = l.telling()
	l.durableTop.tell(now, l.ackDue)
	fr.Lines, w.nonce = l.lines(now, f.seq, take, helloDue, w.told)
	f.answers = w.acks
	for _, x := range take {
		f.answers = f.answers && (x.Kind == frame.KindRes || x.Kind == frame.KindStage)
		w.bytes += len(x.Data)
		f.ids.Add(x.ID, x.ID)
		x.given = true
	}
	l.writing = w
	l.ackDue, l.urgentAck, l.answerDue = time.Time{}, false, false
	return fr
}

// inTransit counts the files with messages that are not given up yet.
func (l *Link) inTransit() int {
	n := 0
	for _, f := range l.files {
		if !f.lost && f.pending > 0 {
			n++
		}
	}
	return n
}

// toReplace gives the file whose messages go first; nil: none. With as many files in the pipe as may be, those counted in that
// are given up, each new one replaces the oldest of them: what is more urgent would else leave it there, one file after the other.
func (l *Link) toReplace() (oldest *file) {
	if l.withMessages() < l.cfg.MaxFiles {
		return nil
	}
	for _, f := range l.files {
		if f.lost && f.pending > 0 {
			return f
		}
	}
	return nil
}

// withMessages counts the files that carry messages, those too that are given up.
func (l *Link) withMessages() int {
	n := 0
	for _, f := range l.files {
		if f.pending > 0 {
			n++
		}
	}
	return n
}

// take picks queued messages greedily, down to the priority most: those of one file before all, then by priority, up to limit bytes;
// one message is taken whatever its size. onlySmall: no file above the size that an outbox without room still takes.
func (l *Link) take(most Prio, limit int, onlySmall bool, before *file) []*item {
	if onlySmall {
		limit = smallFrame
	}
	if l.peerFull {
		return l.takeLowest(limit, onlySmall)
	}
	p := picked{least: onlySmall, limit: limit}
	if before != nil {
		for i := range most + 1 {
			l.pick(&p, i, before)
		}
	}
	for i := range most + 1 {
		l.pick(&p, i, nil)
	}
	return p.items
}

// picked is what goes into the next file.
type picked struct {
	items []*item
	size  int
	limit int
	least bool // nothing above the limit, not even alone
}

// pick takes what fits of the queue of a priority; of: only what lies in that file.
func (l *Link) pick(p *picked, prio Prio, of *file) {
	q := l.queues[prio]
	keep := q[:0]
	for i, x := range q {
		switch {
		case x.done:
			x.queued = false
			continue
		case x.ID > l.committed || of != nil && x.file != of || (p.size > 0 || p.least) && p.size+len(x.Data) > p.limit:
			keep = append(keep, q[i])
			continue
		}
		x.queued = false
		p.size += len(x.Data)
		p.items = append(p.items, x)
	}
	clear(q[len(keep):])
	l.queues[prio] = keep
}

// takeLowest picks queued messages by their ids, whatever their priority: a peer that takes no new range needs the
// lowest ones to close its gaps (PROTOCOL "The link").
func (l *Link) takeLowest(limit int, onlySmall bool) []*item {
	var out []*item
	for size := 0; ; {
		var q *[]*item
		for p := range l.queues {
			r := &l.queues[p]
			for len(*r) > 0 && (*r)[0].done {
				(*r)[0].queued = false
				*r = (*r)[1:]
			}
			if len(*r) > 0 && (q == nil || (*r)[0].ID < (*q)[0].ID) {
				q = r
			}
		}
		if q == nil || (*q)[0].ID > l.committed || (size > 0 || onlySmall) && size+len((*q)[0].Data) > limit {
			return out
		}
		x := (*q)[0]
		*q = (*q)[1:]
		x.queued = false
		size += len(x.Data)
		out = append(out, x)
	}
}

// lines packs messages into lines and encodes their claims. Ids ascend within a line.
func (l *Link) lines(now time.Time, seq uint64, take []*item, hello bool, t told) (lines [][]byte, nonce string) {
	var groups [][][]byte
	var ids [][]uint64
	size := 0
	for _, x := range take {
		n := len(groups) - 1
		if n < 0 || size+len(x.Data) > frame.LineTarget {
			groups, ids = append(groups, nil), append(ids, nil)
			n, size = n+1, 0
		}
		groups[n], ids[n] = append(groups[n], x.Data), append(ids[n], x.ID)
		size += len(x.Data) + 1
	}
	if len(groups) == 0 {
		groups, ids = [][][]byte{nil}, [][]uint64{nil}
	}
	c := frame.Claims{V: frame.Version, Iss: l.cfg.Self, Aud: l.cfg.Peer, Rkt: l.cfg.Rkt(), Ep: l.st.Epoch, Pep: l.st.PeerEpoch,
		Seq: seq, Iat: now.Unix(), Run: l.run, Unmet: l.earlier(), Base: l.base(), Fork: l.fork}
	last, ack, rx := l.committed, l.ack(), l.rx(now, t)
	for i, g := range groups {
		c.Idx, c.Fin, c.Jti = i, i == len(groups)-1, l.nonce()
		if i == 0 {
			nonce = c.Jti
		}
		c.Last, c.Ack, c.Rx, c.Caps = nil, nil, nil, nil
		if i == 0 || c.Fin {
			c.Last, c.Ack, c.Rx = &last, ack, rx
		}
		if hello {
			c.Caps = l.cfg.Caps
		}
		sort.Sort(&byID{ids[i], g})
		n := 0
		for _, m := range g {
			n += len(m) + 1
		}
		lines = append(lines, c.Append(make([]byte, 0, n+2048), g))
	}
	return lines, nonce
}

// byID sorts the messages of one line by their ids.
type byID struct {
	ids  []uint64
	msgs [][]byte
}

func (b *byID) Len() int           { return len(b.ids) }
func (b *byID) Less(i, j int) bool { return b.ids[i] < b.ids[j] }
func (b *byID) Swap(i, j int) {
	b.ids[i], b.ids[j] = b.ids[j], b.ids[i]
	b.msgs[i], b.msgs[j] = b.msgs[j], b.msgs[i]
}

// Wrote tells the outcome of writing the frame that Next gave: its size in bytes, or why it failed.
// A failed write is tried again with back-off; nothing is lost by it.
func (l *Link) Wrote(now time.Time, size int64, err error) {
	w := l.writing
	l.writing = nil
	if err != nil {
		for _, x := range w.items {
			l.enqueue(x)
		}
		l.failed(now, w)
		return
	}
	if !now.Before(l.fullAt) {
		l.failures = 0
	}
	f := w.f
	f.at, f.size = now, size
	l.size.wrote(f.seq, size, w.bytes)
	l.lastWrite = now
	l.loss.wrote(f.seq, now, w.told, len(w.items) > 0 || f.hello)
	l.stats.FilesWritten++
	l.stats.BytesWritten += uint64(size)
	l.changes.Sent = append(l.changes.Sent, SentFile{Seq: f.seq, Nonce: w.nonce, At: now, IDs: f.ids, Size: size})
	l.supersede(f)
	l.files = append(l.files, f)
	l.carry(f, w.items)
	if w.stale {
		l.void(f)
	} else if len(w.items) == 0 {
		l.stats.AckOnly++
	} else if f.pending == 0 { // all of it was acked while it was being written
		l.dropFile(f, true)
	} else {
		l.loss.lastEliciting = now
	}
	if w.hello && !w.stale {
		l.greeted(now, f)
	}
}

// failed has the write tried again after a pause. The outbox may be too full, or the file too large: until the pause
// is over small files are tried all the same, for acks let the other side remove files.
func (l *Link) failed(now time.Time, w *pendingWrite) {
	l.failures++
	pause := min(writeRetry<<min(l.failures-1, 10), writeRetryMax)
	small := w.bytes <= smallFrame
	if small {
		l.retryAt = now.Add(pause)
	} else {
		l.retryAt = now.Add(smallRetry)
	}
	l.fullAt = now.Add(pause)
	if l.ackDue.IsZero() && w.acks {
		l.ackDue = l.retryAt
	}
	l.answerDue = l.answerDue || w.answer
}

const (
	smallRetry    = 25 * time.Millisecond
	writeRetry    = 250 * time.Millisecond
	writeRetryMax = 30 * time.Second
)

// carry moves messages into the file that now holds their newest copy.
func (l *Link) carry(f *file, items []*item) {
	for _, x := range items {
		if x.done {
			continue
		}
		if x.sent {
			l.stats.Resent++
		} else {
			l.stats.MessagesSent++
			l.changes.WrittenRefs = append(l.changes.WrittenRefs, x.Ref)
		}
		x.sent = true
		l.leave(x, false)
		x.file = f
		f.pending++
	}
}

// supersede drops older files that carry no messages: any later frame says all that they said.
// A hello stays until a later hello, because only it carries caps.
func (l *Link) supersede(by *file) {
	for i := 0; i < len(l.files); {
		f := l.files[i]
		if f.pending == 0 && len(f.ids) == 0 && (!f.hello || by.hello) {
			l.dropFile(f, false)
			continue
		}
		i++
	}
}
