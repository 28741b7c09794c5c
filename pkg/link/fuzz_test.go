package link_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
)

// bench is two links whose events a fuzzer chooses, and what their disks hold.
type bench struct {
	t    *testing.T
	now  time.Time
	rnd  *rand.Rand
	ends [2]*end
	air  []flight
}

// flight is a file on its way; it stays there, so that it may come any number of times.
type flight struct {
	to    int
	seq   uint64
	lines [][]byte
}

type end struct {
	b    *bench
	n    int
	l    *link.Link
	disk link.State
	rows []link.Item // of the outbox, durable
	new  []link.Item // submitted since
	got  map[[3]uint64]bool
}

const fuzzRanges, fuzzWindow = 8, 32

func newBench(t *testing.T, seed uint64) *bench {
	b := &bench{t: t, now: time.UnixMilli(1_763_800_000_000), rnd: rand.New(rand.NewPCG(seed, 2))}
	for n := range b.ends {
		b.ends[n] = &end{b: b, n: n}
		b.ends[n].start()
	}
	return b
}

// start is what a site does that comes up with what its disk holds.
func (e *end) start() {
	e.new, e.got = nil, map[[3]uint64]bool{}
	e.l = link.New(link.Config{Self: identity.ID{byte(e.n + 1)}, Peer: identity.ID{byte(2 - e.n)}, Caps: []string{"req", "res"}, Rand: e.b.rnd,
		Rkt:            func() string { return "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
		WindowMessages: fuzzWindow, MaxRanges: fuzzRanges, MaxFiles: 4}, e.disk, e.b.now, 0)
	e.l.SetHeld(int64(len(e.rows)), 0)
	e.load()
	e.l.DropEmpty()
}

func (e *end) load() {
	for q := e.l.NeedLoad(); q.N > 0; q = e.l.NeedLoad() {
		var rows []link.Item
		for _, r := range e.rows {
			if r.ID > q.After && r.ID <= e.l.CommittedID() && (!q.Small || r.Prio < link.PrioBulk) && len(rows) < q.N {
				rows = append(rows, r)
			}
		}
		e.l.Load(rows, q, e.l.CommittedID())
	}
}

// commit makes all that the link knows durable.
func (e *end) commit() {
	c := e.l.Drain()
	st := e.l.Snapshot()
	e.rows, e.new = append(e.rows, e.new...), nil
	e.rows = slices.DeleteFunc(e.rows, func(r link.Item) bool { return c.Acked.Contains(r.ID) || c.Withdrawn.Contains(r.ID) })
	e.disk = st
	e.l.Committed(e.b.now, st)
	e.load()
}

// write takes a frame, holds it against what is durable, and throws it into the air.
func (e *end) write(fails bool) {
	f := e.l.Next(e.b.now)
	if f == nil {
		return
	}
	for _, line := range f.Lines {
		c, err := frame.ParseClaims(line)
		if err != nil {
			e.b.t.Fatalf("a link writes what it would not read: %v\n%s", err, line)
		}
		if c.Ep != e.disk.Epoch {
			e.b.t.Fatalf("written under epoch %d, and %d is durable", c.Ep, e.disk.Epoch)
		}
		for i := range c.Msg {
			if c.Msg[i].ID > e.disk.LastID {
				e.b.t.Fatalf("message %d written, and %d is the last that is durable", c.Msg[i].ID, e.disk.LastID)
			}
		}
		if c.Ack == nil || c.Pep != e.disk.PeerEpoch {
			continue
		}
		if said := append(frame.Ranges{}, c.Ack.OOO...); c.Ack.Contig > e.disk.Contig || !subset(said, e.disk) {
			e.b.t.Fatalf("acked %d and %v; durable are %d and %v", c.Ack.Contig, said, e.disk.Contig, e.disk.OOO)
		}
	}
	if fails {
		e.l.Wrote(e.b.now, 0, errors.New("no room"))
		return
	}
	e.l.Wrote(e.b.now, 1000, nil)
	e.b.air = append(e.b.air, flight{1 - e.n, f.Seq, f.Lines})
}

func subset(r frame.Ranges, st link.State) bool {
	for _, x := range st.OOO {
		r.Remove(x[0], x[1])
	}
	r.Remove(0, st.Contig)
	return len(r) == 0
}

// receive hands a file over, with some of its lines or all; twist may change what it says.
func (e *end) receive(f flight, lines int, twist func(*frame.Claims)) {
	in := link.File{Seq: f.seq, Size: 1000, Whole: lines >= len(f.lines), Cut: lines < len(f.lines)}
	for _, raw := range f.lines[:min(lines, len(f.lines))] {
		c, err := frame.ParseClaims(raw)
		if err != nil {
			e.b.t.Fatal(err)
		}
		if twist != nil {
			twist(c)
			in.Seq = c.Seq
			again := c.Append(nil, messages(e.b.t, c))
			if c, err = frame.ParseClaims(again); err != nil {
				return // nothing that the reader lets through
			}
		}
		in.Lines = append(in.Lines, c)
	}
	own, _ := e.l.Epoch()
	for _, d := range e.l.Receive(e.b.now, in) {
		now, _ := e.l.Epoch()
		key := [3]uint64{now, d.PeerEpoch, d.ID}
		if e.got[key] && now == own {
			e.b.t.Fatalf("message %d of epoch pair %d, %d was delivered twice", d.ID, now, d.PeerEpoch)
		}
		e.got[key] = true
	}
}

func messages(t *testing.T, c *frame.Claims) (out [][]byte) {
	for i := range c.Msg {
		tail, err := frame.EncodeTail(c.Msg[i].Kind, c.Msg[i].Data, c.Msg[i].Body, false)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, tail.WithID(c.Msg[i].ID))
	}
	return out
}

