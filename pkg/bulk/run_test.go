package bulk

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// Bodies that are ready at the same time share a pack, each its own record; nobody's chunks are lost when some of them do not come.
func TestSmallBodiesShareAPack(t *testing.T) {
	w := newWorld(t, 1)
	const bodies = 40
	for i := range byte(bodies) {
		recs := records(int(i), 2, 4_000)
		for _, r := range recs {
			w.a.chunks[r.Name] = true
		}
		w.a.p.Offer(id(i+1), recs)
		w.a.p.Flush(id(i + 1))
	}
	k := w.a.p.Next(1)
	d := must(Decode[PackData](w.a.p.Drain().Send[0].Data))
	if len(k.Records) != 2*bodies || len(d.Also) != bodies-1 || w.a.p.Ready() {
		t.Fatalf("%d records, %d further exchanges", len(k.Records), len(d.Also))
	}
	if !w.b.p.Announce(w.now, d) {
		t.Fatal("not taken")
	}
	w.a.p.Written(w.now, 1, rtt, nil)
	w.b.p.Came(1, []int{0, 1, 3, 4}, 0, true)
	c := w.b.p.Drain()
	if want := []Stored{{id(1), names(k.Records[:2])}, {id(2), names(k.Records[3:4])}, {id(3), names(k.Records[4:5])}}; !slices.EqualFunc(c.Stored, want, sameStored) {
		t.Errorf("%v", c.Stored)
	}
	w.a.p.Have(w.now, must(Decode[HaveData](c.Send[0].Data)), rtt)
	for x, want := range map[byte]int{1: 2, 2: 1, 3: 1, 4: 0} {
		if pr, ok := w.a.p.Progress(id(x)); !ok || pr.ThereChunks != want {
			t.Errorf("of body %d %d chunks are there, want %d", x, pr.ThereChunks, want)
		}
	}
	again := 0
	for seq := uint64(2); w.a.p.Ready(); seq++ { // smaller packs: a cut was seen
		k := w.a.p.Next(seq)
		again += len(k.Records)
		if !k.Verify {
			t.Error("sent again without a look at it")
		}
	}
	if again != 2*bodies-4 {
		t.Errorf("%d records again", again)
	}
}

func names(recs []chunk.Record) (out []chunk.Name) {
	for _, r := range recs {
		out = append(out, r.Name)
	}
	return out
}

func sameStored(a, b Stored) bool { return a.Exchange == b.Exchange && slices.Equal(a.Names, b.Names) }

// shared announces a pack with three bodies at b, and gives it.
func shared(t *testing.T, a, b *Peer) *PackData {
	t.Helper()
	for i := range byte(3) {
		a.Offer(id(i+1), records(int(i), 2, 20_000))
		a.Flush(id(i + 1))
	}
	a.Next(1)
	c := a.Drain()
	a.Written(began, 1, rtt, nil)
	d := must(Decode[PackData](c.Send[0].Data))
	if len(c.Put) != 1 || len(c.Put[0].Runs) != 3 || len(d.Also) != 2 || !b.Announce(began, d) {
		t.Fatalf("%+v", d)
	}
	return d
}

// An exchange that ends at its sender takes nothing from others in its pack, which goes with the last of them.
func TestReleaseLeavesOthersTheirPack(t *testing.T) {
	a := New(Config{})
	shared(t, a, New(Config{}))
	a.Drain()
	a.Release(id(1))
	a.Release(id(3))
	if c := a.Drain(); len(c.Remove)+len(c.Drop) != 0 || a.View().OpenPacks != 1 {
		t.Errorf("%+v", c)
	}
	a.Release(id(2))
	if c := a.Drain(); !slices.Equal(c.Remove, []uint64{1}) || a.View().OpenPacks != 0 || a.View().OpenBytes != 0 {
		t.Errorf("%+v", c)
	}
}

// An exchange that is over at the receiver holds nothing up: its chunks are not waited for, not read, and not said to be here.
func TestOverLeavesOthersTheirPack(t *testing.T) {
	for _, before := range []bool{true, false} {
		a, b := New(Config{}), New(Config{})
		if before {
			b.Over(id(2))
		}
		shared(t, a, b)
		b.Over(id(2))
		e, ok := b.Expect(1)
		if !ok || e.Settled || !slices.Equal(e.Got, []bool{false, false, true, true, false, false}) || !slices.Equal(e.Exchanges, []ID{id(1), id(3)}) {
			t.Fatalf("%+v", e)
		}
		if b.View().Expected != 4 || !slices.Equal(b.Announcing(), []ID{id(1), id(3)}) {
			t.Errorf("%+v, %v", b.View(), b.Announcing())
		}
		b.Came(1, []int{0, 1, 4, 5}, 0, false)
		c := b.Drain()
		have := must(Decode[HaveData](c.Send[len(c.Send)-1].Data))
		if len(c.Stored) != 2 || len(have.Miss) > 0 || !slices.Equal(have.Unwanted, []int{2, 3}) || have.Unseen || b.unsettled != 0 || b.View().Expected != 0 {
			t.Errorf("%+v, %+v", c.Stored, have)
		}
		b.Over(id(1))
		if e, ok := b.Expect(1); !ok || !e.Settled || len(b.announced) != 1 {
			t.Errorf("%+v", e)
		}
		b.Over(id(3)) // a repeat of the file is removed unread from now on
		if e, ok := b.Expect(1); !ok || !e.Settled || len(b.announced) != 0 {
			t.Errorf("%+v", e)
		}
	}
}

