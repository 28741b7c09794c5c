package bulk

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// world joins two Peers by a pipe that cuts, loses, damages and delays packs. Messages between them are
// reliable and unordered, as a link's are. Time is a number; every choice comes from a seed.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	now     time.Time
	a, b    *side
	cutAt   int64 // files above are cut there; 0: none
	lose    float64
	flip    float64
	rate    int64 // bytes per second of the pipe
	maxWait time.Duration
	bytes   int64 // put into the pipe
	crash   float64
}

// side is one site: its machine, what it has stored, and its durable state.
type side struct {
	w      *world
	p      *Peer
	to     *side
	chunks map[chunk.Name]bool
	rows   map[Key]Row
	offers []Saved
	held   []chunk.Name
	seq    uint64
	ids    uint64
	mail   []letter
	files  map[uint64]*file // in the inbox
	gone   []Gone
	stock  []chunk.Record // stored data, which nobody offered
	stored map[ID]map[chunk.Name]bool
}

type letter struct {
	at   time.Time
	id   uint64
	kind frame.Kind
	data []byte
}

type file struct {
	at   time.Time
	recs []chunk.Record
	size int64 // that came
	bad  map[int]bool
}

const rtt = 50 * time.Millisecond

var began = time.Unix(1_700_000_000, 0)

// testPatience is simulated time that nothing is expected to take.
const testPatience = time.Minute

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), now: began, rate: 50 << 20, maxWait: 100 * time.Millisecond}
	w.a, w.b = newSide(w), newSide(w)
	w.a.to, w.b.to = w.b, w.a
	return w
}

func newSide(w *world) *side {
	return &side{w: w, p: New(Config{}), chunks: map[chunk.Name]bool{}, rows: map[Key]Row{}, seq: 1000, files: map[uint64]*file{},
		stored: map[ID]map[chunk.Name]bool{}}
}

// record makes the i-th chunk of a family.
func record(family, i, size int) chunk.Record {
	var r chunk.Record
	binary.BigEndian.PutUint32(r.Name[:], uint32(family))
	binary.BigEndian.PutUint32(r.Name[4:], uint32(i))
	r.Hsh[0], r.Len = r.Name[7], int64(size)
	return r
}

func records(family, n, size int) []chunk.Record {
	out := make([]chunk.Record, n)
	for i := range out {
		out[i] = record(family, i, size)
	}
	return out
}

func id(n byte) ID { return ID{15: n} }

// offer has a side offer chunks that it has.
func (s *side) offer(x ID, recs []chunk.Record) {
	for _, r := range recs {
		s.chunks[r.Name] = true
	}
	s.offers = append(s.offers, Saved{x, recs})
	s.p.Offer(x, recs)
	s.p.Flush(x)
	s.drain()
}

// drain carries out what the machine left: durable at once, messages on their way.
func (s *side) drain() {
	c := s.p.Drain()
	for _, r := range c.Put {
		s.rows[r.Key] = r
	}
	for _, k := range c.Drop {
		delete(s.rows, k)
	}
	if c.HeldVoid {
		s.held = nil
	}
	s.held = append(s.held, c.Held...)
	s.gone = append(s.gone, c.Gone...)
	for _, m := range c.Send {
		s.ids++
		if m.Got != nil {
			m.Got(s.ids)
		}
		delay := time.Duration(s.w.rnd.Int64N(int64(rtt)))
		s.to.mail = append(s.to.mail, letter{s.w.now.Add(delay), s.ids, m.Kind, m.Data})
	}
	for _, seq := range c.Remove {
		delete(s.to.files, seq)
	}
	for _, st := range c.Stored {
		if s.stored[st.Exchange] == nil {
			s.stored[st.Exchange] = map[chunk.Name]bool{}
		}
		for _, n := range st.Names {
			s.stored[st.Exchange][n], s.chunks[n] = true, true
		}
		s.p.Satisfied(s.w.now, st.Exchange, st.Names)
	}
}

