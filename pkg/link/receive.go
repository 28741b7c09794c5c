package link

import (
	"maps"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/planted"
)

// File is what was verified of one file of the peer.
type File struct {
	Seq   uint64
	Size  int64
	Lines []*frame.Claims // verified lines that were not handed in before
	// Whole says that every line of the file verified, now or before.
	Whole bool
	// Cut says that the file is settled and not whole: no more of it will come. Of a pack: that it is settled.
	Cut bool
	// Pack says that it is a pack, which is not opened yet: nothing for Receive.
	Pack bool
}

// Delivery is one message that was not received before; it is to be stored, or its effects, with the
// next Snapshot.
type Delivery struct {
	frame.Message
	PeerEpoch uint64
	SentAt    time.Time // iat of its line
}

// Receive takes a file. What it returns is delivered once per epoch pair; everything else (acks,
// feedback, epochs) is applied here. Lines of a wrong pair have no effect but an answer.
func (l *Link) Receive(now time.Time, in File) []Delivery {
	var out []Delivery
	l.stats.FilesRead++
	l.stats.BytesRead += uint64(in.Size)
	current := false
	for _, c := range in.Lines {
		ofPeer, ofPair := l.pair(now, c)
		if !ofPeer {
			continue
		}
		current = true
		l.transit.note(now, time.Unix(c.Iat, 0))
		l.st.LastSeen = now
		if c.Caps != nil {
			l.st.PeerCaps = c.Caps
			l.dirty = true
		}
		if planted.Bug == planted.OldPairAck && !ofPair && c.Ack != nil && !l.beyond(c.Ack, l.newly(c.Ack)) {
			l.acked(now, c.Ack, l.newly(c.Ack))
		}
		if !ofPair {
			continue
		}
		if c.Caps != nil {
			l.elicited, l.owed = true, true // a hello is repeated until its sender hears that it came
		}
		var newly frame.Ranges
		if c.Ack != nil {
			newly = l.newly(c.Ack)
		}
		if c.Ack != nil && (l.beyond(c.Ack, newly) || l.unwritten(c.Rx)) {
			// The peer has had messages or files of ours that we know nothing of: our state was restored from an
			// older copy. Ids would be used twice in this epoch, so it ends here (PROTOCOL "Epochs").
			l.stats.BadAcks++
			l.force(now, c)
			continue
		}
		if c.Ack != nil {
			l.feedback(now, c.Rx)
			l.acked(now, c.Ack, newly)
			l.st.PeerLast = max(l.st.PeerLast, *c.Last)
			l.peerFull = c.Ack.Full
		}
		if len(c.Msg) > 0 && in.Seq > l.top {
			l.loss.heard()
		}
		// What the peer no longer holds is believed only by a run that the peer has met: an older copy of our state
		// would learn from it to ack what it never had, and nobody would notice that it is one.
		if c.Rx != nil {
			l.meet(c.Rx.Run)
		}
		if l.met {
			l.advanceBase(c.Base)
		}
		for i := range c.Msg {
			if l.accept(c.Msg[i].ID) {
				out = append(out, Delivery{c.Msg[i], l.st.PeerEpoch, time.Unix(c.Iat, 0)})
			}
		}
	}
	if current || len(in.Lines) == 0 && l.begunFiles.Contains(in.Seq) && in.Seq/frame.SeqPerEpoch >= l.st.PeerEpoch {
		l.handled(now, in)
	}
	if l.repeated != 0 {
		l.unheard(now, l.repeated)
		l.repeated = 0
		l.askAck(now)
		l.owed = true // its file is a measure of the round trip
	}
	l.detectLost(now)
	return out
}

// unheard deals with a message that the peer repeats although it is acked: a file that said so, and that is older than a
// round trip, has not come, else the peer would not have repeated it. Writing its content again carries the ack too.
func (l *Link) unheard(now time.Time, id uint64) {
	limit := time.Duration(l.loss.factor * float64(max(l.rtt.smoothed, l.rtt.latest)))
	for _, f := range l.files {
		if f.lost || f.seen || f.pending == 0 || f.contig < id || now.Before(f.since().Add(limit)) {
			continue
		}
		if l.waits(f) {
			f.suspect = true
			l.missed(now, f)
			continue
		}
		l.giveUp(now, f)
	}
}

