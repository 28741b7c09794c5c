package store

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// Mem is the store in memory, for tests and simulations: the same results as SQLite, no goroutine, no
// clock. It is a Reader and a Committer, safe for concurrent use.
//
// What was committed is its durable state. A crash is simulated by Clone: it gives a store as a
// restarted process would find it; Close then makes the old one fail for whoever still uses it.
type Mem struct {
	mu     sync.Mutex
	s      memState
	closed bool
	before func(*Batch) error
	after  func(*Batch) error
}

// memState is what Clone copies. Rows are never changed in place, so copying the maps is enough.
type memState struct {
	links  map[identity.ID]*Link
	open   map[outKey]*memOut     // outbox rows that are not acked
	byEx   map[[16]byte][]*memOut // outbox rows of an exchange, acked or not, in order of adding
	sent   map[sentKey]*Sent
	inbox  map[inKey]*memIn
	inEx   map[[16]byte]map[inKey]struct{}
	fresh  []*memIn // rows in state InNew, in order of arrival
	ex     map[exKey]*memExchange
	meta   map[string][]byte
	bulk   memBulk
	chunks memChunks

	events    map[int64]Event
	keys      map[[32]byte]Key
	callbacks map[string]Callback
	disabled  map[string]time.Time

	credentials memCredentials
	fetches     memFetches
	data        memData

	arrivals    uint64
	resultBytes int64
}

type (
	outKey struct {
		peer identity.ID
		id   uint64
	}
	sentKey struct {
		peer identity.ID
		seq  uint64
	}
	inKey struct {
		peer  identity.ID
		epoch uint64
		id    uint64
	}
	memOut struct {
		Out
		acked bool
	}
	memIn struct {
		In
		beside int64
		n      uint64 // order of arrival
	}
	memExchange struct {
		Exchange
		held    int64
		counted bool
	}
)

// NewMem gives an empty store.
func NewMem() *Mem {
	return &Mem{s: memState{
		links: map[identity.ID]*Link{}, open: map[outKey]*memOut{}, byEx: map[[16]byte][]*memOut{}, sent: map[sentKey]*Sent{},
		inbox: map[inKey]*memIn{}, inEx: map[[16]byte]map[inKey]struct{}{}, ex: map[exKey]*memExchange{}, meta: map[string][]byte{},
		bulk:   newMemBulk(),
		chunks: newMemChunks(),
		events: map[int64]Event{}, keys: map[[32]byte]Key{}, callbacks: map[string]Callback{}, disabled: map[string]time.Time{},
		credentials: memCredentials{}, fetches: memFetches{},
		data: newMemData(),
	}}
}

// Clone gives an independent store with the committed state, open and without faults.
func (m *Mem) Clone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.s
	c.links, c.open, c.sent, c.ex = maps.Clone(c.links), maps.Clone(c.open), maps.Clone(c.sent), maps.Clone(c.ex)
	c.inbox, c.meta, c.fresh = maps.Clone(c.inbox), maps.Clone(c.meta), slices.Clone(c.fresh)
	c.events, c.keys, c.callbacks, c.disabled = maps.Clone(c.events), maps.Clone(c.keys), maps.Clone(c.callbacks), maps.Clone(c.disabled)
	c.byEx, c.inEx = maps.Clone(c.byEx), maps.Clone(c.inEx)
	c.bulk, c.chunks = m.s.bulk.clone(), m.s.chunks.clone()
	c.credentials, c.fetches = m.s.credentials.clone(), m.s.fetches.clone()
	c.data = m.s.data.clone()
	for k, v := range c.byEx {
		c.byEx[k] = slices.Clone(v)
	}
	for k, v := range c.inEx {
		c.inEx[k] = maps.Clone(v)
	}
	return &Mem{s: c}
}

// Fault sets what happens around each commit; nil for nothing. An error of before fails the commit and
// nothing is applied: a full disk, or a crash before the commit. An error of after is reported although
// the batch is applied: a crash between the commit and what was to follow it. They run one at a time
// and must not use the store.
func (m *Mem) Fault(before, after func(*Batch) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.after = before, after
}

// Close makes every later call fail with ErrClosed, Clone apart.
func (m *Mem) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Commit applies a batch at once; see Committer.
func (m *Mem) Commit(ctx context.Context, b *Batch) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: not committed: %w", err)
	}
	return m.Apply(b)
}

// Apply is Commit without a context: all of the batch or, with an error, nothing.
func (m *Mem) Apply(b *Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if b.Len() == 0 {
		return nil
	}
	if m.before != nil {
		if err := m.before(b); err != nil {
			return fmt.Errorf("store: commit: %w", err)
		}
	}
	if err := m.s.conflict(b); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	var ended []exKey
	for _, o := range b.ops {
		m.s.apply(o, &ended)
	}
	m.s.countEnded(ended)
	if m.after != nil {
		if err := m.after(b); err != nil {
			return fmt.Errorf("store: commit: %w", err)
		}
	}
	return nil
}

// conflict says whether a batch adds an outbox id that is there at that point: the only way in which
// applying can fail, so that nothing ever has to be undone.
func (s *memState) conflict(b *Batch) error {
	for i, o := range b.ops {
		a, ok := o.(addOutbox)
		if !ok {
			continue
		}
		_, there := s.open[outKey{a.Peer, a.ID}]
		for _, p := range b.ops[:i] {
			switch p := p.(type) {
			case addOutbox:
				there = there || p.Peer == a.Peer && p.ID == a.ID
			case ackOutbox:
				there = there && !(p.peer == a.Peer && p.ids.Contains(a.ID))
			case dropOutbox:
				there = there && !(p.peer == a.Peer && p.ids.Contains(a.ID))
			}
		}
		if there {
			return fmt.Errorf("message %d to %s: %w", a.ID, a.Peer, ErrExists)
		}
	}
	return nil
}