// write puts a pack into the pipe, which does with it what it does.
func (s *side) write(k *Pack) {
	w := s.w
	for _, r := range k.Records {
		if !s.chunks[r.Name] {
			s.p.Damaged(k.Seq, []chunk.Name{r.Name})
			s.drain()
			return
		}
	}
	w.bytes += k.Size
	s.p.Written(w.now, k.Seq, rtt, nil)
	s.drain()
	if w.rnd.Float64() < w.lose {
		return
	}
	f := &file{recs: k.Records, size: k.Size, bad: map[int]bool{},
		at: w.now.Add(time.Duration(k.Size*int64(time.Second)/w.rate) + time.Duration(w.rnd.Int64N(int64(w.maxWait))))}
	if w.cutAt > 0 {
		f.size = min(f.size, w.cutAt)
	}
	if w.rnd.Float64() < w.flip {
		f.bad[w.rnd.IntN(len(f.recs))] = true
	}
	s.to.files[k.Seq] = f
}

// step does what is due on one side at the present time; it says whether anything was.
func (s *side) step() bool {
	did := false
	for i := 0; i < len(s.mail); i++ {
		if l := s.mail[i]; !l.at.After(s.w.now) {
			s.mail = slices.Delete(s.mail, i, i+1)
			i--
			did = true
			s.take(l)
		}
	}
	for seq, f := range s.files {
		if e, ok := s.p.Expect(seq); ok && !f.at.After(s.w.now) {
			did = true
			delete(s.files, seq)
			if !e.Settled {
				s.read(seq, f)
			}
		}
	}
	s.p.Tick(s.w.now, rtt)
	s.drain()
	for _, k := range s.p.Rewrites(s.w.now) {
		did = true
		s.write(k)
	}
	for s.p.Ready() {
		s.seq++
		k := s.p.Next(s.seq)
		s.drain()
		if k == nil {
			break
		}
		did = true
		s.write(k)
	}
	return did
}

func (s *side) take(l letter) {
	p, now := s.p, s.w.now
	switch l.kind {
	case frame.KindPack:
		p.Announce(now, must(Decode[PackData](l.data)))
	case frame.KindHave:
		p.Have(now, must(Decode[HaveData](l.data)), rtt)
	case frame.KindProbe:
		p.Probe(must(Decode[ProbeData](l.data)))
	case frame.KindWant:
		p.Want(must(Decode[NamesData](l.data)))
	case frame.KindGone:
		p.GoneAway(must(Decode[NamesData](l.data)))
	case frame.KindFetch:
		s.give(must(Decode[FetchData](l.data)))
	}
	s.drain()
	s.to.p.Acked(s.w.now, frame.Ranges{{l.id, l.id}}, rtt)
}

func (s *side) read(seq uint64, f *file) {
	s.p.Seen(seq)
	var got []int
	at, bad := int64(0), 0
	for i, r := range f.recs {
		at += r.Size()
		if at > f.size {
			break
		}
		if f.bad[i] {
			bad++
			continue
		}
		got = append(got, i)
	}
	s.p.Came(seq, got, bad, true)
	s.drain()
}

// restart replaces the machine by one made of what is durable.
func (s *side) restart() {
	s.p = New(Config{})
	var rows []Row
	for _, r := range s.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b Row) int { return int(a.Seq) - int(b.Seq) })
	s.p.Restore(s.w.now, rows, s.offers, s.held)
	s.drain()
}

// run lets time pass until done, at most for limit.
func (w *world) run(limit time.Duration, done func() bool) {
	w.t.Helper()
	end := w.now.Add(limit)
	for !done() {
		if w.now.After(end) {
			w.t.Fatalf("not done after %v: a %+v, b %+v", limit, w.a.p.View(), w.b.p.View())
		}
		if w.a.step() || w.b.step() {
			continue
		}
		if w.rnd.Float64() < w.crash {
			[]*side{w.a, w.b}[w.rnd.IntN(2)].restart()
		}
		w.now = w.now.Add(5 * time.Millisecond)
	}
}

func must[T any](v *T, err error) *T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) arrived(x ID, recs []chunk.Record) func() bool {
	return func() bool {
		for _, r := range recs {
			if !w.b.chunks[r.Name] {
				return false
			}
		}
		return w.a.p.Settled(x)
	}
}

func TestCleanPipe(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 300, 1<<20)
	w.a.offer(id(1), recs)
	w.run(time.Minute, w.arrived(id(1), recs))
	if want := chunkBytes(recs); w.bytes != want {
		t.Errorf("%d bytes written, want %d", w.bytes, want)
	}
	if v := w.a.p.View(); v.OpenPacks != 0 || v.OpenBytes != 0 || v.QueuedBytes != 0 || len(w.a.rows) != 0 {
		t.Errorf("left: %+v, %d rows", v, len(w.a.rows))
	}
	before := w.bytes
	w.a.offer(id(2), records(1, 310, 1<<20))
	w.run(time.Minute, w.arrived(id(2), records(1, 310, 1<<20)))
	if got, want := w.bytes-before, int64(10)*recs[0].Size(); got != want {
		t.Errorf("the same with 10 more chunks wrote %d bytes, want %d", got, want)
	}
}