// handled notes the file for the feedback.
func (l *Link) handled(now time.Time, in File) {
	switch {
	case !in.Whole && !in.Cut: // it may end without a line that is new
		l.begunFiles.Add(in.Seq, in.Seq)
		trimLow(&l.begunFiles, keptSeen)
	case in.Whole:
		l.freshSeen.Add(in.Seq, in.Seq)
		l.dirty = true
	case in.Cut:
		l.cuts = append(l.cuts, frame.Cut{in.Seq, uint64(in.Size)})
		if len(l.cuts) > frame.MaxCut {
			l.cuts = l.cuts[1:]
		}
		l.dirty = true
		if in.Seq >= l.top { // else later files came, and their acks have told what is missing
			l.elicited, l.urgentAck, l.owed = true, true, true
		}
	}
	if in.Seq > l.top {
		if l.top != 0 && in.Seq != l.top+1 {
			l.urgentAck = true // a gap: the sender wants to know early
		}
		l.top = in.Seq
	}
}

// accept says whether a message id is new, and takes it.
func (l *Link) accept(id uint64) bool {
	l.touched[l.nextTouched] = id
	l.nextTouched = (l.nextTouched + 1) % len(l.touched)
	if id <= l.st.Contig || id < l.peerBase || l.st.OOO.Contains(id) {
		l.stats.Duplicates++
		l.repeated = max(l.repeated, id)
		return false
	}
	l.elicited, l.owed = true, true
	if l.staging.Contains(id) || l.fresh.Contains(id) {
		l.stats.Duplicates++
		return false
	}
	if planted.Bug == planted.Distance && id > l.st.Contig+1<<16 {
		return false
	}
	if l.opensRange(id) && len(l.st.OOO)+len(l.staging)+len(l.fresh) >= l.cfg.MaxRanges {
		l.full = true
		return false
	}
	l.fresh.Add(id, id)
	l.stats.MessagesReceived++
	return true
}

// opensRange says whether an id adjoins nothing that was received.
func (l *Link) opensRange(id uint64) bool {
	if id == l.st.Contig+1 {
		return false
	}
	for _, r := range []frame.Ranges{l.st.OOO, l.staging, l.fresh} {
		if r.Contains(id-1) || r.Contains(id+1) {
			return false
		}
	}
	return true
}

// advanceBase takes the ack of the ack. It counts in what is told to the peer once it is durable: what was told once
// must hold after a crash.
func (l *Link) advanceBase(base uint64) {
	if base <= l.peerBase {
		return
	}
	l.peerBase, l.full, l.dirty = base, false, true
}

// ack says what is stored durably. Ids of a commit under way are not in it.
func (l *Link) ack() *frame.Ack {
	a := &frame.Ack{Contig: l.st.Contig, Full: l.full}
	a.OOO = l.st.OOO
	if planted.Bug == planted.AckEarly {
		a.OOO = a.OOO.Clone()
		a.OOO.Union(l.staging)
		a.OOO.Union(l.fresh)
		closeGap(&a.Contig, &a.OOO)
	}
	if len(a.OOO) > frame.MaxOOO {
		a.OOO = l.changedLast()
	}
	return a
}

// changedLast picks the ranges that ids came to last, repeated ones too, and fills up with the highest: whoever
// repeats a message must be told that it is here, however many gaps there are.
func (l *Link) changedLast() frame.Ranges {
	picked := map[int]bool{}
	for i := range l.touched {
		id := l.touched[(l.nextTouched+2*len(l.touched)-1-i)%len(l.touched)]
		if n := l.st.OOO.Index(id); n >= 0 {
			picked[n] = true
		}
	}
	for n := len(l.st.OOO) - 1; len(picked) < frame.MaxOOO; n-- {
		picked[n] = true
	}
	out := make(frame.Ranges, 0, len(picked))
	for _, n := range slices.Sorted(maps.Keys(picked)) {
		out = append(out, l.st.OOO[n])
	}
	return out
}

// told is what a file says of the peer's files.
type told struct {
	seen frame.Ranges
	cuts []frame.Cut
}

