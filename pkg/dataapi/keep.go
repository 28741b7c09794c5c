package dataapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// Book is the durable list of what is kept, and of uploads: pkg/store.
type Book interface {
	DataPins(ctx context.Context, root [32]byte) ([]store.DataPin, error)
	DataPinsDue(ctx context.Context, at time.Time, limit int) ([]store.DataPin, error)
	DataUpload(ctx context.Context, id [16]byte) (store.DataUpload, error)
	DataUploadsDue(ctx context.Context, at time.Time, limit int) ([]store.DataUpload, error)
	DataStats(ctx context.Context) (store.DataStats, error)
	store.Committer
}

// rootOf names a map without giving it away.
func rootOf(m *chunk.Map) (root [32]byte, err error) {
	text, err := m.Encode()
	if err != nil {
		return root, err
	}
	return sha256.Sum256(append([]byte("hoft data root\n"), text...)), nil
}

// pinAtOnce is how many chunks are pinned in one commit.
const pinAtOnce = 1024

// keeper pins chunks before they are put or looked for, so that none of them can go: the newest in memory, the others
// durably. In the end they belong to a pin (done), or are released. What a crash leaves is released at the next start.
type keeper struct {
	s     *Server
	owner chunk.Owner
	who   string
	begun bool // the database knows the owner
	batch []chunk.Name
	over  bool

	unsynced int64 // bytes put since the last sync began
	syncing  chan struct{}
}

// syncEvery is after how many bytes what was put is synced beside the upload: at its end little is left to wait for.
const syncEvery = 32 << 20

func (s *Server) keeper(who string) *keeper {
	k := &keeper{s: s, who: who}
	_, _ = rand.Read(k.owner[:]) // never fails
	return k
}

// add pins one chunk.
func (k *keeper) add(ctx context.Context, n chunk.Name) error {
	k.s.o.Chunks.Pin(k.owner, []chunk.Name{n})
	if k.batch = append(k.batch, n); len(k.batch) < pinAtOnce {
		return nil
	}
	b := &store.Batch{}
	if !k.begun {
		b.PutDataUpload(store.DataUpload{ID: k.owner, Token: k.who, Length: -1, Created: k.s.now()})
	}
	k.pin(b)
	if err := k.s.o.Book.Commit(ctx, b); err != nil {
		return err
	}
	k.begun, k.batch = true, nil
	k.s.o.Chunks.Unpin(k.owner) // the database pins them
	return nil
}

func (k *keeper) pin(b *store.Batch) {
	b.Chunks(chunk.Change{Now: k.s.now(), Pin: []chunk.Pin{{Owner: k.owner, Names: k.batch}}})
}

// sink stores a chunk that is pinned first.
func (k *keeper) sink(ctx context.Context) chunk.Sink {
	return func(_ chunk.Entry, r chunk.Record, ct []byte) error {
		if p := k.s.ledger.come(k.owner, r.Len); p != nil {
			return p
		}
		if err := k.add(ctx, r.Name); err != nil {
			return err
		}
		if err := k.s.o.Chunks.Put(r, ct); err != nil {
			return err
		}
		k.sync(ctx, r.Len)
		return nil
	}
}

// sync has what was put synced, when it is much and no sync of this keeper is under way. What fails is tried again by done.
func (k *keeper) sync(ctx context.Context, n int64) {
	if k.unsynced += n; k.unsynced < syncEvery {
		return
	}
	if k.syncing != nil {
		select {
		case <-k.syncing:
		default:
			return
		}
	}
	k.unsynced = 0
	ended := make(chan struct{})
	k.syncing = ended
	go func() {
		defer close(ended)
		_ = k.s.o.Chunks.Sync(ctx)
	}()
}

// settle waits for a sync under way.
func (k *keeper) settle() {
	if k.syncing != nil {
		<-k.syncing
		k.syncing = nil
	}
}

// all pins every chunk of a map.
func (k *keeper) all(ctx context.Context, m *chunk.Map) error {
	_, err := chunk.Walk(ctx, *m, k.s.o.Chunks, func(_ chunk.Entry, n chunk.Name) error { return k.add(ctx, n) })
	return err
}