// hold checks what must hold after every event.
func (e *end) hold() {
	st, sz := e.l.State(), e.l.Sizes()
	own, _ := e.l.Epoch()
	switch {
	case !st.OOO.Valid() || len(st.OOO) > 0 && st.OOO[0][0] <= st.Contig+1:
		e.b.t.Fatalf("received ranges %v above %d", st.OOO, st.Contig)
	case len(e.disk.OOO) > fuzzRanges:
		e.b.t.Fatalf("%d ranges are durable, %d allowed", len(e.disk.OOO), fuzzRanges)
	case sz.Window > fuzzWindow+8:
		e.b.t.Fatalf("%d messages in memory, %d allowed", sz.Window, fuzzWindow)
	case own < e.disk.Epoch:
		e.b.t.Fatalf("own epoch %d fell below %d", own, e.disk.Epoch)
	}
	_ = e.l.Deadline(e.b.now)
}

// FuzzEvents lets a fuzzer choose every event of two links: what is submitted, committed, written, lost, repeated, cut
// and twisted by a peer that lies, when power fails and how time passes. Nothing may break what a link promises.
func FuzzEvents(f *testing.F) {
	f.Add(uint64(1), []byte{1, 9, 2, 10, 3, 11, 0, 8, 1, 9, 2, 10, 3, 11, 5, 2, 10, 3})
	f.Add(uint64(2), []byte{1, 9, 2, 10, 3, 3, 0, 0, 0, 1, 2, 7, 15, 23, 6, 14, 1, 2, 3, 5, 13, 21})
	f.Add(uint64(3), []byte{1, 9, 2, 10, 3, 11, 0, 1, 2, 4, 0, 1, 2, 19, 27, 5, 45, 2, 9, 10, 11, 3})
	f.Fuzz(func(t *testing.T, seed uint64, ops []byte) {
		b := newBench(t, seed)
		for _, op := range ops[:min(len(ops), 400)] {
			b.do(op)
			for _, e := range b.ends {
				e.hold()
			}
		}
	})
}

func (b *bench) do(op byte) {
	e, arg := b.ends[op>>3&1], int(op>>4)
	switch op & 7 {
	case 0:
		tail, err := frame.EncodeTail(frame.KindReq, []byte(`{"text":"x"}`), nil, false)
		if err != nil {
			b.t.Fatal(err)
		}
		e.new = append(e.new, e.l.Submit([]link.Outgoing{{Kind: frame.KindReq, Prio: link.Prio(arg % 3), Tail: tail}})...)
	case 1:
		e.commit()
	case 2:
		e.write(arg == 15)
	case 3, 7:
		if len(b.air) == 0 {
			return
		}
		fl := b.air[(len(b.air)-1-arg+16*len(b.air))%len(b.air)]
		if op&7 == 3 {
			b.ends[fl.to].receive(fl, len(fl.lines)-arg/12, nil)
			return
		}
		b.ends[fl.to].receive(fl, len(fl.lines), b.lie)
	case 4:
		if len(b.air) > 0 {
			b.air = b.air[1:]
		}
	case 5:
		b.now = b.now.Add(time.Duration(1<<arg) * 20 * time.Millisecond)
		for _, e := range b.ends {
			e.l.Tick(b.now)
		}
	case 6:
		e.start()
	}
}

// lie changes some of what a line says, as a peer could that has the keys.
func (b *bench) lie(c *frame.Claims) {
	near := func(n uint64) uint64 { return n + b.rnd.Uint64N(5) - min(n, 2) }
	switch b.rnd.IntN(8) {
	case 0:
		c.Ep = near(c.Ep)
		c.Seq = max(c.Seq, c.Ep*frame.SeqPerEpoch)
	case 1:
		c.Pep = near(c.Pep)
	case 2:
		c.Base = near(c.Base)
	case 3:
		if c.Ack != nil {
			c.Ack.Contig = near(c.Ack.Contig)
		}
	case 4:
		c.Seq += b.rnd.Uint64N(3000)
	case 5:
		c.Run.FirstSeq, c.Run.Rand[0] = near(c.Run.FirstSeq), byte(b.rnd.Uint32())
	case 6:
		for i := range c.Msg {
			c.Msg[i].ID += b.rnd.Uint64N(1 << 40)
		}
		if c.Last != nil && len(c.Msg) > 0 {
			*c.Last = max(*c.Last, c.Msg[len(c.Msg)-1].ID)
		}
	case 7:
		c.Fork = true
	}
}
