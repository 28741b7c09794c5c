package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// sending is stored data that its site has another one take: a call to it, whose outcome is the word that the data is kept.
type sending struct {
	*call // for its connection: no caller's call
	of    *stored
	to    *site
	life  life   // of the other site then
	epoch uint64 // of the other site, as far as it was known then
	began time.Duration
	set   int // how often the clocks of both had been set then
}

// heard is the epoch of the other site as far as it is known.
func (s *sending) heard() uint64 {
	l := s.proc.core.Link(s.to.id)
	if l == nil {
		return 0
	}
	_, peer := l.Epoch()
	return peer
}

// receiver takes what peers send, and hands calls on to the callee.
type receiver struct {
	datapipe.Receiver
	p *proc
}

// Slots implements exchange.Upstreams: what two peers send at the same moment would come out differently each time.
func (r *receiver) Slots(upstream string) int {
	if upstream == datapipe.SendUpstream {
		return 1
	}
	return r.Receiver.Slots(upstream)
}

// Do implements exchange.Upstreams.
func (r *receiver) Do(ctx context.Context, q *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	if q.Upstream != datapipe.SendUpstream {
		return r.Receiver.Do(ctx, q)
	}
	for !r.p.begin() { // as for clients: one at a time
		if !rest(ctx, 70*time.Millisecond) {
			return nil, false, exchange.Problemf(exchange.CodeCanceled, "ended")
		}
	}
	defer r.p.setReading(false)
	return r.Receiver.Do(ctx, q)
}

// begin notes that a process brings data here, unless it does already.
func (p *proc) begin() bool {
	if p.fetching() {
		return false
	}
	p.setReading(true)
	return true
}

// KeepFor implements datapipe.Keeper as pkg/dataapi does it: pinned, synced, and noted.
func (r *receiver) KeepFor(ctx context.Context, m *chunk.Map, peer string) (time.Time, *exchange.Problem) {
	p, w := r.p, r.p.w
	owner := [16]byte(w.dataID(p.site))
	defer p.shelf.Unpin(owner)
	names, err := namesOf(ctx, m, p.shelf)
	if err == nil {
		p.shelf.Pin(owner, names)
		err = p.shelf.Sync(ctx)
	}
	if err == nil {
		err = p.db.CommitChunks(ctx, chunk.Change{Now: p.now(), Pin: []chunk.Pin{{Owner: owner, Names: names}}})
	}
	if err != nil {
		return time.Time{}, exchange.Problemf(exchange.CodeStoreFailed, "%v", err)
	}
	of := w.storedAs(m)
	if of == nil {
		w.fail("data", "%s is to keep data for %s that nobody stored", p.site.name, peer)
		return time.Time{}, exchange.Problemf(exchange.CodeInternal, "nobody's")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored = append(w.stored, &stored{site: p.site, life: p.site.life(), m: *m, content: of.content, owner: owner})
	return p.now().Add(24 * time.Hour), nil
}

// namesOf lists the chunks of a map, all of which are here.
func namesOf(ctx context.Context, m *chunk.Map, src chunk.Source) ([]chunk.Name, error) {
	all := map[chunk.Name]bool{}
	whole, err := chunk.Walk(ctx, *m, src, func(_ chunk.Entry, n chunk.Name) error { all[n] = true; return nil })
	if err == nil && !whole {
		err = chunk.ErrMissing
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b chunk.Name) int { return bytes.Compare(a[:], b[:]) }), err
}

// storedAs gives some data that has a map.
func (w *World) storedAs(m *chunk.Map) *stored {
	text, err := m.Encode()
	if err != nil {
		return nil
	}
	for _, d := range w.stored {
		if t, err := d.m.Encode(); err == nil && bytes.Equal(t, text) {
			return d
		}
	}
	return nil
}

// dataID makes the id of something about data, by the source of choices of its own.
func (w *World) dataID(s *site) (id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 0; i < len(id); i += 8 {
		x := w.dataDice.Uint64()
		for j := range 8 {
			id[i+j] = byte(x >> (8 * j))
		}
	}
	return id
}

// newDataDice gives the source of the choices about data that is sent: those of older plans are not to depend on them.
func newDataDice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x73656e64)) }

// sends plans what is sent and what is not kept any more.
func (w *World) sends() {
	span := max(w.plan.Gap*time.Duration(w.plan.Calls), w.plan.MinTrouble)
	at := func() time.Duration { return span/10 + time.Duration(w.dataDice.Int64N(int64(span*9/10))) }
	for n := range w.plan.Sends {
		w.after(at(), func() { w.sendData(n) })
		if n%3 == 0 {
			w.after(at(), w.forgetData)
		}
	}
}

// sendData has a site send what it stores, or what was sent to it.
func (w *World) sendData(n int) {
	if len(w.stored) == 0 || w.healthy {
		return
	}
	d := w.stored[w.dataDice.IntN(len(w.stored))]
	to := w.sites[(d.site.n+1+w.dataDice.IntN(len(w.sites)-1))%len(w.sites)]
	p := d.site.serving()
	if p == nil || d.gone || d.life != d.site.life() {
		return
	}
	c := &call{w: w, n: 1_000_000 + n, site: d.site, proc: p, peer: to, step: make(chan struct{}), life: d.site.life()}
	c.ctx, c.leave = context.WithCancel(context.Background())
	c.wait = time.Duration(w.dataDice.Int64N(int64(4*w.plan.DelayMax + 2*time.Minute)))
	s := &sending{call: c, of: d, to: to, life: to.life()}
	s.epoch, s.began, s.set = s.heard(), w.now(), d.site.clock.set+to.clock.set
	w.sendings = append(w.sendings, s)
	w.trace.say(w, "%s sends %d bytes of data to %s", d.site.name, d.size(), to.name)
	go s.run()
	synctest.Wait()
}

