package datapipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
)

const (
	// windowBytes and windowChunks bound what one fetch has asked for and has not got: bytes of data, and chunks.
	windowBytes  = 256 << 20
	windowChunks = 1280
	// askChunks is how many chunks are asked for together.
	askChunks = 128
	// otherPeer is how long a peer may be silent before the next one is asked as well; at least four round trips.
	otherPeer = 15 * time.Second
)

// fetch brings a range of stored data here: it walks the map in order, the nodes of each list before what is below
// them, and asks for what is not here, so far ahead as the window allows.
type fetch struct {
	p     *Pipe
	id    exchange.ID
	owner chunk.Owner
	peers []identity.ID
	// fullAt is since when chunks find no room; zero: they do. It belongs to the loop.
	fullAt time.Time

	// What follows belongs to the goroutine that walks.
	names   []chunk.Name // of all chunks of the range
	missing map[chunk.Name]*wish
	bytes   int64 // of data in them
	ask     map[int][]bulk.Wish
	asks    int
	asked   bool
	got     int64 // bytes of data that came
	here    int64 // bytes of data that are here, of whole chunks
	seen    int64 // of all chunks of the range that the walk has met
	length  int64 // bytes of the range

	trip atomic.Int64 // round trip to the slowest peer that was asked, in nanoseconds

	mu   sync.Mutex
	told news
	wake chan struct{}
}

// wish is a chunk that is not here.
type wish struct {
	hsh     chunk.Sum
	len     int64
	data    int64 // of them of the data itself: none for a node
	again   int64 // bytes of data where it comes once more in the range
	at      int   // place of the peer that was asked last
	refused map[identity.ID]bool
}

// news is what the loop tells a fetch.
type news struct {
	came    []chunk.Name
	refused []refusal
	failed  *exchange.Problem
}

type refusal struct {
	peer  identity.ID
	names []chunk.Name
}

func (p *Pipe) newFetch(id exchange.ID, owner chunk.Owner, peers []identity.ID) *fetch {
	return &fetch{p: p, id: id, owner: owner, peers: peers, missing: map[chunk.Name]*wish{}, ask: map[int][]bulk.Wish{}, wake: make(chan struct{}, 1)}
}