// done makes what was pinned a pin of the map, which returns when it is durable. Whoever keeps the map already keeps it
// until the later of both times.
func (k *keeper) done(ctx context.Context, m *chunk.Map, until time.Time) *exchange.Problem {
	root, err := rootOf(m)
	if err != nil {
		return exchange.Problemf(exchange.CodeInternal, "%v", err)
	}
	k.settle()
	if err := k.s.o.Chunks.Sync(ctx); err != nil {
		return storeProblem(err)
	}
	k.s.pins.Lock()
	defer k.s.pins.Unlock()
	now := k.s.now()
	p := store.DataPin{Root: root, Token: k.who, Owner: k.owner, Size: m.Size(), Created: now, Expires: until}
	old, err := k.s.pinOf(ctx, root, k.who)
	if err != nil {
		return storeProblem(err)
	}
	b := &store.Batch{}
	if old != nil {
		p.Created = old.Created
		if old.Expires.IsZero() || !until.IsZero() && old.Expires.After(until) {
			p.Expires = old.Expires
		}
		b.Chunks(chunk.Change{Now: now, Unpin: []chunk.Owner{old.Owner}})
	} else if bad := k.s.ledger.keep(p.Size); bad != nil {
		return bad
	}
	k.pin(b)
	b.PutDataPin(p)
	if k.begun {
		b.DropDataUpload(k.owner)
	}
	if err := k.s.o.Book.Commit(ctx, b); err != nil {
		if old == nil {
			k.s.ledger.release(p.Size)
		}
		return storeProblem(err)
	}
	k.over = true
	k.s.ledger.came(k.owner)
	k.s.o.Chunks.Unpin(k.owner)
	return nil
}

// release ends all pins unless they were done. What cannot be released now is so at the next start.
func (k *keeper) release() {
	k.settle()
	if k.over {
		return
	}
	k.over = true
	k.s.ledger.came(k.owner)
	k.s.o.Chunks.Unpin(k.owner)
	if !k.begun {
		return
	}
	if err := k.s.drop(k.owner); err != nil {
		k.s.log.Warn().Err(err).Msg("pins of data that was not stored are left until the next start")
	}
}

// drop releases the chunks of an upload, and forgets it.
func (s *Server) drop(id [16]byte) error {
	b := &store.Batch{}
	b.Chunks(chunk.Change{Now: s.now(), Unpin: []chunk.Owner{id}})
	b.DropDataUpload(id)
	if err := s.o.Book.Commit(context.Background(), b); err != nil {
		return err
	}
	s.ledger.came(id)
	return nil
}

// pinOf gives the pin of a token, nil for none.
func (s *Server) pinOf(ctx context.Context, root [32]byte, who string) (*store.DataPin, error) {
	pins, err := s.o.Book.DataPins(ctx, root)
	for i := range pins {
		if pins[i].Token == who {
			return &pins[i], err
		}
	}
	return nil, err
}

// kept says whether anybody keeps the data of a map: then all of it is here.
func (s *Server) kept(ctx context.Context, m *chunk.Map) (bool, error) {
	root, err := rootOf(m)
	if err != nil {
		return false, err
	}
	pins, err := s.o.Book.DataPins(ctx, root)
	return len(pins) > 0, err
}

func tooMuch(most int64) *exchange.Problem {
	return exchange.Problemf(exchange.CodeDataFull, "at most %d bytes may be kept (data.max_bytes), and this would be more", most)
}

// delete releases what the token keeps of a map.
func (c *call) delete() *exchange.Problem {
	m, p := c.needMap()
	if p != nil {
		return p
	}
	if len(m.Entries) > 0 {
		if p := c.s.unkeep(c.r.Context(), m, c.who); p != nil {
			return p
		}
	}
	c.w.WriteHeader(204)
	return nil
}