func chunkBytes(recs []chunk.Record) (n int64) {
	for _, r := range recs {
		n += r.Size()
	}
	return n
}

// A bad pipe and restarts at any time: everything arrives, and what arrived is not sent again without need.
func TestBadPipe(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.cutAt, w.lose, w.flip = 20<<20, 0.05, 0.05
			if seed%2 == 1 {
				w.crash = 0.002
			}
			recs := records(1, 400, 1<<20)
			w.a.offer(id(1), recs)
			w.b.offer(id(2), records(2, 50, 300<<10))
			w.run(30*time.Minute, w.arrived(id(1), recs))
			back := records(2, 50, 300<<10)
			w.run(30*time.Minute, func() bool {
				for _, r := range back {
					if !w.a.chunks[r.Name] {
						return false
					}
				}
				return w.b.p.Settled(id(2))
			})
			if total := chunkBytes(recs) + chunkBytes(back); w.bytes > total*3/2+4*64<<20 {
				t.Errorf("%d bytes written for %d", w.bytes, total)
			}
			if size := w.a.p.View().PackBytes; w.crash == 0 && size > 21<<20 {
				t.Errorf("packs of %d bytes after a pipe that cuts at %d", size, w.cutAt)
			}
			if len(w.a.gone)+len(w.b.gone) > 0 {
				t.Errorf("gone: %v %v", w.a.gone, w.b.gone)
			}
		})
	}
}

// The peer has evicted a chunk that the sender takes for held: it asks and gets it.
func TestWant(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 20, 1<<20)
	w.a.offer(id(1), recs)
	w.run(time.Minute, w.arrived(id(1), recs))
	w.a.p.Release(id(1))
	delete(w.b.chunks, recs[3].Name)
	before := w.bytes
	w.a.offer(id(2), recs)
	if !w.a.p.Settled(id(2)) {
		t.Fatal("what the peer holds is sent again")
	}
	w.b.p.Need(w.now, id(2), []chunk.Name{recs[3].Name}, rtt)
	w.run(time.Minute, func() bool { return w.b.chunks[recs[3].Name] })
	if w.bytes-before != recs[3].Size() {
		t.Errorf("%d bytes for one chunk", w.bytes-before)
	}
	// What the sender no longer has is told to be gone.
	w.b.p.Need(w.now, id(3), []chunk.Name{recs[5].Name}, rtt)
	w.run(time.Minute, func() bool { return len(w.b.gone) == 1 })
	if g := w.b.gone[0]; g.Exchange != id(3) || !slices.Equal(g.Names, []chunk.Name{recs[5].Name}) {
		t.Errorf("gone: %+v", g)
	}
}

// A pack for an exchange that is over at the receiver is written once: the sender hears that it is not wanted, takes nothing in it
// to be held there, and sends it when it is asked for after all.
func TestAnUnwantedPackIsWrittenOnce(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 2, 1<<20)
	w.b.p.Over(id(1))
	w.a.offer(id(1), recs)
	w.run(testPatience, func() bool { return w.a.p.Settled(id(1)) })
	if w.bytes != chunkBytes(recs) || w.a.p.held.has(recs[0].Name) || len(w.b.chunks) > 0 || w.a.p.View().OpenPacks != 0 {
		t.Errorf("%d bytes written, %d chunks taken, %+v", w.bytes, len(w.b.chunks), w.a.p.View())
	}
	w.b.p.Need(w.now, id(1), []chunk.Name{recs[0].Name, recs[1].Name}, rtt)
	w.run(testPatience, w.arrived(id(1), recs))
	if w.bytes != 2*chunkBytes(recs) {
		t.Errorf("%d bytes written in the end", w.bytes)
	}
}