// The last chunks that were waited for are nobody's any more: the pack is done with.
func TestOverSettlesWhatElseHasCome(t *testing.T) {
	a, b := New(Config{}), New(Config{})
	shared(t, a, b)
	b.Came(1, []int{0, 1, 2, 3}, 0, false)
	b.Drain()
	b.Over(id(3))
	c := b.Drain()
	if len(c.Send) != 1 || !slices.Equal(must(Decode[HaveData](c.Send[0].Data)).Unwanted, []int{4, 5}) || b.unsettled != 0 {
		t.Errorf("%+v", c)
	}
}

// What one exchange may not take is not taken; the others in its pack are.
func TestQuotaOfOneInASharedPack(t *testing.T) {
	a, b := New(Config{}), New(Config{ExchangeBytes: 50_000})
	b.Announce(began, &PackData{Seq: 9, Exchange: id(2), Recs: records(9, 1, 20_000)})
	b.Drain()
	shared(t, a, b)
	c := b.Drain()
	if e, _ := b.Expect(1); !slices.Equal(c.Refused, []ID{id(2)}) || !slices.Equal(e.Exchanges, []ID{id(1), id(3)}) {
		t.Errorf("%v, %+v", c.Refused, e)
	}
}

// Both sides know whose chunks a pack holds after a restart.
func TestSharedPackOverARestart(t *testing.T) {
	a, b := New(Config{}), New(Config{})
	d := shared(t, a, b)
	kept := func(c Changes) []Row {
		r := c.Put[len(c.Put)-1]
		runs, err := UnpackRuns(PackRuns(r.Runs), r.Runs[0].Exchange, r.Records)
		if err != nil || !slices.Equal(runs, r.Runs) {
			t.Fatalf("%v, %v", runs, err)
		}
		return []Row{r}
	}
	rowsA, rowsB := kept(a.Drain()), kept(b.Drain())
	var saved []Saved
	for part := range d.parts {
		saved = append(saved, Saved{part.Exchange, part.Recs})
	}
	a, b = New(Config{}), New(Config{})
	a.Restore(began, rowsA, saved[1:], nil)
	b.Restore(began, rowsB, nil, nil)
	if a.View().OpenPacks != 1 || a.Ready() || !slices.Equal(b.Announcing(), []ID{id(1), id(2), id(3)}) {
		t.Fatalf("%+v, %v", a.View(), b.Announcing())
	}
	b.Forget(id(1)) // nobody knows it any more
	b.Came(1, []int{2, 3, 4}, 0, true)
	c := b.Drain()
	a.Have(began.Add(time.Second), must(Decode[HaveData](c.Send[len(c.Send)-1].Data)), rtt)
	if k := a.Next(2); !a.Settled(id(2)) || k == nil || len(k.Records) != 1 || k.Records[0] != d.Also[1].Recs[1] {
		t.Errorf("%+v", k)
	}
}

// In worlds with bad pipes and restarts many small bodies arrive, in far fewer packs than bodies.
func TestManySmallBodies(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.lose, w.flip, w.crash = 0.1, 0.1, 0.01
			if seed%2 == 0 {
				w.cutAt = 300_000
			}
			const bodies = 120
			for i := range byte(bodies) {
				w.a.offer(id(i+1), records(int(i), 1+int(i)%3, 30_000))
			}
			w.run(testPatience, func() bool {
				for i := range byte(bodies) {
					if !w.arrived(id(i+1), records(int(i), 1+int(i)%3, 30_000))() {
						return false
					}
				}
				return true
			})
			for i := range byte(bodies) {
				w.a.p.Release(id(i + 1))
				w.b.p.Over(id(i + 1))
			}
			w.a.drain()
			w.b.drain()
			if v := w.a.p.View(); v.OpenPacks != 0 || v.OpenBytes != 0 || len(w.b.p.announced) != 0 || w.b.p.unsettled != 0 || w.b.p.charged != 0 || len(w.b.p.expected) != 0 {
				t.Errorf("left: %+v, %d announced", v, len(w.b.p.announced))
			}
		})
	}
}

