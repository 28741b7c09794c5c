package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// stored is data that a site keeps: put there as by its Data API, or sent to it.
type stored struct {
	site  *site
	life  life // of the site then
	owner chunk.Owner
	gone  bool // nobody keeps it any more
	m     chunk.Map
	*content
}

// lost says whether its site may not have it any more. One that runs twice may be asked where it was not stored.
func (d *stored) lost() bool { return d.gone || d.life != d.site.life() || len(d.site.procs) > 1 }

// content is what was stored: some bytes, and in nested data zeros and more bytes behind them.
type content struct {
	head []byte
	gap  int64
	tail []byte
}

func (c *content) size() int64 { return int64(len(c.head)) + c.gap + int64(len(c.tail)) }

// bytes gives a range.
func (c *content) bytes(off, n int64) []byte {
	out := make([]byte, n)
	if off < int64(len(c.head)) {
		copy(out, c.head[off:])
	}
	if at := int64(len(c.head)) + c.gap - off; at < n {
		copy(out[max(at, 0):], c.tail[max(-at, 0):])
	}
	return out
}

// reading is one read of stored data at another site.
type reading struct {
	w      *World
	n      int
	proc   *proc
	of     *stored
	off, l int64
	named  bool // the client names the site that has it
	wait   time.Duration
	asked  bool // the site that has it is not taken for one that gives no data
}

// dataSize is the most that is stored at once.
const dataSize = 3 << 20

// openData puts the way of stored data before the exchanges of a process.
func (p *proc) openData(names map[identity.ID]string) {
	o := datapipe.Options{Chunks: p.shelf, Store: p.db, Now: p.now, GiveUp: giveUp, NewID: func(time.Time) exchange.ID { return p.w.newID(p.site) }}
	for _, id := range p.site.others() {
		o.Peers = append(o.Peers, datapipe.Peer{ID: id, Name: names[id]})
	}
	p.data = datapipe.New(o, p.m, p)
}

// giveUp is after what time a site gives up to send or fetch data.
const giveUp = 24 * time.Hour

// watchedData is watched where stored data travels.
type watchedData struct {
	watched
	pipe *datapipe.Pipe
}

// ChunksAsked implements node.FetchHandler.
func (h watchedData) ChunksAsked(s *node.Step, peer identity.ID, x bulk.ID, wishes []bulk.Wish) {
	h.p.w.trace.note(h.p.w, 'F', uint64(h.p.n), uint64(len(wishes)))
	h.pipe.ChunksAsked(s, peer, x, wishes)
	synctest.Wait()
}

// transfers plans what is stored and read.
func (w *World) transfers() {
	span := max(w.plan.Gap*time.Duration(w.plan.Calls), w.plan.MinTrouble)
	for n := range w.plan.Data {
		w.after(w.between(0, span), func() { w.putData() })
		w.after(w.between(span/8, span), func() { w.readData(n) })
	}
}

// putData stores data at a site; it is durable when that is done.
func (w *World) putData() {
	s := w.anySite()
	p, size := s.serving(), 1+w.rnd.IntN(dataSize)
	if size /= 1 << w.rnd.IntN(6); p == nil || s.full || w.healthy {
		return
	}
	d := &stored{site: s, life: s.life(), content: &content{head: w.bytes(max(size, chunk.MaxInline+1))}}
	var names []chunk.Name
	sealer := chunk.NewSealer(sha256.Sum256(fmt.Appendf(nil, "%d %s data", w.plan.Seed, s.name))).Apart()
	sink := func(_ chunk.Entry, r chunk.Record, ct []byte) error {
		names = append(names, r.Name)
		return p.shelf.Put(r, ct)
	}
	cw := chunk.NewWriter(context.Background(), sealer, chunk.WriterOptions{}, sink)
	_, err := cw.Write(d.head)
	if err == nil {
		d.m, err = cw.Close()
	}
	if err == nil && w.plan.Nested {
		names, err = d.nest(p, sealer, sink)
	}
	if err == nil {
		err = p.shelf.sync()
	}
	if d.owner = chunk.Owner(w.newID(s)); err == nil { // kept until somebody deletes it
		err = p.db.CommitChunks(context.Background(), chunk.Change{Now: p.now(), Pin: []chunk.Pin{{Owner: d.owner, Names: names}}})
	}
	if err != nil {
		w.fail("data", "%s cannot store data: %v", s.name, err)
	}
	w.trace.say(w, "%s stores %d bytes in %d chunks", s.name, d.size(), len(names))
	w.stored = append(w.stored, d)
}

// nest writes on far behind the end, so that the map lists more chunks than a short one can: it nests. It gives the chunks
// of the whole.
func (d *stored) nest(p *proc, sealer *chunk.Sealer, sink chunk.Sink) (names []chunk.Name, err error) {
	w, ctx := p.w, context.Background()
	d.gap = 24<<20 + w.dataDice.Int64N(24<<20)
	d.tail = make([]byte, 1+w.dataDice.IntN(1<<20))
	for i := range d.tail {
		d.tail[i] = byte(w.dataDice.Uint32())
	}
	off := d.gap + int64(len(d.head))
	if d.m, err = chunk.Edit(ctx, d.m, p.shelf, sealer, chunk.WriterOptions{Fixed: true}, sink, off, bytes.NewReader(d.tail)); err != nil {
		return nil, err
	}
	if d.m.Level() == 0 {
		return nil, errors.New("the map does not nest")
	}
	return namesOf(ctx, &d.m, p.shelf)
}