// The announcement of a pack that was given up comes when its chunk has come by another and was evicted: that is asked for
// although it is announced, before long.
func TestAnAnnouncementThatComesTooLateHoldsNothingUp(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 2, 1<<20)
	w.a.offer(id(1), recs)
	w.run(time.Minute, w.arrived(id(1), recs))
	delete(w.b.chunks, recs[1].Name)
	w.b.p.Announce(w.now, &PackData{Seq: 7, Exchange: id(1), Recs: recs[1:]})
	w.b.p.Need(w.now, id(1), []chunk.Name{recs[1].Name}, rtt)
	w.run(testPatience, func() bool { return w.b.chunks[recs[1].Name] })
}

// A chunk that is no longer whole at the sender: the others of its pack come, it is told to be gone.
func TestDamagedAtTheSender(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 5, 1<<20)
	w.a.offer(id(1), recs)
	delete(w.a.chunks, recs[2].Name)
	w.run(time.Minute, func() bool { return len(w.b.gone) == 1 && w.a.p.Settled(id(1)) })
	for i, r := range recs {
		if w.b.chunks[r.Name] != (i != 2) {
			t.Errorf("chunk %d: %v", i, w.b.chunks[r.Name])
		}
	}
}

// The peer lost its state: it gets everything again, and what is released is not sent.
func TestReset(t *testing.T) {
	w := newWorld(t, 1)
	recs, other := records(1, 20, 1<<20), records(2, 20, 1<<20)
	w.a.offer(id(1), recs)
	w.a.offer(id(2), other)
	w.run(time.Minute, func() bool { return w.arrived(id(1), recs)() && w.arrived(id(2), other)() })
	w.b = newSide(w)
	w.a.to, w.b.to = w.b, w.a
	w.a.p.Reset()
	w.a.p.Release(id(2))
	w.a.drain()
	w.run(time.Minute, w.arrived(id(1), recs))
	if w.b.chunks[other[0].Name] {
		t.Error("a released exchange was sent again")
	}
}

// What a peer had announced before it lost its state does not come: it is asked for at once, however long a round trip takes.
func TestWhatWasAnnouncedIsAskedForAfterAReset(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 1, 1<<20)
	w.b.p.Announce(w.now, &PackData{Seq: 7, Exchange: id(1), Recs: recs})
	w.b.p.Need(w.now, id(1), []chunk.Name{recs[0].Name}, 5*time.Hour)
	w.b.p.Reset()
	w.run(time.Second, func() bool { return len(w.b.gone) == 1 })
}

// A pack that was taken for lost comes late: its chunks count, and patience grows.
func TestLatePack(t *testing.T) {
	w := newWorld(t, 1)
	w.rate = 1 << 20
	recs := records(1, 60, 1<<20)
	w.a.offer(id(1), recs)
	w.run(time.Hour, w.arrived(id(1), recs))
	w.run(time.Hour, func() bool { return len(w.b.files) == 0 && len(w.a.p.packs) == 0 })
	if got, total := w.bytes, chunkBytes(recs); got > 3*total {
		t.Errorf("%d bytes for %d through a slow pipe", got, total)
	}
}

func TestRepeatsAreHarmless(t *testing.T) {
	p := New(Config{})
	d := &PackData{Seq: 7, Exchange: id(1), Recs: records(1, 3, 1<<20)}
	now := time.Unix(1_700_000_000, 0)
	if !p.Announce(now, d) || p.Announce(now, d) {
		t.Fatal("an announcement counts once")
	}
	p.Probe(&ProbeData{7})
	if m := p.Drain().Send; len(m) != 1 || string(m[0].Data) != `{"seq":7,"unseen":true}` {
		t.Fatalf("%+v", m)
	}
	p.Seen(7)
	p.Probe(&ProbeData{7})
	if m := p.Drain().Send; len(m) != 0 {
		t.Fatalf("answered while the file is being read: %s", m[0].Data)
	}
	p.Came(7, []int{0, 0, 2, 9}, 1, true)
	if m := p.Drain().Send; len(m) != 1 || string(m[0].Data) != `{"seq":7,"miss":[1]}` {
		t.Fatalf("%+v", m)
	}
	p.Came(7, []int{1}, 0, true)
	p.Probe(&ProbeData{7})
	if m := p.Drain().Send; len(m) != 1 || string(m[0].Data) != `{"seq":7,"miss":[1]}` {
		t.Fatalf("%+v", m)
	}
}