// telling gives what the peer is not known to know yet of its files. (RFC 9000 section 13.2.4: what was told in
// a packet that came need not be told again.) Lost files leave gaps, and without this every file would list them.
func (l *Link) telling() told {
	seen := l.untold
	if len(seen) > frame.MaxSeen {
		seen = seen[len(seen)-frame.MaxSeen:]
	}
	return told{seen.Clone(), slices.Clone(l.cuts)}
}

// noteTold takes note of which of our files came, and so of what the peer knows by them.
func (l *Link) noteTold(seen frame.Ranges) {
	for i := range l.loss.written {
		w := &l.loss.written[i]
		if len(w.told.seen)+len(w.told.cuts) == 0 || !seen.Contains(w.seq) {
			continue
		}
		for _, r := range w.told.seen {
			l.untold.Remove(r[0], r[1])
		}
		l.cuts = slices.DeleteFunc(l.cuts, func(c frame.Cut) bool { return slices.Contains(w.told.cuts, c) })
		w.told = told{}
	}
}

// rx says which files came.
func (l *Link) rx(now time.Time, t told) *frame.Rx {
	top := &l.durableTop
	x := &frame.Rx{Top: top.seq, Seen: t.seen, Cut: t.cuts, Run: l.durableRun}
	if top.seq != 0 {
		x.Dly = max((now.Sub(top.at) - top.late).Milliseconds(), 0)
	}
	return x
}

// topFile is the highest file of the peer whose effects are durable. The peer measures its round trip by what it hears of
// it, less the time that was waited on purpose: from when it was durable to when its ack was due. That a commit or a
// write takes long is part of the round trip; else a peer of a slow disk would take for lost what merely waits for it.
type topFile struct {
	seq  uint64
	at   time.Time     // when it became durable
	told bool          // in some frame
	late time.Duration // how long after it was due the first frame that told it was made
}

// tell notes that a frame is made that tells of it, for which an ack was due; zero: none was.
func (f *topFile) tell(now, due time.Time) {
	if !f.told && !due.IsZero() && now.After(due) {
		f.late = min(now.Sub(due), now.Sub(f.at))
	}
	f.told = true
}

// askAck makes an ack due: with the next frame, or by itself after AckDelay.
func (l *Link) askAck(now time.Time) {
	due := now.Add(l.cfg.AckDelay)
	if l.urgentAck {
		due = now.Add(l.cfg.AckDelay / 8)
		l.urgentAck = false
	}
	if l.ackDue.IsZero() || due.Before(l.ackDue) {
		l.ackDue = due
	}
}

// beyond says whether an ack, of which newly is new, names ids that this site never gave, or whose messages no file had yet.
func (l *Link) beyond(a *frame.Ack, newly frame.Ranges) bool {
	if hi, _ := a.OOO.Max(); max(a.Contig, hi) > l.st.LastID {
		return true
	}
	for id := range newly.All() {
		if !l.MayBeWritten(id) && planted.Bug != planted.Rollback {
			return true
		}
	}
	return false
}

// newly gives the ids of an ack that are not known to be acked, or withdrawn.
func (l *Link) newly(a *frame.Ack) frame.Ranges {
	newly := frame.Ranges{}
	if a.Contig > 0 {
		newly.Add(1, a.Contig)
	}
	newly.Union(a.OOO)
	for _, d := range l.done {
		newly.Remove(d[0], d[1])
	}
	return newly
}

// unwritten says whether the peer has seen a file whose number this site never gave.
func (l *Link) unwritten(x *frame.Rx) bool {
	return x.Top >= l.nextSeq && planted.Bug != planted.Rollback
}

// acked applies the peer's ack of own messages, of which newly is new.
func (l *Link) acked(now time.Time, a *frame.Ack, newly frame.Ranges) {
	if len(newly) == 0 {
		return
	}
	for id := range newly.All() {
		l.finish(id, &l.changes.AckedRefs)
	}
	l.changes.Acked.Union(newly)
	l.st.AckedContig = max(l.st.AckedContig, a.Contig)
	l.st.AckedOOO.Union(a.OOO)
	closeGap(&l.st.AckedContig, &l.st.AckedOOO)
	l.loss.progress()
	l.dirty = true
}