func (s *memState) apply(o op, ended *[]exKey) {
	switch o := o.(type) {
	case putLink:
		l := storedLink(o.Link)
		s.links[l.Peer] = &l
	case addOutbox:
		s.addOutbox(o.Out)
	case ackOutbox:
		s.ackOutbox(&o)
	case dropOutbox:
		for _, k := range s.openIn(o.peer, o.ids) {
			s.removeOut(s.open[k])
		}
	case addSent:
		x := o.Sent
		x.At, x.IDs = stored(x.At), storedRanges(x.IDs)
		s.sent[sentKey{x.Peer, x.Seq}] = &x
	case markSent:
		s.markSent(&o)
	case pruneSent:
		maps.DeleteFunc(s.sent, func(k sentKey, x *Sent) bool {
			return k.peer == o.peer && k.seq < o.before && x.State != SentInTransit
		})
	case addInbox:
		s.addInbox(o.In)
	case setInbox:
		s.setInbox(&o)
	case dropInbox:
		s.removeIn(inKey{o.peer, o.peerEpoch, o.id})
	case dropInboxExchange:
		s.dropInboxExchange(o.exchange, o.below)
	case putExchange:
		s.putExchange(o.Exchange, ended)
	case patchExchange:
		s.patchExchange(&o, ended)
	case expireExchange:
		s.expireExchange(o.id)
	case purgeExchange:
		s.purgeExchange(o.id)
	case changeChunks:
		s.chunks.apply(&o.Change)
	case setMeta:
		s.meta[o.key] = storedBytes(o.value)
	default:
		if !s.bulk.apply(o) && !s.applyWaiting(o) && !s.credentials.apply(o) && !s.fetches.apply(o) && !s.data.apply(o) {
			panic(fmt.Sprintf("store: change %T is not known", o))
		}
	}
}

// stored gives a time as the database gives it back.
func stored(t time.Time) time.Time { return fromMilli(toMilli(t)) }

// storedBytes and storedRanges give copies, nil for nothing.
func storedBytes(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return slices.Clone(b)
}

func storedRanges(r frame.Ranges) frame.Ranges {
	if len(r) == 0 {
		return nil
	}
	return r.Clone()
}

func storedLink(l Link) Link {
	l.OOO, l.AckedOOO, l.Seen = storedRanges(l.OOO), storedRanges(l.AckedOOO), storedRanges(l.Seen)
	l.Runs, l.Learned, l.LastSeen = storedBytes(l.Runs), storedBytes(l.Learned), stored(l.LastSeen)
	if len(l.PeerCaps) == 0 {
		l.PeerCaps = nil
	}
	l.PeerCaps = slices.Clone(l.PeerCaps)
	return l
}

func (s *memState) addOutbox(o Out) {
	o.Data, o.Created, o.Acked = storedBytes(o.Data), stored(o.Created), time.Time{}
	o.Keep = o.Keep && o.Exchange != [16]byte{}
	x := &memOut{Out: o}
	s.open[outKey{o.Peer, o.ID}] = x
	if o.Exchange != [16]byte{} {
		s.byEx[o.Exchange] = append(s.byEx[o.Exchange], x)
	}
}

// openIn gives the keys of un-acked rows in a set of ids. Its cost is the smaller of the two.
func (s *memState) openIn(peer identity.ID, ids frame.Ranges) (keys []outKey) {
	if n := ids.Count(); n > 0 && n <= uint64(len(s.open)) && ids[len(ids)-1][1] < math.MaxInt64 {
		for id := range ids.All() {
			if k := (outKey{peer, id}); s.open[k] != nil {
				keys = append(keys, k)
			}
		}
		return keys
	}
	for k := range s.open {
		if k.peer == peer && ids.Contains(k.id) {
			keys = append(keys, k)
		}
	}
	return keys
}

func (s *memState) ackOutbox(a *ackOutbox) {
	for _, k := range s.openIn(a.peer, a.ids) {
		old := s.open[k]
		if !old.Keep {
			s.removeOut(old)
			continue
		}
		x := *old
		x.acked, x.Acked = true, stored(a.at)
		delete(s.open, k)
		s.replaceOut(old, &x)
	}
}

// replaceOut puts x in the place of old among the rows of its exchange.
func (s *memState) replaceOut(old, x *memOut) {
	if i := slices.Index(s.byEx[old.Exchange], old); i >= 0 {
		s.byEx[old.Exchange][i] = x
	}
}

func (s *memState) removeOut(x *memOut) {
	if k := (outKey{x.Peer, x.ID}); s.open[k] == x { // of an id that was acked another row may be open
		delete(s.open, k)
	}
	rows := slices.DeleteFunc(s.byEx[x.Exchange], func(y *memOut) bool { return y == x })
	if len(rows) == 0 {
		delete(s.byEx, x.Exchange)
	} else {
		s.byEx[x.Exchange] = rows
	}
}

func (s *memState) markSent(o *markSent) {
	for k, x := range s.sent {
		if k.peer == o.peer && o.seqs.Contains(k.seq) {
			y := *x
			y.State = o.state
			s.sent[k] = &y
		}
	}
}
