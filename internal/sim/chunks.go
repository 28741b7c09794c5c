package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/zeebo/blake3"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/node/nodetest"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// folder is a state folder: the database, and the chunks that lie beside it.
type folder struct {
	*store.Mem
	chunks *nodetest.Chunks
	ever   map[chunk.Name]bool           // were durable at some time
	linked map[frame.Name][]chunk.Record // what the packs hold
}

func newFolder() *folder {
	return &folder{store.NewMem(), nodetest.NewChunks(), map[chunk.Name]bool{}, map[frame.Name][]chunk.Record{}}
}

// clone gives a copy of the folder as a power cut leaves it: without what was put and not synced.
func (f *folder) clone() *folder {
	return &folder{f.Mem.Clone(), f.chunks.Clone(), maps.Clone(f.ever), maps.Clone(f.linked)}
}

// shelf is the chunk store of a process: the bytes in memory, the index in the database. A Sync takes its time, and the
// power may fail before it and after it.
type shelf struct {
	*nodetest.Chunks
	p  *proc
	at int64 // where the next record would lie

	mu    sync.Mutex
	put   []chunk.Record // not synced yet
	asked []chan error   // wait for the next sync
}

// Put implements exchange.Chunks.
func (s *shelf) Put(r chunk.Record, ct []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put = append(s.put, r)
	return s.Chunks.Put(r, ct)
}

// Begin begins a file of its own for chunks that are shipped together.
func (s *shelf) Begin() exchange.Run { return &shelfRun{s.Chunks.Begin(), s} }

type shelfRun struct {
	*nodetest.Run
	s *shelf
}

// Put implements exchange.Run.
func (r *shelfRun) Put(rec chunk.Record, ct []byte) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.put = append(r.s.put, rec)
	return r.Run.Put(rec, ct)
}

// Adopt takes a pack over without a copy.
func (s *shelf) Adopt(recs []chunk.Record, move func(path string) error) error {
	if err := s.Chunks.Adopt(recs, move); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put = append(s.put, recs...)
	s.p.w.report.Linked++
	return nil
}

// LinkAlone has a pack leave without a copy.
func (s *shelf) LinkAlone(ctx context.Context, recs []chunk.Record, link func(path string) error) (bool, error) {
	done, err := s.Chunks.LinkAlone(ctx, recs, link)
	if done && err == nil {
		s.p.w.report.Linked++
	}
	return done, err
}

