package bulk

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
)

// Saved is what an exchange offered, in order, as it was stored.
type Saved struct {
	Exchange ID
	Records  []chunk.Record
}

// Restore takes what an earlier run left: packs, what unfinished exchanges offered, and what the peer is known
// to hold, the oldest first. Bodies are taken for ended: nothing is kept waiting. To be called once, first.
func (p *Peer) Restore(now time.Time, rows []Row, saved []Saved, names []chunk.Name) {
	for _, n := range names {
		p.held.add(n)
	}
	for _, r := range rows {
		if r.Own {
			p.restoreOwn(now, r)
		} else {
			p.restoreAnnounced(r)
		}
	}
	for _, s := range saved {
		p.restoreOffer(s)
		p.Flush(s.Exchange)
	}
	for _, k := range inOrder(p.packs) { // of exchanges that are over
		if !p.wanted(k) {
			p.drop(k)
		}
	}
}

func (p *Peer) restoreOwn(now time.Time, r Row) {
	k := &pack{seq: r.Seq, recs: r.Records, xs: owners(r.Runs), names: map[chunk.Name]bool{}, size: r.Size, verify: true}
	for _, x := range r.Records {
		k.names[x.Name] = true
	}
	if r.State == Written {
		// By the clock of this run: one that is set back, since or from now on, must not make the pack younger, or it would not
		// be lost before it is that late again.
		k.written, k.probeAt = now.Add(min(r.At.Sub(now), 0)), now.Add(restoredProbe)
	}
	p.packs[k.seq] = k
	p.openBytes += k.size
}

// restoredProbe is how long after a restart packs of an earlier run are asked about: the answer may have come by itself.
const restoredProbe = time.Second

func (p *Peer) restoreAnnounced(r Row) {
	if len(r.Runs) == 0 {
		if gone, full := p.over.add(r.Seq); full {
			p.changes.Drop = append(p.changes.Drop, Key{Seq: gone})
		}
		return
	}
	a := &announced{seq: r.Seq, runs: r.Runs, recs: r.Records, miss: r.Miss, settled: r.State == Settled, at: r.At}
	p.note(a)
	if a.settled {
		a.recs = nil
		return
	}
	p.unsettled++
	for x, recs := range a.parts {
		p.charge(x, recs)
	}
	a.got, a.left = make([]bool, len(a.recs)), len(a.recs)
	for _, x := range a.recs {
		p.expected[x.Name]++
	}
}

// restoreOffer queues what is neither held by the peer nor in an open pack.
func (p *Peer) restoreOffer(s Saved) {
	open := map[chunk.Name]uint64{}
	for _, k := range p.packs {
		for i, r := range k.recs {
			if k.xs[i] == s.Exchange {
				open[r.Name] = k.seq
			}
		}
	}
	p.Offer(s.Exchange, s.Records)
	t := p.transfers[s.Exchange]
	for n, seq := range open { // in any order
		if it := t.items[n]; it != nil && it.state == itemThere && !p.held.has(n) {
			t.back(it)
			it.state, it.packed = itemPacked, seq
			t.progress.SentChunks++
			t.progress.SentBytes += it.rec.Len
		}
	}
	for _, it := range t.queue {
		it.again = true // nobody knows whether it was sent; it has lain here for long
	}
}

// recordSize is the stored form of a record: name, hash, length (4 bytes, big endian).
const recordSize = 16 + 32 + 4

// PackRecords gives the stored form of records.
func PackRecords(recs []chunk.Record) []byte {
	b := make([]byte, 0, recordSize*len(recs))
	for _, r := range recs {
		b = append(append(b, r.Name[:]...), r.Hsh[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(r.Len))
	}
	return b
}

// ErrStored says that a stored form is damaged.
var ErrStored = errors.New("stored records are damaged")

// UnpackRecords reads what PackRecords gives.
func UnpackRecords(b []byte) ([]chunk.Record, error) {
	if len(b)%recordSize != 0 {
		return nil, ErrStored
	}
	recs := make([]chunk.Record, len(b)/recordSize)
	for i := range recs {
		x := b[i*recordSize:]
		copy(recs[i].Name[:], x)
		copy(recs[i].Hsh[:], x[16:])
		recs[i].Len = int64(binary.BigEndian.Uint32(x[48:]))
	}
	return recs, nil
}

// PackMiss gives the stored form of places in a pack.
func PackMiss(miss []int) []byte {
	var b []byte
	for _, i := range miss {
		b = binary.BigEndian.AppendUint16(b, uint16(i))
	}
	return b
}

// UnpackMiss reads what PackMiss gives.
func UnpackMiss(b []byte) ([]int, error) {
	if len(b)%2 != 0 {
		return nil, ErrStored
	}
	var miss []int
	for ; len(b) > 0; b = b[2:] {
		miss = append(miss, int(binary.BigEndian.Uint16(b)))
	}
	return miss, nil
}
