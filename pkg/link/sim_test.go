package link_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
)

// world is two links joined by a faulty pipe, under a clock that only moves when nothing is left to do.
// Every choice comes from one seed.
type world struct {
	t      *testing.T
	rnd    *rand.Rand
	now    time.Time
	sides  [2]*side
	air    []flying
	fault  faults
	cfg    link.Config
	sealed bool // files are as long as sealed ones
	habit  habit
	halted bool    // the mover stands still; only where it has a habit
	mute   [2]bool // this side's files are lost, all of them
	onPut  func(flying)
	files  int
}

// habit is what a mover does with files in the outbox. Without one, outboxes are not modelled.
type habit int

const (
	_ habit = iota
	moves
	copies
	movesLate // files lie in the outbox until they are carried
)

func (h habit) String() string { return []string{"does nothing", "moves", "copies", "moves late"}[h] }

type faults struct {
	drop, cut, dup float64
	maxSize        int           // longer files are cut there
	swallow        int           // longer files are lost
	least, delay   time.Duration // each way, and by how much more at random
	habit          habit
	crash          float64 // per event
	commitDelay    time.Duration
}

type flying struct {
	at   time.Time
	to   int
	file link.File
	raw  [][]byte
	take bool // only taken out of the other side's outbox
}

// side is one site: a link and what its disk holds.
type side struct {
	w     *world
	n     int
	id    identity.ID
	l     *link.Link
	disk  disk
	dead  bool
	epoch int // restarts

	wrote   int // bytes
	looks   int
	ticks   int             // times that a timer ran out
	outbox  map[uint64]bool // own files that lie there
	waiting []flying        // for a mover that stands still
	onWrite func(size int64)
	onGet   func(text string)

	staged   *staged
	pending  staged
	got      map[string]int // deliveries of this state, by text and epoch pair
	sentText map[uint64]string
}

type disk struct {
	state link.State
	rows  map[uint64]link.Item
	sent  map[uint64]link.SentFile
	got   map[uint64]bool // delivered ids of the peer's epoch
	gotEp uint64
}

type staged struct {
	state  link.State
	rows   []link.Item
	del    frame.Ranges
	sent   []link.SentFile
	unsent []uint64
	got    []uint64
	gotEp  uint64
	due    time.Time
}

func newWorld(t *testing.T, seed uint64, f faults) *world {
	return newWorldOf(t, seed, f, link.Config{WindowMessages: 64})
}

func newWorldOf(t *testing.T, seed uint64, f faults, cfg link.Config) *world {
	w := &world{t: t, cfg: cfg, rnd: rand.New(rand.NewPCG(seed, 1)), now: time.UnixMilli(1_763_800_000_000), fault: f}
	for n := range w.sides {
		w.sides[n] = &side{w: w, n: n, id: identity.ID{byte(n + 1)}, got: map[string]int{}, sentText: map[uint64]string{}, outbox: map[uint64]bool{}}
		w.sides[n].disk = disk{rows: map[uint64]link.Item{}, sent: map[uint64]link.SentFile{}, got: map[uint64]bool{}}
	}
	for n := range w.sides {
		w.sides[n].start()
	}
	return w
}