func TestWireRefuses(t *testing.T) {
	good := `{"seq":1,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]]}`
	d, err := Decode[PackData]([]byte(good))
	if err != nil || string(encode(*d)) != good {
		t.Fatalf("%v, %s", err, encode(*d))
	}
	for name, bad := range map[string]string{
		"none":       `{"seq":1,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[]}`,
		"short name": `{"seq":1,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]]}`,
		"spare bits": `{"seq":1,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAB","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]]}`,
		"two":        `{"seq":1,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAA",1000]]}`,
		"too long":   `{"seq":1,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",5000000]]}`,
		"member":     `{"seq":1,"x":1,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]]}`,
	} {
		if _, err := Decode[PackData]([]byte(bad)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for _, bad := range []string{`{"seq":1,"miss":[1,1]}`, `{"seq":1,"miss":[-1]}`, `{"seq":1,"miss":[700]}`,
		`{"seq":1,"over":true,"unseen":true}`, `{"seq":1,"over":true,"miss":[0]}`, `{"seq":1,"over":true,"unwanted":[0]}`,
		`{"seq":1,"unseen":true,"unwanted":[0]}`, `{"seq":1,"unwanted":[2,1]}`, `{"seq":1,"unwanted":[640]}`, `{"seq":1,"miss":[1,2],"unwanted":[2]}`} {
		if _, err := Decode[HaveData]([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	// The largest announcement fits a message.
	full := PackData{Seq: frame.MaxSeq, Exchange: id(1)}
	for i := range maxRecords {
		full.Recs = append(full.Recs, record(1, i, chunk.MaxSealed))
	}
	if _, err := frame.EncodeTail(frame.KindPack, encode(full), nil, false); err != nil {
		t.Error(err)
	}
	names := NamesData{Exchange: id(1), Names: make(Names, maxNames)}
	if _, err := frame.EncodeTail(frame.KindWant, encode(names), nil, false); err != nil {
		t.Error(err)
	}
}

func TestStoredForms(t *testing.T) {
	recs := records(3, 5, 12345)
	got, err := UnpackRecords(PackRecords(recs))
	if err != nil || !slices.Equal(got, recs) {
		t.Errorf("%v, %v", got, err)
	}
	miss, err := UnpackMiss(PackMiss([]int{0, 5, 639}))
	if err != nil || !slices.Equal(miss, []int{0, 5, 639}) {
		t.Errorf("%v, %v", miss, err)
	}
	if _, err := UnpackRecords(make([]byte, 51)); err == nil {
		t.Error("a damaged row was taken")
	}
}

// Nothing is wanted of an exchange that is over, also after a restart; what is remembered of that is bounded.
func TestOver(t *testing.T) {
	w := newWorld(t, 1)
	p := w.b.p
	now := w.now
	recs := records(1, 3, 1<<20)
	for seq := range uint64(3) {
		p.Announce(now, &PackData{Seq: 1 + seq, Exchange: id(1), Recs: recs})
	}
	p.Came(1, []int{0, 1, 2}, 0, true)
	p.Over(id(1))
	p.Announce(now, &PackData{Seq: 4, Exchange: id(1), Recs: recs})
	w.b.drain()
	w.b.restart()
	p = w.b.p
	for seq := range uint64(4) {
		if e, ok := p.Expect(1 + seq); !ok || !e.Settled {
			t.Errorf("pack %d: %+v, %v", 1+seq, e, ok)
		}
	}
	if e, ok := p.Expect(5); ok {
		t.Errorf("a pack that was never announced: %+v", e)
	}
	if v := p.View(); v.Expected != 0 || p.unsettled != 0 {
		t.Errorf("%+v, %d unsettled", v, p.unsettled)
	}
	// A body that is begun anew under the same exchange is taken.
	p.Forget(id(1))
	if p.Announce(now, &PackData{Seq: 6, Exchange: id(1), Recs: recs}); p.View().Expected != 3 {
		t.Error("what is announced after Forget is not taken")
	}
	p.Over(id(1))
	p.Need(now, id(1), []chunk.Name{recs[0].Name}, rtt)
	if p.Announce(now, &PackData{Seq: 7, Exchange: id(1), Recs: recs}); p.View().Expected != 3 {
		t.Error("what is announced after Need is not taken")
	}
	p.Over(id(1))
	for seq := range uint64(2 * maxOver) {
		p.Announce(now, &PackData{Seq: 10 + seq, Exchange: id(1), Recs: recs})
	}
	w.b.drain()
	if len(w.b.rows) != maxOver {
		t.Errorf("%d rows are kept", len(w.b.rows))
	}
}

// What a peer's bodies take is charged to each exchange and to the peer, each chunk once, and let go when it is over.
func TestQuota(t *testing.T) {
	p := New(Config{ExchangeBytes: 10 << 20, PeerBytes: 15 << 20})
	now := time.Unix(1_700_000_000, 0)
	seq := uint64(0)
	announce := func(x ID, recs []chunk.Record) []ID {
		seq++
		p.Announce(now, &PackData{Seq: seq, Exchange: x, Recs: recs})
		return p.Drain().Refused
	}
	nine := records(1, 9, 1<<20)
	if r := announce(id(1), nine); len(r) != 0 {
		t.Fatal("refused below the quota")
	}
	if r := announce(id(1), nine); len(r) != 0 || p.View().ChargedFor != 9<<20 {
		t.Errorf("the same once more: refused %v, charged %d", r, p.View().ChargedFor)
	}
	if p.Hold(id(1), nine[:3]); p.View().ChargedFor != 9<<20 {
		t.Error("what is here and was announced is charged twice")
	}
	if r := announce(id(1), records(2, 2, 1<<20)); !slices.Equal(r, []ID{id(1)}) {
		t.Errorf("above the quota of an exchange: refused %v", r)
	}
	if e, ok := p.Expect(seq); !ok || !e.Settled {
		t.Error("the file of a refused announcement is not removed")
	}
	if r := announce(id(2), records(3, 5, 1<<20)); !slices.Equal(r, []ID{id(2)}) {
		t.Errorf("above the quota of the peer: refused %v", r)
	}
	p.Over(id(1))
	p.Over(id(2))
	p.Hold(id(3), records(4, 9, 1<<20))
	if r := announce(id(4), records(3, 5, 1<<20)); len(r) != 0 || p.View().ChargedFor != 14<<20 {
		t.Errorf("with room again: refused %v, charged %d", r, p.View().ChargedFor)
	}
	p.Fetch(id(5), []Wish{{Name: chunk.Name{9}}})
	if r := announce(id(5), records(9, 40, 1<<20)); len(r) != 0 {
		t.Error("what was asked for is refused")
	}
}

// What was taken out and comes again is as new as any: it does not go with its old place.
func TestRecent(t *testing.T) {
	r := newRecent[int]()
	r.add(-1)
	r.remove(-1)
	r.remove(-2)
	for i := range maxOver - 1 {
		r.add(i)
	}
	r.add(-1)
	if gone, full := r.add(maxOver); !full || gone != 0 || !r.has(-1) || len(r.in) != maxOver {
		t.Errorf("%d, %v went; %d are left", gone, full, len(r.in))
	}
}

// Questions that have not come to the peer yet are not asked again: where a round trip takes days they would pile up before all
// that comes after them.
func TestQuestionsDoNotPileUp(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 4, 1<<20)
	w.a.store(recs)
	w.a.offer(id(2), recs[:2])
	w.a.p.Release(id(2))
	w.b.p.Fetches(true)
	w.b.p.Need(w.now, id(1), []chunk.Name{recs[0].Name}, rtt)
	w.b.p.Fetch(id(2), wishes(recs[2:]))
	w.b.drain()
	asked := func() uint64 { st := w.b.p.View(); return st.Wants + st.Fetches }
	for end := w.now.Add(48 * time.Hour); w.now.Before(end); w.now = w.now.Add(time.Minute) {
		w.b.p.Tick(w.now, rtt)
		w.b.drain()
	}
	if n := asked(); n != 3 || !w.b.p.Deadline().IsZero() {
		t.Fatalf("asked for %d chunks of 3 before anything was heard, deadline %v", n, w.b.p.Deadline())
	}
	w.a.mail[0].at = w.now
	w.a.take(w.a.mail[0]) // acknowledged, and no answer comes
	before := w.now
	for end := w.now.Add(time.Minute); w.now.Before(end) && asked() == 3; w.now = w.now.Add(rtt) {
		w.b.p.Tick(w.now, rtt)
		w.b.drain()
	}
	if n := asked(); n == 3 || w.now.Sub(before) < askLeast {
		t.Errorf("asked for %d chunks, %v after a question was acknowledged", n, w.now.Sub(before))
	}
}