// Who shares a pack waits for all of it, so none becomes larger by sharing than what the pipe carries in a moment.
func TestNobodyWaitsForALargeBody(t *testing.T) {
	a := New(Config{})
	offer := func(n byte, size int) {
		a.Offer(id(n), records(int(n), size>>16, 1<<16))
		a.Flush(id(n))
	}
	next := func(seq uint64) []Run {
		k := a.Next(seq)
		a.Drain()
		return a.packs[k.Seq].runs()
	}
	offer(1, 64<<10)
	offer(2, 30<<20)
	offer(3, 64<<10)
	if got := next(1); !slices.Equal(got, []Run{{id(1), 1}, {id(3), 1}}) {
		t.Errorf("%v", got)
	}
	offer(4, 64<<10)
	if got := next(2); !slices.Equal(got, []Run{{id(2), 480}}) {
		t.Errorf("%v", got)
	}
	for rate, want := range map[float64]int64{leastRate: shareLeast, 10 << 20: 1 << 20, 1 << 30: shareMost} {
		if a.pace.rate = rate; a.share() != want {
			t.Errorf("%d bytes are shared where the pipe carries %v a second", a.share(), rate)
		}
	}
	a.pace.rate = 1 << 30
	if a.cfg.Apart = 1 << 20; a.share() != 1<<20 {
		t.Errorf("%d bytes are shared where larger packs are linked", a.share())
	}
}

// An exchange that is over at the receiver, and that its sender does not know to be, is written once, however many others come
// and go with it. Nothing of it is taken to be held, and packs do not become smaller.
func TestOverIsNotSentAgainWithOthers(t *testing.T) {
	w := newWorld(t, 1)
	over := records(1, 3, 20_000)
	for _, r := range over {
		w.a.chunks[r.Name] = true
	}
	w.b.p.Over(id(1))
	before := w.a.p.View().PackBytes
	sent := chunkBytes(over)
	for i := range 30 {
		recs := records(10+i, 2, 20_000)
		if i == 0 { // behind those of the other
			w.a.offers = append(w.a.offers, Saved{id(1), over})
			w.a.p.Offer(id(1), over)
			w.a.p.Flush(id(1))
		}
		w.a.offer(id(byte(10+i)), recs)
		w.run(testPatience, w.arrived(id(byte(10+i)), recs))
		sent += chunkBytes(recs)
	}
	if w.bytes != sent || !w.a.p.Settled(id(1)) || w.a.p.held.has(over[0].Name) || w.b.chunks[over[0].Name] {
		t.Errorf("%d bytes written, %d bytes there are", w.bytes, sent)
	}
	if v := w.a.p.View(); v.PackBytes != before || v.PacksCut != 0 || v.ChunksResent != 0 || v.OpenPacks != 0 {
		t.Errorf("%+v", v)
	}
	w.b.p.Need(w.now, id(1), names(over), rtt) // it is wanted after all
	w.run(testPatience, w.arrived(id(1), over))
}

// What ended at the receiver after the pack had settled is not asked for again by the answer to a probe, also over a restart.
func TestOverAfterThePackWasCut(t *testing.T) {
	for _, restart := range []bool{false, true} {
		a, b := New(Config{}), New(Config{})
		shared(t, a, b)
		b.Came(1, []int{0, 1}, 0, true)
		rows := b.Drain().Put
		if restart {
			b = New(Config{})
			b.Restore(began, rows[len(rows)-1:], nil, nil)
		}
		b.Forget(id(2))
		b.Drain()
		b.Probe(&ProbeData{1})
		d := must(Decode[HaveData](b.Drain().Send[0].Data))
		if !slices.Equal(d.Miss, []int{4, 5}) || !slices.Equal(d.Unwanted, []int{2, 3}) {
			t.Errorf("%+v", d)
		}
		if a.Have(began.Add(time.Second), d, rtt); !a.Settled(id(2)) || a.Settled(id(3)) {
			t.Error("the peer took it otherwise")
		}
	}
}

// A pack that was given up comes late, without what is over: that is not taken to be there.
func TestLateWithoutWhatIsOver(t *testing.T) {
	a := New(Config{})
	shared(t, a, New(Config{}))
	a.Have(began.Add(time.Hour), &HaveData{Seq: 1, Unseen: true}, rtt)
	a.Have(began.Add(time.Hour), &HaveData{Seq: 1, Miss: []int{5}, Unwanted: []int{2, 3}}, rtt)
	for i, r := range append(append(records(0, 2, 20_000), records(1, 2, 20_000)...), records(2, 2, 20_000)...) {
		if a.held.has(r.Name) != (i < 2 || i == 4) {
			t.Errorf("record %d", i)
		}
	}
}