func (s *side) start() {
	s.dead, s.staged, s.pending = false, nil, staged{}
	cfg := s.w.cfg
	cfg.Self, cfg.Peer, cfg.Rkt = s.id, s.w.sides[1-s.n].id, func() string { return "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }
	cfg.Caps, cfg.Rand = []string{"req", "res"}, s.w.rnd
	s.l = link.New(cfg, s.disk.state, s.w.now, 0)
	var bytes int64
	for _, r := range s.disk.rows {
		bytes += int64(len(r.Data))
	}
	s.l.SetHeld(int64(len(s.disk.rows)), bytes)
	var seqs []uint64
	for q := range s.disk.sent {
		seqs = append(seqs, q)
	}
	sort.Slice(seqs, func(i, j int) bool { return seqs[i] < seqs[j] })
	for _, q := range seqs {
		s.l.RestoreFile(s.disk.sent[q])
	}
	s.load()
	s.l.DropEmpty()
	s.drain()
}

func (s *side) load() {
	for q := s.l.NeedLoad(); q.N > 0; q = s.l.NeedLoad() {
		var ids []uint64
		for id, row := range s.disk.rows {
			if id > q.After && id <= s.l.CommittedID() && (!q.Small || row.Prio < link.PrioBulk) {
				ids = append(ids, id)
			}
		}
		sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
		var items []link.Item
		for _, id := range ids[:min(len(ids), q.N)] {
			items = append(items, s.disk.rows[id])
		}
		s.l.Load(items, q, s.l.CommittedID())
	}
}

func (s *side) submit(text string) { s.submitPrio(text, link.PrioCall) }

func (s *side) submitPrio(text string, p link.Prio) { s.submitKind(text, frame.KindReq, p) }

func (s *side) submitKind(text string, kind frame.Kind, p link.Prio) {
	tail, err := frame.EncodeTail(kind, []byte(`{"text":"`+text+`"}`), nil, false)
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.pending.rows = append(s.pending.rows, s.l.Submit([]link.Outgoing{{Kind: kind, Prio: p, Tail: tail}})...)
}

func (s *side) drain() {
	c := s.l.Drain()
	s.pending.del.Union(c.Acked)
	s.pending.del.Union(c.Withdrawn)
	s.pending.sent = append(s.pending.sent, c.Sent...)
	for _, r := range []frame.Ranges{c.SentAcked, c.SentReplaced} {
		for q := range r.All() {
			s.pending.unsent = append(s.pending.unsent, q)
		}
	}
	if c.PeerReset {
		s.disk.got = map[uint64]bool{}
	}
	if s.w.habit != 0 {
		for _, seq := range c.Remove {
			s.l.Removed(seq, !s.outbox[seq])
			delete(s.outbox, seq)
		}
	}
}

// work does what the link wants done now; it says whether anything was done.
func (s *side) work() bool {
	if s.dead {
		return false
	}
	did := false
	if at := s.l.Deadline(s.w.now); !at.IsZero() && !s.w.now.Before(at) {
		s.l.Tick(s.w.now)
		s.ticks++
		s.drain()
	}
	if s.staged != nil && !s.w.now.Before(s.staged.due) {
		s.commitDone()
		did = true
	}
	if u := s.l.Dirty(); s.staged == nil && (u > link.Clean || len(s.pending.sent) > 0) {
		st := s.pending
		s.pending = staged{}
		st.state = s.l.Snapshot()
		st.gotEp = st.state.PeerEpoch
		st.due = s.w.now.Add(s.w.fault.commitDelay)
		s.staged = &st
		did = true
	}
	if f := s.l.Next(s.w.now); f != nil {
		s.put(f)
		did = true
	}
	if s.l.Look(s.w.now) {
		s.looks++
		did = true
		s.l.Looked(s.w.now, slices.Sorted(maps.Keys(s.outbox)))
	}
	s.load()
	s.drain()
	return did
}

func (s *side) commitDone() {
	st := s.staged
	s.staged = nil
	d := &s.disk
	d.state = st.state
	for _, r := range st.rows {
		d.rows[r.ID] = r
	}
	for id := range st.del.All() {
		delete(d.rows, id)
	}
	for _, f := range st.sent {
		d.sent[f.Seq] = f
	}
	for _, q := range st.unsent {
		delete(d.sent, q)
	}
	if d.gotEp != st.gotEp {
		d.got, d.gotEp = map[uint64]bool{}, st.gotEp
	}
	for _, id := range st.got {
		if d.got[id] {
			s.w.t.Fatalf("side %d: id %d delivered twice durably in epoch %d", s.n, id, st.gotEp)
		}
		d.got[id] = true
	}
	s.l.Committed(s.w.now, st.state)
}

// put throws a frame into the faulty air.
func (s *side) put(f *link.Frame) {
	w := s.w
	w.files++
	size := 0
	for _, c := range f.Lines {
		size += len(c)
		if w.sealed { // as base64 twice, two headers and a signature make it
			size += len(c)*7/9 + 640
		}
	}
	s.l.Wrote(w.now, int64(size), nil)
	s.wrote += size
	if s.onWrite != nil {
		s.onWrite(int64(size))
	}
	if w.habit == copies || w.habit == movesLate || w.halted {
		s.outbox[f.Seq] = true
	}
	if w.habit == movesLate && !w.halted {
		w.air = append(w.air, flying{at: w.now.Add(time.Millisecond + w.fault.least), to: 1 - s.n, file: link.File{Seq: f.Seq}, take: true})
	}
	if w.halted {
		s.waiting = append(s.waiting, flying{to: 1 - s.n, file: link.File{Seq: f.Seq, Size: int64(size), Whole: true}, raw: f.Lines})
		return
	}
	if w.onPut != nil {
		w.onPut(flying{to: 1 - s.n, file: link.File{Seq: f.Seq, Size: int64(size), Whole: true}, raw: f.Lines})
	}
	times := 1
	if w.mute[s.n] {
		return
	}
	if w.rnd.Float64() < w.fault.dup {
		times = 2
	}
	if w.rnd.Float64() < w.fault.drop {
		times--
	}
	for range times {
		if w.fault.swallow > 0 && size > w.fault.swallow {
			continue
		}
		fl := flying{at: w.now.Add(time.Millisecond + w.fault.least), to: 1 - s.n, file: link.File{Seq: f.Seq, Size: int64(size), Whole: true}, raw: f.Lines}
		if w.fault.delay > 0 {
			fl.at = fl.at.Add(time.Duration(w.rnd.Int64N(int64(w.fault.delay))))
		}
		came := size
		if w.rnd.Float64() < w.fault.cut {
			came = w.rnd.IntN(size)
		}
		if w.fault.maxSize > 0 {
			came = min(came, w.fault.maxSize)
		}
		if came < size {
			fl.raw = wholeLines(fl.raw, came)
			fl.file.Whole, fl.file.Cut, fl.file.Size = false, true, int64(came)
			fl.at = fl.at.Add(5 * time.Second) // settle
			if len(fl.raw) == 0 {
				continue // nothing credible: set aside without a word
			}
		}
		w.air = append(w.air, fl)
	}
}

// wholeLines gives the lines that lie within the first n bytes.
func wholeLines(lines [][]byte, n int) [][]byte {
	for i, l := range lines {
		if n -= len(l); n < 0 {
			return lines[:i]
		}
	}
	return lines
}

func (s *side) receive(f flying) {
	if s.dead {
		return
	}
	in := f.file
	for _, raw := range f.raw {
		c, err := frame.ParseClaims(raw)
		if err != nil {
			s.w.t.Fatalf("own claims do not parse: %v\n%s", err, raw)
		}
		in.Lines = append(in.Lines, c)
	}
	for _, d := range s.l.Receive(s.w.now, in) {
		own, _ := s.l.Epoch()
		text := d.Data[:min(len(d.Data), 100)] // texts differ at their beginning; what follows only has to be long
		s.got[fmt.Sprintf("%d/%d/%s", own, d.PeerEpoch, text)]++
		if s.onGet != nil {
			s.onGet(string(text))
		}
		s.pending.got = append(s.pending.got, d.ID)
	}
	s.drain()
}

// resume has the mover carry what has gathered, but for what was removed meanwhile.
func (w *world) resume() {
	w.halted = false
	for _, s := range w.sides {
		for _, f := range s.waiting {
			if s.outbox[f.file.Seq] {
				f.at = w.now.Add(time.Millisecond)
				w.air = append(w.air, f)
				if w.habit != copies {
					delete(s.outbox, f.file.Seq)
				}
			}
		}
		s.waiting = nil
	}
}

func (s *side) crash() {
	s.l, s.staged, s.pending = nil, nil, staged{}
	s.epoch++
	s.start()
}

// clone copies what is on the disk.
func (d disk) clone() disk {
	d.rows, d.sent, d.got = maps.Clone(d.rows), maps.Clone(d.sent), maps.Clone(d.got)
	return d
}

// step lets everything happen that can, then moves the clock to the next event. false: nothing is left.
func (w *world) step() bool {
	for i := 0; ; i++ {
		did := false
		for _, s := range w.sides {
			did = s.work() || did
		}
		if !did {
			break
		}
		if i > 10_000 {
			w.t.Fatal("no end of work without time passing")
		}
	}
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, s := range w.sides {
		sooner(s.l.Deadline(w.now))
		if s.staged != nil {
			sooner(s.staged.due)
		}
	}
	for _, f := range w.air {
		sooner(f.at)
	}
	if next.IsZero() {
		return false
	}
	w.now = maxTime(next, w.now.Add(time.Microsecond))
	var still, due []flying
	for _, f := range w.air {
		if f.at.After(w.now) {
			still = append(still, f)
		} else {
			due = append(due, f)
		}
	}
	w.air = still
	for _, f := range due {
		if f.take {
			delete(w.sides[1-f.to].outbox, f.file.Seq)
			continue
		}
		w.sides[f.to].receive(f)
	}
	if w.rnd.Float64() < w.fault.crash {
		w.sides[w.rnd.IntN(2)].crash()
	}
	return true
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *world) synchronized() bool {
	for _, s := range w.sides {
		if !s.l.Synchronized() || len(s.disk.rows) > 0 || s.staged != nil || len(s.pending.rows) > 0 {
			return false
		}
	}
	return true
}

// run sends messages both ways under faults and demands that every committed one arrives exactly once.
func run(t *testing.T, seed uint64, f faults, messages int) *world {
	t.Helper()
	w := newWorld(t, seed, f)
	want := [2]int{}
	for i := 0; i < messages; {
		if w.rnd.Float64() < 0.3 {
			n := w.rnd.IntN(2)
			// A message that is lost in a crash before its commit was never accepted: commit at once here.
			s := w.sides[n]
			s.submit(fmt.Sprintf("m%d", i))
			for s.staged != nil || len(s.pending.rows) > 0 {
				if s.staged != nil {
					s.commitDone()
				}
				s.work()
			}
			want[1-n]++
			i++
		}
		w.step()
	}
	end := w.now.Add(48 * time.Hour)
	w.fault.crash = 0
	for !w.synchronized() {
		if w.now.After(end) {
			for _, s := range w.sides {
				m, _ := s.l.Held()
				t.Logf("side %d: held %d, in flight %d, stats %+v", s.n, m, s.l.InFlight(), s.l.Stats())
			}
			t.Fatalf("seed %d: not synchronized after two days", seed)
		}
		w.step()
	}
	for n, s := range w.sides {
		texts := map[string]bool{}
		for k := range s.got {
			var a, b uint64
			var txt string
			if _, err := fmt.Sscanf(k, "%d/%d/%s", &a, &b, &txt); err != nil {
				t.Fatal(err)
			}
			texts[txt] = true
		}
		if len(texts) != want[n] {
			t.Fatalf("seed %d: side %d got %d different messages, want %d", seed, n, len(texts), want[n])
		}
		if len(s.disk.got) != want[n] {
			t.Fatalf("seed %d: side %d stored %d messages, want %d", seed, n, len(s.disk.got), want[n])
		}
	}
	return w
}

func TestCleanPipeSendsEachMessageOnce(t *testing.T) {
	w := run(t, 1, faults{commitDelay: time.Millisecond}, 500)
	for _, s := range w.sides {
		st := s.l.Stats()
		if st.Resent != 0 || st.Duplicates != 0 || st.FilesLost != 0 || st.Timeouts != 0 {
			t.Errorf("side %d: %+v, want nothing sent again on a clean pipe", s.n, st)
		}
	}
}

func TestFaultyPipeDeliversExactlyOnce(t *testing.T) {
	for seed := range uint64(60) {
		f := faults{drop: 0.1, cut: 0.1, dup: 0.1, delay: time.Duration(seed%4) * 300 * time.Millisecond, commitDelay: time.Duration(seed%3) * time.Millisecond}
		w := run(t, seed, f, 150)
		var resent, dup uint64
		for _, s := range w.sides {
			resent, dup = resent+s.l.Stats().Resent, dup+s.l.Stats().Duplicates
		}
		if resent == 0 || dup == 0 {
			t.Errorf("seed %d: %d messages sent again, %d duplicates: the faults had no effect", seed, resent, dup)
		}
	}
}

func TestCrashesLoseNothingAcceptedAndRepeatNothing(t *testing.T) {
	for seed := range uint64(60) {
		f := faults{drop: 0.1, cut: 0.05, dup: 0.1, delay: 200 * time.Millisecond, crash: 0.02, commitDelay: time.Millisecond}
		run(t, 1000+seed, f, 120)
	}
}

func TestIdleLinkWritesOnlyHeartbeats(t *testing.T) {
	w := run(t, 7, faults{commitDelay: time.Millisecond}, 20)
	for range 50 { // let the last acks go out
		w.step()
		if len(w.air) == 0 && w.sides[0].l.InFlight() == 0 {
			break
		}
	}
	before := w.files
	end := w.now.Add(time.Hour)
	for w.now.Before(end) {
		w.step()
	}
	if n := w.files - before; n < 119 || n > 121 {
		t.Errorf("%d files in an idle hour of two links with a heartbeat of one minute, want 120", n)
	}
	for _, s := range w.sides {
		if n := s.l.InFlight(); n > 1 {
			t.Errorf("side %d has %d files in the pipe, want the last heartbeat", s.n, n)
		}
	}
}

// TestAPeerThatIsAwayForAWeek: with an outbox that holds more than may be in transit, a site whose peer is away works
// hardly more than an idle one, and what it has in the pipe stays within the limits.
func TestAPeerThatIsAwayForAWeek(t *testing.T) {
	const week = 7 * 24 * time.Hour
	idle := run(t, 7, faults{commitDelay: time.Millisecond}, 20)
	idle.pass(time.Minute)
	ticks := idle.sides[0].ticks
	idle.pass(week)
	ticks = idle.sides[0].ticks - ticks

	w := run(t, 7, faults{commitDelay: time.Millisecond}, 20)
	w.mute = [2]bool{true, true}
	a := w.sides[0]
	for i := range 500 {
		a.submit(fmt.Sprintf("backlog%d", i))
	}
	a.commitAll()
	w.pass(time.Minute)
	before, files := a.ticks, a.l.Stats().FilesWritten
	w.pass(week)
	if n := a.ticks - before; n > 2*ticks {
		t.Errorf("%d timers ran out in a week, want at most twice the %d of an idle link", n, ticks)
	}
	if n, most := a.l.Stats().FilesWritten-files, uint64(week/time.Minute+week/time.Hour+20); n > most {
		t.Errorf("%d files in a week, want a heartbeat a minute and a repeat an hour", n)
	}
	if n := a.l.InFlight(); n > 64 {
		t.Errorf("%d files in the pipe", n)
	}
	w.mute = [2]bool{}
	w.settle(t)
}