func (s *Server) unkeep(ctx context.Context, m *chunk.Map, who string) *exchange.Problem {
	root, err := rootOf(m)
	if err != nil {
		return exchange.Problemf(exchange.CodeDataMap, "%v", err)
	}
	s.pins.Lock()
	defer s.pins.Unlock()
	pin, err := s.pinOf(ctx, root, who)
	if err != nil {
		return storeProblem(err)
	}
	if pin == nil {
		return exchange.Problemf(exchange.CodeNotPinned, "nothing is kept of this map for this token")
	}
	if err := s.unpin(ctx, []store.DataPin{*pin}); err != nil {
		return storeProblem(err)
	}
	return nil
}

func (s *Server) unpin(ctx context.Context, pins []store.DataPin) error {
	b := &store.Batch{}
	sum := int64(0)
	for _, p := range pins {
		b.Chunks(chunk.Change{Now: s.now(), Unpin: []chunk.Owner{p.Owner}})
		b.DropDataPin(p.Root, p.Token)
		sum += p.Size
	}
	if err := s.o.Book.Commit(ctx, b); err != nil {
		return err
	}
	s.ledger.release(sum)
	return nil
}

// expireEvery is how often what has an end is looked for.
const expireEvery = 10 * time.Second

// Run releases what nobody wants any more, until ctx ends.
func (s *Server) Run(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.expire(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn().Err(err).Msg("data whose time is over is still kept")
			}
		}
	}
}

// expireAtOnce is how many pins go in one commit, uploadsAtOnce how many uploads are looked at.
const (
	expireAtOnce  = 64
	uploadsAtOnce = 4096
)

// expire releases pins and uploads whose time is over.
func (s *Server) expire(ctx context.Context) error {
	for {
		n, err := s.expirePins(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	due, err := s.o.Book.DataUploadsDue(ctx, s.now(), uploadsAtOnce)
	for _, u := range due {
		if !u.Resumable { // a request is at work on it
			continue
		}
		if err := s.expireUpload(ctx, u.ID); err != nil {
			return err
		}
	}
	return err
}

func (s *Server) expirePins(ctx context.Context) (int, error) {
	s.pins.Lock()
	defer s.pins.Unlock()
	due, err := s.o.Book.DataPinsDue(ctx, s.now(), expireAtOnce)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return len(due), s.unpin(ctx, due)
}

// mend counts what is kept and what is coming, and releases what requests held that ended with the last process.
func (s *Server) mend(ctx context.Context) error {
	st, err := s.o.Book.DataStats(ctx)
	if err != nil {
		return err
	}
	s.ledger.most, s.ledger.kept = s.most, st.Bytes
	uploads, err := s.o.Book.DataUploadsDue(ctx, s.now().Add(longestTTL), math.MaxInt32)
	if err != nil {
		return err
	}
	for _, u := range uploads {
		if m, err := chunk.ParseMap(u.Map); err == nil && !u.Complete {
			_ = s.ledger.come(u.ID, m.Size()) // what is refused is still there, and ends with its time
		}
	}
	for {
		due, err := s.o.Book.DataUploadsDue(ctx, time.Time{}, expireAtOnce) // only those of no time at all
		if err != nil || len(due) == 0 {
			return err
		}
		for _, u := range due {
			if err := s.drop(u.ID); err != nil {
				return fmt.Errorf("release what an upload left: %w", err)
			}
		}
	}
}

// storeProblem says why data could not be stored.
func storeProblem(err error) *exchange.Problem {
	var p *exchange.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, chunk.ErrFull), errors.Is(err, store.ErrFull):
		return exchange.Problemf(exchange.CodeStorageFull, "%v", err)
	case errors.Is(err, chunk.ErrTooLarge):
		return exchange.Problemf(exchange.CodeBadRequest, "%v", err)
	case errors.Is(err, chunk.ErrMissing), errors.Is(err, chunk.ErrDamaged):
		return exchange.Problemf(exchange.CodeDataMissing, "%v", err)
	case errors.Is(err, chunk.ErrMap):
		return exchange.Problemf(exchange.CodeDataMap, "%v", err)
	}
	return exchange.Problemf(exchange.CodeStoreFailed, "%v", err)
}
