package bulk

import (
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// pack is one own pack that is not settled.
type pack struct {
	seq     uint64
	recs    []chunk.Record
	xs      []ID // whose each of them is
	names   map[chunk.Name]bool
	size    int64
	verify  bool
	msgID   uint64    // of its announcement
	written time.Time // zero: not yet
	writing bool
	retryAt time.Time // writing failed: not before
	tries   int       // of writing

	probeAt time.Time
	probes  int
	probeID uint64 // of a probe that is not acknowledged; 0: none
	probing bool   // a probe was asked for and has no id yet, or is not acknowledged
}

// Pack is one file to write: its records in order.
type Pack struct {
	Seq     uint64
	Records []chunk.Record
	Size    int64 // bytes
	// Verify says that a record may have lain here for long: its hash is checked before it is sent again.
	Verify bool
}

const (
	// earlyBytes and earlyOpen: with few packs on their way, one is begun before it is full when this much waits,
	// so that gathering, writing, carrying and reading overlap.
	earlyBytes = 8 << 20
	earlyOpen  = 4
	writeRetry = time.Second
	writeMax   = 30 * time.Second
)

// Ready says whether a pack can be announced now.
func (p *Peer) Ready() bool { return p.pick() >= 0 }

// pick gives the place in the ring of the transfer whose turn it is, -1 for none.
func (p *Peer) pick() int {
	if len(p.packs) >= p.cfg.MaxOpen || p.openBytes >= p.cfg.OpenBytes || p.Probing() {
		return -1
	}
	for i, t := range p.ring {
		if len(t.queue) == 0 || t.hasty() || len(p.packs) == 0 || len(t.queue) >= maxRecords ||
			t.queuedBytes >= p.packSize() || t.queuedBytes >= earlyBytes && len(p.packs) < earlyOpen {
			return i
		}
	}
	return -1
}

// hasty says that what is queued waits for no company.
func (t *transfer) hasty() bool { return t.flush || len(t.queue) > 0 && t.queue[0].again }

// Probing says that an answer about packs is waited for: nothing bulky is written meanwhile.
func (p *Peer) Probing() bool {
	for _, k := range p.packs {
		if k.probing {
			return true
		}
	}
	return false
}

// Next gathers a pack under the given number and announces it; nil when there is nothing to send after all. The
// file is to be written when the announcement is durable.
func (p *Peer) Next(seq uint64) *Pack {
	for i := p.pick(); i >= 0; i = p.pick() {
		k := &pack{seq: seq, names: map[chunk.Name]bool{}}
		p.gather(k, i)
		p.fill(k)
		if len(k.recs) == 0 {
			continue
		}
		p.packs[seq] = k
		p.openBytes += k.size
		k.writing = true
		p.changes.Put = append(p.changes.Put, k.row(Announced))
		p.changes.Send = append(p.changes.Send, Message{Kind: frame.KindPack, Exchange: k.xs[0], Got: func(id uint64) { k.msgID = id },
			Data: encode(announcement(seq, k.recs, k.runs()))})
		return k.file()
	}
	return nil
}

// fill adds what others have ready now, and fits as a whole: many small bodies make few files. Nothing waits for more to come.
func (p *Peer) fill(k *pack) {
	limit := p.share()
	for i := 0; i < len(p.ring) && !p.cfg.Alone; {
		t := p.ring[i]
		size := t.queuedBytes + int64(len(t.queue))*chunk.HeaderLen
		if !t.hasty() || k.of(t.x) || k.size+size > limit || len(k.recs)+len(t.queue) > maxRecords {
			i++
			continue
		}
		if len(k.runs()) >= maxRuns {
			return
		}
		p.gather(k, i)
	}
}

const (
	// shareLeast and shareMost bound the packs of several exchanges, in bytes.
	shareLeast = 256 << 10
	shareMost  = 4 << 20
	// shareTime is what the pipe may take to carry one.
	shareTime = 100 * time.Millisecond
)

// share is how large a pack may become by chunks of further exchanges: whoever has some in it waits for all of it.
func (p *Peer) share() int64 {
	limit := min(max(int64(p.pace.rate*shareTime.Seconds()), shareLeast), shareMost, p.packSize())
	if p.cfg.Apart > 0 {
		limit = min(limit, p.cfg.Apart)
	}
	return limit
}

// runs says whose the records are.
func (k *pack) runs() (runs []Run) {
	for _, x := range k.xs {
		if n := len(runs); n > 0 && runs[n-1].Exchange == x {
			runs[n-1].N++
			continue
		}
		runs = append(runs, Run{x, 1})
	}
	return runs
}

// of tells whether a pack has chunks of an exchange.
func (k *pack) of(x ID) bool { return slices.Contains(k.xs, x) }

// wanted says whether anything in a pack is of a transfer that is still there.
func (p *Peer) wanted(k *pack) bool {
	return slices.ContainsFunc(k.xs, func(x ID) bool { return p.transfers[x] != nil })
}

func (k *pack) file() *Pack {
	return &Pack{Seq: k.seq, Records: k.recs, Size: k.size, Verify: k.verify}
}

func (k *pack) row(s RowState) Row {
	return Row{Key: Key{true, k.seq}, Runs: k.runs(), Records: k.recs, State: s, At: k.written, Size: k.size}
}

// gather takes what the transfer in a place of the ring has queued, up to the size of a pack; the first one of a pack gives at
// least one record, if any is left to be sent.
func (p *Peer) gather(k *pack, place int) {
	t := p.ring[place]
	p.ring = slices.Delete(p.ring, place, place+1)
	t.listed = false
	defer p.list(t)
	limit, n := p.packSize(), 0
	for _, it := range t.queue {
		need := it.rec.Size()
		if len(k.recs) > 0 && k.size+need > limit || len(k.recs) == maxRecords || it.begins && p.cfg.Apart > 0 && k.size >= p.cfg.Apart {
			break
		}
		n++
		t.queuedBytes -= it.rec.Len
		if p.held.has(it.rec.Name) || p.flying(it.rec.Name) || k.names[it.rec.Name] {
			t.there(it)
			continue
		}
		k.recs, k.xs = append(k.recs, it.rec), append(k.xs, t.x)
		k.names[it.rec.Name] = true
		k.size += need
		k.verify = k.verify || it.again
		p.noteSent(t, it)
		it.state, it.packed = itemPacked, k.seq
	}
	t.queue = t.queue[n:]
}

func (p *Peer) noteSent(t *transfer, it *item) {
	p.stats.ChunksSent++
	if it.again {
		p.stats.ChunksResent++
		return
	}
	t.progress.SentChunks++
	t.progress.SentBytes += it.rec.Len
}

// Rewrites gives packs whose announcement is durable and whose writing failed or was cut off by a restart.
func (p *Peer) Rewrites(now time.Time) []*Pack {
	var out []*Pack
	for _, k := range inOrder(p.packs) {
		if k.written.IsZero() && !k.writing && !now.Before(k.retryAt) {
			k.writing = true
			out = append(out, k.file())
		}
	}
	return out
}

// Written tells the outcome of writing a pack. base is the link's time for a round trip of a small file.
func (p *Peer) Written(now time.Time, seq uint64, base time.Duration, err error) {
	k := p.packs[seq]
	if k == nil { // withdrawn meanwhile
		if err == nil {
			p.changes.Remove = append(p.changes.Remove, seq)
		}
		return
	}
	k.writing = false
	if err != nil {
		k.retryAt = now.Add(min(writeRetry<<min(k.tries, 8), writeMax))
		k.tries++
		return
	}
	k.written = now
	k.probeAt = now.Add(p.pace.probeAfter(base, k.size, 0))
	p.stats.PacksWritten++
	p.stats.BytesWritten += uint64(k.size)
	p.changes.Put = append(p.changes.Put, k.row(Written))
}

// Damaged tells that chunks of a pack that was to be written are not here, or not as they were: the pack is
// given up, what is good goes into another, and the peer is told what it cannot have.
func (p *Peer) Damaged(seq uint64, names []chunk.Name) {
	k := p.packs[seq]
	if k == nil {
		return
	}
	bad := map[chunk.Name]bool{}
	for _, n := range names {
		bad[n] = true
	}
	at := 0
	for _, run := range k.runs() {
		recs := k.recs[at : at+run.N]
		at += run.N
		t := p.transfers[run.Exchange]
		if t == nil { // over; nobody waits for them
			continue
		}
		var gone []chunk.Name
		for _, r := range recs {
			if !bad[r.Name] {
				p.again(t, r.Name)
				continue
			}
			gone = append(gone, r.Name)
			t.remove(r.Name)
		}
		p.tell(frame.KindGone, run.Exchange, gone, nil)
	}
	p.drop(k)
}

// again has a chunk of a given up pack sent once more.
func (p *Peer) again(t *transfer, n chunk.Name) {
	if t == nil || t.items[n] == nil {
		return
	}
	it := t.items[n]
	if it.state == itemQueued {
		return
	}
	t.back(it)
	it.again = true
	t.enqueue(it, true)
	p.list(t)
}

// drop forgets an own pack and removes its file. The announcement of one that the pipe may have taken is still told:
// without it the file would lie in the peer's inbox for as long as that waits for one.
func (p *Peer) drop(k *pack) {
	p.forgetPack(k)
	if k.written.IsZero() && !k.writing {
		p.withdraw(k.msgID)
	}
}

// forgetPack is drop that leaves open whether the peer hears of the pack.
func (p *Peer) forgetPack(k *pack) {
	delete(p.packs, k.seq)
	p.openBytes -= k.size
	p.changes.Drop = append(p.changes.Drop, Key{true, k.seq})
	p.changes.Remove = append(p.changes.Remove, k.seq)
	p.withdraw(k.probeID)
}

// withdraw takes a message back; 0: none.
func (p *Peer) withdraw(id uint64) {
	if id != 0 {
		p.changes.Withdrawn = append(p.changes.Withdrawn, id)
	}
}

// tell sends a list of names in as many messages as it takes.
func (p *Peer) tell(kind frame.Kind, x ID, names []chunk.Name, got func(id uint64)) {
	for len(names) > 0 {
		n := min(len(names), maxNames)
		p.changes.Send = append(p.changes.Send, Message{Kind: kind, Exchange: x, Data: encode(NamesData{x, names[:n]}), Got: got})
		names = names[n:]
	}
}