// What is damaged of one body is told to be gone to it alone; of one that is over nothing is told. All others go again.
func TestDamagedInASharedPack(t *testing.T) {
	a := New(Config{})
	for i := range byte(3) {
		a.Offer(id(i+1), records(int(i), 2, 20_000))
		a.Flush(id(i + 1))
	}
	a.Next(1)
	a.Drain()
	a.Release(id(3))
	a.Damaged(1, []chunk.Name{records(1, 2, 9)[0].Name, records(2, 2, 9)[1].Name})
	c := a.Drain()
	if len(c.Send) != 1 || c.Send[0].Kind != frame.KindGone || a.View().OpenPacks != 0 {
		t.Fatalf("%+v", c)
	}
	if d := must(Decode[NamesData](c.Send[0].Data)); d.Exchange != id(2) || len(d.Names) != 1 || d.Names[0] != record(1, 0, 9).Name {
		t.Errorf("%+v", d)
	}
	k := a.Next(2)
	if k == nil || len(k.Records) != 3 || slices.ContainsFunc(k.Records, func(r chunk.Record) bool { return r.Name == record(1, 0, 9).Name }) {
		t.Errorf("%+v", k)
	}
}

// Only what the peer looked at tells what sizes the pipe carries.
func TestSizesOfSharedPacks(t *testing.T) {
	recs := records(1, 4, 1<<20)
	k := &pack{recs: recs, size: chunkBytes(recs)}
	for i, c := range []struct {
		fates []fate
		whole int64
		cut   bool
	}{
		{[]fate{arrived, arrived, arrived, arrived}, k.size, false},
		{[]fate{arrived, arrived, unwanted, unwanted}, chunkBytes(recs[:2]), false},
		{[]fate{arrived, unwanted, missed, unwanted}, 0, true},
		{[]fate{arrived, missed, unwanted, arrived}, k.size, false},
		{[]fate{unwanted, unwanted, unwanted, unwanted}, 0, false},
	} {
		s := newSizer(64<<20, 64<<20)
		s.settled(k, c.fates)
		if s.whole[0] != c.whole || s.now() < 64<<20 != c.cut {
			t.Errorf("%d: %d whole, size %d", i, s.whole[0], s.now())
		}
	}
}

// Where a scanner reads bodies one by one nothing is joined; nor are bodies that have not ended, or more than an announcement holds.
func TestNotShared(t *testing.T) {
	alone := New(Config{Alone: true})
	for i := range byte(3) {
		alone.Offer(id(i+1), records(int(i), 1, 1000))
		alone.Flush(id(i + 1))
	}
	for seq := range uint64(3) {
		if k := alone.Next(seq + 1); k == nil || len(k.Records) != 1 {
			t.Errorf("%+v", k)
		}
	}
	open := New(Config{})
	open.Offer(id(1), records(1, 1, 1000))
	open.Offer(id(2), records(2, 1, 1000))
	open.Flush(id(1))
	if k := open.Next(1); k == nil || len(k.Records) != 1 {
		t.Errorf("%+v", k)
	}
	many := New(Config{})
	for i := range 200 {
		x := ID{14: byte(i), 15: 1}
		many.Offer(x, records(i, 1, 1000))
		many.Flush(x)
	}
	if k := many.Next(1); len(k.Records) != maxRuns {
		t.Errorf("%d records", len(k.Records))
	}
}

// The largest announcement fits a message; what says more than there may be is refused.
func TestLargestAnnouncement(t *testing.T) {
	var runs []Run
	for i := range maxRuns {
		runs = append(runs, Run{ID{0: byte(i), 15: 0xff}, maxRecords / maxRuns})
	}
	d := announcement(frame.MaxSeq, records(0xffffffff, maxRecords, chunk.MaxSealed), runs)
	text := encode(d)
	if tail, err := frame.EncodeTail(frame.KindPack, text, nil, false); err != nil {
		t.Errorf("%d bytes: %v", len(text), err)
	} else if got, err := Decode[PackData](text); err != nil || len(got.Also) != maxRuns-1 || len(tail) == 0 {
		t.Error(err)
	}
	for what, bad := range map[string]PackData{
		"an exchange twice": {Seq: 1, Exchange: id(1), Recs: records(1, 1, 9), Also: []Part{{id(1), records(2, 1, 9)}}},
		"an empty part":     {Seq: 1, Exchange: id(1), Recs: records(1, 1, 9), Also: []Part{{id(2), Records{}}}},
		"too many records":  {Seq: 1, Exchange: id(1), Recs: records(1, maxRecords, 9), Also: []Part{{id(2), records(2, 1, 9)}}},
		"too many parts":    {Seq: 1, Exchange: id(1), Recs: records(1, 1, 9), Also: slices.Repeat(d.Also, 2)},
	} {
		if _, err := Decode[PackData](encode(bad)); err == nil {
			t.Error(what)
		}
	}
}