// readData has a client read a range of what some other site stores. One at a time at each site: what two goroutines of
// one process do at the same moment would come out differently each time.
func (w *World) readData(n int) {
	if len(w.stored) == 0 || w.healthy {
		return
	}
	d := w.stored[w.rnd.IntN(len(w.stored))]
	s := w.sites[(d.site.n+1+w.rnd.IntN(len(w.sites)-1))%len(w.sites)]
	p, size := s.serving(), d.size()
	r := &reading{w: w, n: n, proc: p, of: d, off: w.rnd.Int64N(size), named: w.chance(0.7), wait: w.between(time.Second, time.Minute)}
	r.l = 1 + w.rnd.Int64N(size-r.off)
	if w.plan.Nested {
		r.l = min(r.l, dataSize)
	}
	if p == nil || p.fetching() {
		return
	}
	takes, heard := p.Takes(d.site.id, frame.KindFetch)
	r.asked = takes || !heard
	w.trace.say(w, "%s reads %d bytes of data of %s, from %d", s.name, r.l, d.site.name, r.off)
	w.report.Reads++
	go r.run()
	synctest.Wait()
}

// fetching says whether a process brings data here.
func (p *proc) fetching() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading {
		return true
	}
	rows, err := p.db.Fetches(context.Background())
	return err == nil && len(rows) > 0
}

func (p *proc) setReading(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = yes
}

// run is the client's goroutine.
func (r *reading) run() {
	p := r.proc
	p.setReading(true)
	defer p.setReading(false)
	q := &datapipe.Request{Map: r.of.m, Off: r.off, N: r.l}
	if r.named {
		q.Peer = r.of.site.name
	}
	_, release, err := p.data.Bring(context.Background(), q, r.wait)
	if err != nil {
		r.failed(err)
		return
	}
	defer release()
	text, err := chunk.NewRange(context.Background(), r.of.m, p.shelf, r.off, r.l)
	if err != nil {
		r.w.fail("data", "read %d: %v", r.n, err)
		return
	}
	defer text.Close()
	got, err := io.ReadAll(text)
	if err != nil || !bytes.Equal(got, r.of.bytes(r.off, r.l)) {
		r.w.fail("data", "read %d of %s gave %d bytes that are not those of %d, %v", r.n, r.of.site.name, len(got), r.l, err)
	}
	r.w.mu.Lock()
	r.w.report.Brought++
	r.w.mu.Unlock()
}

// failed holds the reason why data could not be had against what happened.
func (r *reading) failed(err error) {
	var p *exchange.Problem
	lost := r.of.lost()
	switch {
	case errors.Is(err, exchange.ErrWait), errors.Is(err, errDead), errors.Is(err, context.Canceled), r.proc.ended():
	case !errors.As(err, &p):
		r.w.fail("data", "read %d ended with %v", r.n, err)
	case p.Code == exchange.CodeDataMissing && !lost && r.asked:
		r.w.fail("data", "read %d: %v, and %s still has it", r.n, p, r.of.site.name)
	case p.Code == exchange.CodeInternal:
		r.w.fail("data", "read %d: %v", r.n, p)
	}
}

// ended says whether the process is gone, or about to go.
func (p *proc) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead || p.halting
}

// fetchesEnded says whether nobody waits for stored data any more.
func (w *World) fetchesEnded() bool {
	for _, s := range w.sites {
		if p := s.main(); p.data != nil && (p.fetching() || p.sending()) {
			return false
		}
	}
	return true
}

// sending says whether data is being sent to or from here.
func (p *proc) sending() bool {
	if p.w.plan.Sends == 0 {
		return false
	}
	rows, err := p.db.Exchanges(context.Background(), store.ExchangeFilter{Running: true, Limit: 1000})
	return err == nil && slices.ContainsFunc(rows, func(row store.Exchange) bool { return row.Upstream == datapipe.SendUpstream })
}

// checkFetches demands that the fetching of data has an end that is told.
func (w *World) checkFetches() {
	for _, s := range w.sites {
		p := s.main()
		if p.data == nil {
			continue
		}
		rows, err := p.db.Exchanges(context.Background(), store.ExchangeFilter{Running: true, Limit: 1000})
		if err != nil {
			w.fail("data", "%s: %v", s.name, err)
		}
		for _, row := range rows {
			if row.Upstream == exchange.FetchUpstream || row.Upstream == datapipe.SendUpstream {
				w.fail("progress", "%s still has data moved as %x when all is done: %s, %s", s.name, row.ID, row.Upstream, row.Stage)
			}
		}
	}
}