// Sync implements exchange.Chunks for the goroutines of callers and callees.
func (s *shelf) Sync(ctx context.Context) error {
	done := make(chan error, 1)
	s.mu.Lock()
	s.asked = append(s.asked, done)
	s.mu.Unlock()
	s.p.w.poke()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work plans a sync if somebody waits for one.
func (s *shelf) work() bool {
	s.mu.Lock()
	asked := s.asked
	s.asked = nil
	s.mu.Unlock()
	if len(asked) == 0 {
		return false
	}
	s.p.later(100*time.Microsecond, 3*time.Millisecond, func() {
		if s.p.w.crashNow(s.p) {
			return // not durable
		}
		err := s.sync()
		if s.p.w.crashNow(s.p) {
			return // durable, and nobody was told
		}
		for _, done := range asked {
			done <- err
			synctest.Wait()
		}
	})
	return true
}

// sync makes durable what was put.
func (s *shelf) sync() error {
	if s.p.site.full {
		return store.ErrFull
	}
	s.mu.Lock()
	recs := s.put
	s.put = nil
	s.mu.Unlock()
	if err := s.Chunks.Sync(context.Background()); err != nil {
		return err
	}
	c := chunk.Change{Now: s.p.now()}
	for _, r := range recs {
		c.Add = append(c.Add, chunk.Row{Record: r, File: 1, At: s.at})
		s.at += r.Size()
		s.p.ever[r.Name] = true
	}
	s.p.w.trace.note(s.p.w, 'K', uint64(s.p.n), uint64(len(recs)))
	return s.p.db.CommitChunks(context.Background(), c)
}

// atOnce is the shelf for the loop, which syncs as part of an event.
type atOnce struct{ *shelf }

// Sync implements node.Chunks.
func (s atOnce) Sync(context.Context) error { return s.sync() }

// evict drops half of the chunks that nobody needs, as a full store does.
func (s *shelf) evict() {
	ctx := context.Background()
	rows, err := s.p.db.IdleChunks(ctx, 0, 1000)
	if err != nil {
		s.p.w.fail("evict", "%s: %v", s.p.site.name, err)
	}
	rows = slices.DeleteFunc(rows, func(r chunk.Row) bool { return s.Needed(r.Name) || !s.p.w.chance(0.5) })
	s.p.w.trace.say(s.p.w, "%s evicts %d chunks", s.p.site.name, len(rows))
	if err := s.p.db.CommitChunks(ctx, chunk.Change{Now: s.p.now(), Drop: rows}); err != nil {
		s.p.w.fail("evict", "%s: %v", s.p.site.name, err)
	}
	for _, r := range rows {
		_ = s.Damage(r.Name, true)
	}
}

// sealerFor gives what seals bodies for a peer; its secret comes from the seed.
func (p *proc) sealerFor(peer identity.ID) (*chunk.Sealer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealers[peer] == nil && p.w.signed(p.site, p.w.byID(peer)) {
		s, err := chunk.NewPlainSealer()
		if err != nil {
			return nil, err
		}
		return s.Apart(), nil
	}
	if p.sealers[peer] == nil {
		p.sealers[peer] = chunk.NewSealer(sha256.Sum256(fmt.Appendf(nil, "%d %s %s", p.w.plan.Seed, p.site.name, peer))).Apart()
	}
	return p.sealers[peer], nil
}

// Takes tells exchange.Manager what a peer takes.
func (p *proc) Takes(peer identity.ID, kind frame.Kind) (takes, heard bool) {
	caps := p.caps[peer].Load()
	if caps == nil || len(*caps) == 0 {
		return false, false
	}
	return slices.Contains(*caps, string(kind)), true
}

// putPack copies a pack into the pipe, and a moment later tells the core.
func (p *proc) putPack(pw node.PackWrite) {
	w := p.w
	p.later(50*time.Microsecond, 5*time.Millisecond, func() {
		if w.crashNow(p) {
			return // not written
		}
		var damaged []chunk.Name
		err := error(pipe.ErrNoSpace)
		if w.healthy || !w.chance(w.plan.PutFail) {
			damaged, err = node.PutPack(context.Background(), p.pipe, p.shelf, p.links, pw)
		}
		taken := errors.Is(err, pipe.ErrExists)
		if taken && pw.Pack.Verify {
			err = nil // written by an earlier run, which did not live to note it
		}
		w.trace.note(w, 'P', uint64(p.n), pw.Name.Seq, uint64(len(pw.Pack.Records)), uint64(len(damaged)))
		if w.trace.verbose {
			w.trace.tell(w, fmt.Sprintf("%s -> %s: pack %d of %d chunks, %d bytes, %v", p.site.name, w.byID(pw.Peer).name, pw.Name.Seq, len(pw.Pack.Records), pw.Size(), err))
		}
		if data, ok := p.site.out.ReadFile(path(pw.Name)); err == nil && ok {
			p.checkName(pw.Peer, pw.Name, pw.Pack.Verify)
			p.checkReadable(pw, data)
			p.linked[pw.Name] = pw.Pack.Records
			p.wrote(pw.Name, data)
		}
		if taken {
			err = nil // as node.Node tells it
		}
		if w.crashNow(p) {
			return // written, and not noted
		}
		p.later(5*time.Microsecond, 100*time.Microsecond, func() { p.core.PackWritten(p.now(), pw, err, damaged); synctest.Wait() })
	})
}

// checkReadable demands that a pack of a signed link is the bytes of a body and nothing else.
func (p *proc) checkReadable(pw node.PackWrite, data []byte) {
	if !p.w.signed(p.site, p.w.byID(pw.Peer)) {
		return
	}
	for _, r := range pw.Pack.Records {
		n := min(r.Len, int64(len(data)))
		if chunk.Sum(blake3.Sum256(data[:n])) != r.Hsh {
			p.w.fail("readable", "%s writes pack %d, which is not what was announced as plain", p.site.name, pw.Name.Seq)
		}
		data = data[n:]
	}
	if len(data) > 0 {
		p.w.fail("readable", "%s writes pack %d with %d bytes besides", p.site.name, pw.Name.Seq, len(data))
	}
}

// takePack reads a pack, and a moment later tells the core.
func (p *proc) takePack(r node.PackRead) {
	w := p.w
	p.later(50*time.Microsecond, 5*time.Millisecond, func() {
		f := r.Found.Token.(pipe.File)
		p.linked[f.Name] = r.Records
		if w.crashNow(p) {
			return // nothing is put
		}
		res, err := node.TakePack(context.Background(), p.pipe, atOnce{p.shelf}, p.links, f, r)
		switch {
		case errors.Is(err, pipe.ErrGone):
			res = node.PackResult{Vanished: true}
		case err != nil:
			res = node.PackResult{Failed: true}
			p.pipe.Again(f)
			p.site.scanSoon(time.Second)
		case !res.Final:
			p.pipe.Pending(f)
			p.site.scanSoon(time.Second)
		}
		w.trace.note(w, 'T', uint64(p.n), r.Seq, uint64(len(res.Got)), uint64(res.Bad))
		if w.trace.verbose {
			w.trace.tell(w, fmt.Sprintf("%s takes pack %d of %s: %d of %d records, %d bad, whole %v, final %v, %v", p.site.name, r.Seq, w.byID(r.Peer).name,
				len(res.Got), len(r.Records), res.Bad, res.Whole, res.Final, err))
		}
		if w.crashNow(p) {
			return // durable, and not told
		}
		p.later(5*time.Microsecond, 100*time.Microsecond, func() { p.core.PackWasRead(p.now(), r, res); synctest.Wait() })
	})
}

// checkAnnouncement counts packs of several bodies, of which signed links have none.
func (p *proc) checkAnnouncement(peer identity.ID, data []byte) {
	d, err := bulk.Decode[bulk.PackData](data)
	switch {
	case err != nil:
		p.w.fail("readable", "%s announces a pack to %s in words that it would not read: %v", p.site.name, p.w.byID(peer).name, err)
	case len(d.Also) > 0 && p.w.signed(p.site, p.w.byID(peer)):
		p.w.fail("readable", "%s announces pack %d with several bodies, on a signed link", p.site.name, d.Seq)
	case len(d.Also) > 0:
		p.w.report.Shared++
	}
}

// checkHave demands that what the peer is told to be here is durable, or was.
func (p *proc) checkHave(peer identity.ID, data []byte) {
	d, err := bulk.Decode[bulk.HaveData](data)
	if err != nil || d.Unseen || d.Over {
		return
	}
	for i, r := range p.linked[frame.Name{Recipient: p.site.id, Sender: peer, Seq: d.Seq, Ext: frame.ExtPack}] {
		if !slices.Contains(d.Miss, i) && !slices.Contains(d.Unwanted, i) && !p.ever[r.Name] {
			p.w.fail("have before sync", "%s tells %s that chunk %d of pack %d is here, which is not durable", p.site.name, p.w.byID(peer).name, i, d.Seq)
		}
	}
}

// checkShelves demands that chunks that were durable are as they were.
func (w *World) checkShelves() {
	for _, s := range w.sites {
		p := s.main()
		if p.shelf == nil {
			continue
		}
		rows, err := p.db.ChunksIn(context.Background(), 1)
		if err != nil {
			w.fail("chunks", "%s: %v", s.name, err)
		}
		for _, r := range rows {
			if !p.shelf.Holds(r.Record) {
				w.fail("chunk damaged", "%s no longer has chunk %s as it was synced", s.name, r.Name)
			}
		}
		p.checkOffers()
	}
}

// checkOffers demands that nothing is on offer, or kept from being dropped, for calls that have ended.
func (p *proc) checkOffers() {
	w, s := p.w, p.site
	for _, o := range s.others() {
		rows, err := p.db.Offers(context.Background(), o)
		if err != nil {
			w.fail("chunks", "%s: %v", s.name, err)
		}
		if x := p.core.Bulk(o).Offering(); len(x) > 0 || len(rows) > 0 {
			w.fail("offers bounded", "%s still offers %s chunks when all calls have ended: of %v, stored %d", s.name, w.byID(o).name, x, len(rows))
		}
	}
	for _, owner := range p.shelf.Owners() {
		if !w.neverAsked(owner) {
			w.fail("offers bounded", "%s still keeps chunks for a call when all have ended: %x", s.name, owner)
		}
	}
}

// neverAsked says that chunks are kept for a request whose caller's site forgot it: the request itself may never have come,
// and parts of it are kept until it can come no more.
func (w *World) neverAsked(owner [16]byte) bool {
	return slices.ContainsFunc(w.calls, func(c *call) bool { return c.req.Exchange == owner && c.void() })
}

// lacksChunks says what is missing of a stored part of a request's body that lies in chunks; "": nothing.
func (p *proc) lacksChunks(r store.Out) string {
	if r.Kind != frame.KindBody || p.shelf == nil {
		return ""
	}
	var m frame.Message
	if err := json.Unmarshal(r.Data, &m); err != nil {
		return err.Error()
	}
	var part struct {
		Map jsontext.Value `json:"map"`
	}
	if err := json.Unmarshal(m.Data, &part); err != nil || part.Map == nil {
		return ""
	}
	mp, err := chunk.ParseMap(part.Map)
	if p.w.signed(p.site, p.w.byID(r.Peer)) {
		mp, err = chunk.ParsePlainMap(part.Map)
	}
	if err != nil {
		return err.Error()
	}
	for i := range mp.Entries {
		if !p.ever[mp.Entries[i].Name()] {
			return "a chunk of its body is not durable"
		}
	}
	return ""
}