// forgetData has a site not keep any more what was sent to it.
func (w *World) forgetData() {
	if len(w.stored) == 0 || w.healthy {
		return
	}
	d := w.stored[w.dataDice.IntN(len(w.stored))]
	p := d.site.serving()
	if p == nil || d.gone || d.life != d.site.life() {
		return
	}
	if err := p.db.CommitChunks(context.Background(), chunk.Change{Now: p.now(), Unpin: []chunk.Owner{d.owner}}); err != nil {
		w.fail("data", "%s cannot forget data: %v", d.site.name, err)
	}
	d.gone = true
	w.trace.say(w, "%s forgets %d bytes of data", d.site.name, d.size())
}

// run is the client's goroutine.
func (s *sending) run() {
	p, w := s.proc, s.w
	resp, err := p.data.Send(s.ctx, &s.of.m, s.to.name, "", "", s.wait, nil)
	if err != nil {
		s.failed(err)
		return
	}
	w.mu.Lock()
	w.returned = append(w.returned, s.call)
	w.mu.Unlock()
	w.poke()
	<-s.step
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var said struct {
		Size, Fetched int64
	}
	if err != nil && p.ended() {
		return
	}
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil || resp.Status != 200 || said.Size != s.of.size() || said.Fetched > said.Size {
		w.fail("data", "%s sent %d bytes to %s and was told %d: %s (%v)", s.site.name, s.of.size(), s.to.name, resp.Status, text, err)
	}
	if s.to.life() == s.life && !s.kept() {
		w.fail("data", "%s was told that %s keeps %d bytes, which it does not", s.site.name, s.to.name, s.of.size())
	}
	w.mu.Lock()
	w.report.Taken++
	w.mu.Unlock()
}

// kept says whether the other site keeps the data, or did.
func (s *sending) kept() bool {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return slices.ContainsFunc(s.w.stored, func(d *stored) bool { return d.site == s.to && d.content == s.of.content })
}

// failed holds the reason why data was not taken against what happened.
func (s *sending) failed(err error) {
	var p *exchange.Problem
	lost := s.of.lost()
	switch {
	case errors.Is(err, exchange.ErrWait), errors.Is(err, errDead), errors.Is(err, context.Canceled), errors.Is(err, store.ErrClosed), s.proc.ended():
	case !errors.As(err, &p):
		s.w.fail("data", "%s could not send data: %v", s.site.name, err)
	case p.Code == exchange.CodeDataMissing && !lost, p.Code == exchange.CodeInternal,
		p.Code == exchange.CodeUncertain && s.to.life() == s.life && s.heard() == s.epoch && !s.overdue(): // else an earlier life may have taken it, or an earlier try
		s.w.fail("data", "%s could not send data to %s: %v", s.site.name, s.to.name, p)
	}
}

// overdue says whether the call's deadline may have passed by the clocks of the two sites.
func (s *sending) overdue() bool {
	return s.w.now()-s.began > giveUp-time.Hour || s.site.clock.set+s.to.clock.set > s.set
}

// checkStored demands that what is kept is here, whole and as it was, and that nothing else is kept from being dropped.
func (w *World) checkStored() {
	for _, d := range w.stored {
		p := d.site.main()
		if d.life != d.site.life() || p.shelf == nil {
			continue
		}
		pins, err := p.db.ChunkPins(context.Background(), d.owner)
		if err != nil {
			w.fail("data", "%s: %v", d.site.name, err)
		}
		if d.gone {
			if len(pins) > 0 {
				w.fail("offers bounded", "%s keeps %d chunks of data that it forgot", d.site.name, len(pins))
			}
			continue
		}
		if why := d.lacks(p, pins); why != "" {
			w.fail("data", "%s keeps %d bytes of data, %s", d.site.name, d.size(), why)
		}
	}
}

// lacks says what is wrong with data that a site keeps; "": nothing.
func (d *stored) lacks(p *proc, pins []chunk.Name) string {
	ctx := context.Background()
	rows, err := p.db.FindChunks(ctx, pins)
	if err != nil {
		return err.Error()
	}
	names, err := namesOf(ctx, &d.m, p.shelf)
	switch {
	case err != nil:
		return fmt.Sprintf("and not all chunks are here: %v", err)
	case len(pins) != len(names):
		return fmt.Sprintf("and pins %d chunks of %d", len(pins), len(names))
	}
	for _, r := range rows {
		if !p.shelf.Holds(r.Record) {
			return fmt.Sprintf("and does not have chunk %s", r.Name)
		}
	}
	if len(rows) < len(names) {
		return fmt.Sprintf("and has %d chunks of %d", len(rows), len(names))
	}
	const piece = 1 << 20
	for _, off := range []int64{0, int64(len(d.head)), d.size() - piece} {
		if off = max(off, 0); !d.reads(ctx, p, off, min(piece, d.size()-off)) {
			return fmt.Sprintf("and gives others from %d on", off)
		}
	}
	return ""
}

// reads says whether a range of data can be read as it was stored.
func (d *stored) reads(ctx context.Context, p *proc, off, n int64) bool {
	r, err := chunk.NewRange(ctx, d.m, p.shelf, off, n)
	if err != nil {
		return false
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	return err == nil && bytes.Equal(got, d.bytes(off, n))
}