// tell brings news to the goroutine. It does not wait.
func (f *fetch) tell(fn func(*news)) {
	f.mu.Lock()
	fn(&f.told)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run returns when n bytes from byte off on are here, and pinned for the owner. ErrNobody says that a chunk is not to
// be had; chunk.ErrMap that the map is wrong.
func (f *fetch) run(ctx context.Context, m chunk.Map, off, n int64) error {
	f.length = n
	ready := make(chan struct{})
	if err := f.p.loop.Do(func(*node.Step) {
		f.p.fetches[f.id] = f
		delete(f.p.ended, f.id)
		close(ready)
	}); err != nil {
		return err
	}
	defer f.end()
	select {
	case <-ready: // from here on nothing that comes is missed
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := f.level(ctx, m.Entries, off, off+n); err != nil {
		return err
	}
	return f.drain(ctx, 0)
}

// end asks for nothing more. What is on its way may still come: it is of use to whoever asks next.
func (f *fetch) end() {
	var left []chunk.Name
	for n := range f.missing {
		left = append(left, n)
	}
	_ = f.p.loop.Do(func(s *node.Step) {
		delete(f.p.fetches, f.id)
		f.p.ended[f.id] = ended{f.peers, s.Now}
		for _, peer := range f.peers {
			s.Satisfied(peer, f.id, left)
		}
	})
}

// level brings what a list of a map needs for the bytes from and to of its data.
func (f *fetch) level(ctx context.Context, entries []chunk.Entry, from, to int64) error {
	err := each(entries, from, to, func(e *chunk.Entry, _ int64) error { return f.want(ctx, e) })
	if err != nil || len(entries) == 0 || entries[0].Lvl == 0 {
		return err
	}
	if err := f.drain(ctx, 0); err != nil { // all nodes of this list are here
		return err
	}
	return each(entries, from, to, func(e *chunk.Entry, at int64) error {
		below, err := f.open(ctx, e)
		if err != nil {
			return err
		}
		return f.level(ctx, below, from-at, to-at)
	})
}

// each visits the entries that hold any of the bytes from and to; at is where an entry's data begins.
func each(entries []chunk.Entry, from, to int64, fn func(e *chunk.Entry, at int64) error) error {
	var at int64
	for i := range entries {
		e := &entries[i]
		if at < to && at+e.Len > from {
			if err := fn(e, at); err != nil {
				return err
			}
		}
		at += e.Len
	}
	return nil
}

// open opens a node that came; a damaged one is asked for once more.
func (f *fetch) open(ctx context.Context, e *chunk.Entry) ([]chunk.Entry, error) {
	below, err := chunk.OpenNode(ctx, f.p.o.Chunks, e)
	if !errors.Is(err, chunk.ErrMissing) && !errors.Is(err, chunk.ErrDamaged) {
		return below, err
	}
	if err = f.want(ctx, e); err == nil {
		err = f.drain(ctx, 0)
	}
	if err != nil {
		return nil, err
	}
	return chunk.OpenNode(ctx, f.p.o.Chunks, e)
}

// want has a chunk come if it is not here. It waits for the window.
func (f *fetch) want(ctx context.Context, e *chunk.Entry) error {
	name := e.Name()
	if w := f.missing[name]; w != nil {
		if e.Lvl == 0 {
			w.again += e.Len
			f.seen += e.Len
		}
		return nil
	}
	f.p.o.Chunks.Pin(f.owner, []chunk.Name{name}) // before the look: what is here now stays
	f.names = append(f.names, name)
	size, data := e.Len, e.Len
	if e.Lvl > 0 {
		size, data = chunk.MaxChunk, 0 // of the node itself
	}
	f.seen += data
	if f.p.o.Chunks.Holds(chunk.Record{Name: name, Hsh: e.Hsh}) {
		f.here += data
		return nil
	}
	if len(f.peers) == 0 {
		return ErrNobody
	}
	if f.bytes+size > windowBytes || len(f.missing) >= windowChunks {
		if err := f.drain(ctx, windowBytes/2); err != nil {
			return err
		}
	}
	f.missing[name] = &wish{hsh: e.Hsh, len: size, data: data, refused: map[identity.ID]bool{}}
	f.bytes += size
	f.queue(0, bulk.Wish{Name: name, Hsh: e.Hsh})
	if f.asks >= askChunks {
		return f.flush()
	}
	return nil
}

// queue notes what is to be asked of the peer in a place.
func (f *fetch) queue(at int, w bulk.Wish) {
	f.ask[at] = append(f.ask[at], w)
	f.asks++
}

// flush asks for what is queued.
func (f *fetch) flush() error {
	if f.asks == 0 {
		return nil
	}
	ask, first := f.ask, !f.asked
	f.ask, f.asks, f.asked = map[int][]bulk.Wish{}, 0, true
	far := f.far()
	return f.p.loop.Do(func(s *node.Step) {
		for at, peer := range f.peers {
			if len(ask[at]) > 0 {
				f.p.counts.asked.Add(uint64(len(ask[at])))
				s.Fetch(peer, f.id, ask[at])
				f.trip.Store(max(f.trip.Load(), int64(f.p.trip(s, peer))))
			}
		}
		if first {
			f.p.Asked(s, f.id, s.Now)
		}
		f.p.Reached(f.id, far)
	})
}

// far is how far the fetch is, as people see it; nodes of the map count as chunks.
func (f *fetch) far() exchange.Transfer {
	return exchange.Transfer{Chunks: len(f.names), Bytes: min(f.seen, f.length), Length: f.length,
		ThereChunks: len(f.names) - len(f.missing), ThereBytes: min(f.here, f.length)}
}

// drain waits until no more than some bytes, and half of the chunks of a window, are missing.
func (f *fetch) drain(ctx context.Context, bytes int64) error {
	patience := time.NewTimer(f.patience())
	defer patience.Stop()
	for f.bytes > bytes || bytes > 0 && len(f.missing) > windowChunks/2 {
		if err := f.flush(); err != nil {
			return err
		}
		select {
		case <-f.wake:
			moved, err := f.hear()
			if err != nil {
				return err
			}
			if moved {
				patience.Reset(f.patience())
			}
		case <-patience.C:
			f.others()
			patience.Reset(f.patience())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// patience is how long a peer may say nothing before the next one is asked as well.
func (f *fetch) patience() time.Duration {
	return max(otherPeer, 4*time.Duration(f.trip.Load()))
}

// hear takes what the loop told; moved says that it was about what is missing.
func (f *fetch) hear() (moved bool, err error) {
	f.mu.Lock()
	told := f.told
	f.told = news{}
	f.mu.Unlock()
	if told.failed != nil {
		return false, told.failed
	}
	var here []chunk.Name
	for _, n := range told.came {
		w := f.missing[n]
		if w == nil || !f.p.o.Chunks.Holds(chunk.Record{Name: n, Hsh: w.hsh}) { // something else may have come under its name
			continue
		}
		here = append(here, n)
		delete(f.missing, n)
		f.bytes -= w.len
		f.got += w.data
		f.here += w.data + w.again
	}
	if len(here) > 0 {
		far := f.far()
		err = f.p.loop.Do(func(s *node.Step) {
			f.p.Reached(f.id, far)
			for _, peer := range f.peers {
				s.Satisfied(peer, f.id, here)
			}
		})
	}
	for _, r := range told.refused {
		for _, n := range r.names {
			if w := f.missing[n]; w != nil {
				moved = true
				if err := f.refused(n, w, r.peer); err != nil {
					return moved, err
				}
			}
		}
	}
	return moved || len(here) > 0, err
}

// refused has the next peer asked for what one does not have.
func (f *fetch) refused(n chunk.Name, w *wish, peer identity.ID) error {
	w.refused[peer] = true
	if len(w.refused) >= len(f.peers) {
		return fmt.Errorf("chunk %s: %w", n, ErrNobody)
	}
	if f.peers[w.at] == peer {
		f.next(n, w)
	}
	return nil
}

// next asks the next peer that has not refused, if there is one.
func (f *fetch) next(n chunk.Name, w *wish) {
	for at := w.at + 1; at < len(f.peers); at++ {
		if !w.refused[f.peers[at]] {
			w.at = at
			f.queue(at, bulk.Wish{Name: n, Hsh: w.hsh})
			return
		}
	}
}

// others asks the next peers as well: those that were asked say nothing.
func (f *fetch) others() {
	for _, n := range slices.SortedFunc(maps.Keys(f.missing), func(a, b chunk.Name) int { return bytes.Compare(a[:], b[:]) }) {
		f.next(n, f.missing[n])
	}
}
