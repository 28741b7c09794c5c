package exchange

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/planted"
	"github.com/hoft/hoft/pkg/store"
)

// Loop runs functions in the site's loop, one at a time; *node.Node does. Do returns before fn ran.
type Loop interface {
	Do(fn func(*node.Step)) error
	// Epoch is the own epoch of the link with a peer, 0 for an unknown peer.
	Epoch(peer identity.ID) uint64
}

// capsLoop is a Loop that knows what peers take; *node.Node is.
type capsLoop interface {
	// Takes says whether a peer takes a kind of message; heard is false when nothing was heard of it yet.
	Takes(peer identity.ID, kind frame.Kind) (takes, heard bool)
}

// takes says whether a peer takes a kind of message, as far as that can be told outside of the loop.
func (m *Manager) takes(peer identity.ID, kind frame.Kind) bool {
	l, ok := m.loop.(capsLoop)
	if !ok {
		return false
	}
	takes, _ := l.Takes(peer, kind)
	return takes
}

// chunksTo says whether bodies can travel to a peer as chunks. A peer that was never heard of is taken to know them: every
// version that can be met does.
func (m *Manager) chunksTo(peer identity.ID) bool {
	if m.cfg.Signed[peer] {
		return true
	}
	l, ok := m.loop.(capsLoop)
	if !ok || m.cfg.Chunks == nil {
		return false
	}
	takes, heard := l.Takes(peer, frame.KindPack)
	return takes || !heard
}

// errClosing says that the site stops.
var errClosing = errors.New("the site is stopping")

// Stages of an exchange, in order.
const (
	StageAccepted = "accepted"
	StageQueued   = "queued"
	StageWritten  = "written"
	StageArrived  = "arrived"
	StageCalling  = "calling"
	StageAnswered = "answered"
	StageReturned = "returned"
	// StageCanceling is shown between a caller's wish to cancel and the far side's word.
	StageCanceling = "canceling"

	// stageUploading is before acceptance: parts of the request's body are stored, nothing is promised.
	stageUploading = "uploading"
)

// States of an exchange.
const (
	StateRunning   = "running"
	StateSucceeded = "succeeded"
	StateFailed    = "failed"
	StateCanceled  = "canceled"
	StateUncertain = "uncertain"
)

// Config is what a Manager needs to know. Sizes are in bytes.
type Config struct {
	Peers     map[identity.ID]string // names, for people
	Inline    int                    // bodies up to this travel in their message
	Exchanges int                    // unfinished exchanges at most, 0: no limit
	TTL       time.Duration          // how long finished exchanges of the callers' side are kept
	MaxBytes  int64                  // of finished exchanges' content, 0: no limit
	Flight    Flight                 // unfinished exchanges at most, of one caller and to one peer
	Share     int64                  // bytes that one peer's unfinished calls and answers may take here, but for chunks (pkg/bulk); 0: no limit
	Remember  time.Duration          // how long executed ids are kept at the callees' side
	Upstreams Upstreams              // nil without an egress
	Honoured  func(upstream string) bool
	// CallbackDue, if set, is told that a callback became due; it must not wait.
	CallbackDue func()
	// Scrub, if set, takes what was deleted off the disk; called after results were deleted.
	Scrub func(ctx context.Context) error
	// Chunks keeps long bodies, Sealer seals those for a peer. Nil: bodies travel in messages alone.
	Chunks Chunks
	Sealer func(peer identity.ID) (*chunk.Sealer, error)
	// Apart begins a run of chunks that lie together in the store, for packs that are linked into the pipe. Nil: none.
	Apart func() Run
	// Signed are the peers with whom content must be readable on its way: bodies travel as plain chunks alone. Sealer gives
	// a plain one for them.
	Signed map[identity.ID]bool
	// Window is how many bytes of an answer may come before its caller has read any; 0: 1 MiB.
	Window int64
	// FullPatience is how long a body that comes waits for room in the chunk store before its exchange fails; 0: 20 s.
	FullPatience time.Duration
	Now          func() time.Time // the site's clock; nil: time.Now
	Log          zerolog.Logger
}

// Manager keeps every exchange of a site: calls that its callers made (Caller) and jobs that its
// peers asked for. It is the node's Handler; all its state but the waiters belongs to the loop.
type Manager struct {
	cfg   Config
	loop  Loop
	store store.Reader

	calls    map[ID]*call
	jobs     map[ID]*job
	awaiting map[ID]*inbound   // bodies with chunks that have not come
	mending  map[ID][]*mending // who waits for chunks that went bad here
	full     map[ID]time.Time  // since when there is no room for chunks of a body
	uploads  map[ID]*upload    // under way, and not accepted yet
	running  map[string]int    // calls under way, by upstream
	queued   map[string]*line  // waiting for a slot, by upstream
	slow     []slowJob         // jobs whose stage is told when they take long
	idle     chan struct{}     // not nil: no job is begun any more; closed when none runs
	gone     map[ID]*Problem   // requests that are over, if they come: what they get; those in shareOf.void
	shares   map[identity.ID]*shareOf
	mistakes map[identity.ID]uint64 // messages that could not be used, by peer
	horizon  horizon
	strays   strays
	tickAt   time.Time
	dueAt    time.Time // no deadline of a call passes before it; zero: none is watched

	watches   map[ID][]*Watch // by exchange; the zero id: all
	unsaved   []unsavedCall   // calls whose stages are stored when they take long
	lastEvent int64
	claims    map[[32]byte]claim // keys whose first use is not durable yet
	flight    flight

	reading reading
	trips   roundTrips
	scrub   bool // results were deleted since Scrub worked; belongs to Expire
	dropped atomic.Int64
	tasks   tasks
}

var _ node.Handler = (*Manager)(nil)
var _ Caller = (*Manager)(nil)

const (
	// partSize is the body bytes of one body message: encoded it stays below frame.MaxMessage.
	partSize = 40 << 10
	// partsUnderWay is how many parts a producer may be ahead of their commit.
	partsUnderWay = 8
	// tickEvery is how often slow things are looked at.
	tickEvery = 100 * time.Millisecond
	// tellAfter is how long a job may take before its stage is told to the other side.
	tellAfter = 300 * time.Millisecond
)

// NewManager makes a manager. Recover must be called once before the node runs.
func NewManager(cfg Config, loop Loop, r store.Reader) *Manager {
	if cfg.Inline <= 0 {
		cfg.Inline = 16 << 10
	}
	if cfg.Honoured == nil {
		cfg.Honoured = func(string) bool { return false }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.FullPatience <= 0 {
		cfg.FullPatience = fullPatience
	}
	m := &Manager{cfg: cfg, loop: loop, store: r, calls: map[ID]*call{}, jobs: map[ID]*job{},
		gone: map[ID]*Problem{}, shares: map[identity.ID]*shareOf{}, mistakes: map[identity.ID]uint64{}, running: map[string]int{}, queued: map[string]*line{},
		watches: map[ID][]*Watch{}, claims: map[[32]byte]claim{}, flight: newFlight(), awaiting: map[ID]*inbound{}, mending: map[ID][]*mending{}, full: map[ID]time.Time{}, uploads: map[ID]*upload{}}
	if cfg.Window <= 0 {
		m.cfg.Window = firstWindow
	}
	m.tasks.ctx, m.tasks.cancel = context.WithCancel(context.Background())
	return m
}

// Drain begins no more calls to callees and waits until those under way have ended, or ctx does. What
// comes meanwhile is kept for the next start. So a site that is stopped in order leaves nothing uncertain
// that a moment could settle. Close comes after it.
func (m *Manager) Drain(ctx context.Context) {
	idle := make(chan struct{})
	if m.loop.Do(func(*node.Step) { m.idle = idle; m.noteIdle() }) != nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// noteIdle tells Drain when no call runs any more.
func (m *Manager) noteIdle() {
	if m.idle == nil {
		return
	}
	for _, n := range m.running {
		if n > 0 {
			return
		}
	}
	select {
	case <-m.idle: // told already
	default:
		close(m.idle)
	}
}

// Close ends every call to a callee and waits for them; what was under way is decided at the next start.
func (m *Manager) Close() { m.tasks.close() }

// NewID makes the id of an exchange: a UUIDv7 of the given time.
func NewID(now time.Time) ID {
	var id ID
	if _, err := rand.Read(id[:]); err != nil {
		panic(err) // crypto/rand never fails (documented since Go 1.24)
	}
	ms := uint64(now.UnixMilli())
	id[0], id[1], id[2], id[3], id[4], id[5] = byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms)
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IDTime is the time that a UUIDv7 carries.
func IDTime(id ID) time.Time {
	ms := int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
	return time.UnixMilli(ms)
}

// Deliver implements node.Handler.
func (m *Manager) Deliver(s *node.Step, d *node.Delivery) *node.Keep {
	var keep *node.Keep
	err := m.readable(d)
	if err == nil {
		keep, err = m.dispatch(s, d)
	} else if m.endUnreadable(s, d, err) {
		return nil
	}
	if err != nil {
		m.dropped.Add(1)
		m.mistake(d.Peer)
		m.cfg.Log.Warn().Str("peer", m.cfg.Peers[d.Peer]).Str("kind", string(d.Kind)).Uint64("msg_id", d.ID).Err(err).Msg("message dropped")
		m.answerBad(s, d, err)
	}
	return keep
}

var errUnsupported = errors.New("unsupported kind of message")

func (m *Manager) dispatch(s *node.Step, d *node.Delivery) (*node.Keep, error) {
	switch d.Kind {
	case frame.KindReq:
		return m.onReq(s, d)
	case frame.KindRes:
		return m.onRes(s, d)
	case frame.KindBody:
		return m.onBody(s, d)
	case frame.KindAbort:
		return m.onAbort(s, d)
	case frame.KindCancel:
		return nil, m.onCancel(s, d)
	case frame.KindStage:
		return nil, m.onStage(s, d)
	case frame.KindWin:
		return nil, m.onWin(s, d)
	}
	return nil, errUnsupported
}

// Written implements node.Handler.
func (m *Manager) Written(s *node.Step, _ identity.ID, ref link.Ref) {
	if c := m.calls[ID(ref)]; c != nil {
		m.reached(s, c, StageWritten, s.Now)
	}
}

// Acked implements node.Handler.
func (m *Manager) Acked(s *node.Step, _ identity.ID, a link.Acked) {
	if c := m.calls[ID(a.Ref)]; c != nil && a.Kind == frame.KindReq {
		m.reached(s, c, StageArrived, s.Now)
	}
}

// Live implements node.Handler.
func (m *Manager) Live() int { return len(m.calls) + len(m.jobs) }

// Deadline implements node.Handler.
func (m *Manager) Deadline() time.Time {
	if m.tickAt.IsZero() || !m.dueAt.IsZero() && m.dueAt.Before(m.tickAt) {
		return m.dueAt
	}
	return m.tickAt
}

// Tick implements node.Handler.
func (m *Manager) Tick(s *node.Step) {
	m.endOverdue(s)
	if m.tickAt.IsZero() || s.Now.Before(m.tickAt) {
		return
	}
	m.tickAt = time.Time{}
	m.tellSlow(s)
	m.saveStages(s)
	if len(m.slow)+len(m.unsaved) > 0 {
		m.wantTick(s.Now)
	}
}

func (m *Manager) wantTick(now time.Time) {
	if m.tickAt.IsZero() {
		m.tickAt = now.Add(tickEvery)
	}
}

// sync runs fn in the loop and waits until it ran.
func (m *Manager) sync(ctx context.Context, fn func(*node.Step)) error {
	ran := make(chan struct{})
	if err := m.loop.Do(func(s *node.Step) { fn(s); close(ran) }); err != nil {
		return err
	}
	select {
	case <-ran:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.tasks.ctx.Done():
		return errClosing
	}
}

// commit runs fn in the loop and waits until what it changed is durable.
func (m *Manager) commit(ctx context.Context, fn func(*node.Step) error) error {
	done := make(chan error, 1)
	err := m.loop.Do(func(s *node.Step) {
		if err := fn(s); err != nil {
			done <- err
			return
		}
		if planted.Bug == planted.AcceptEarly {
			done <- nil
			return
		}
		s.OnCommit(func(*node.Step) { done <- nil })
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-m.tasks.ctx.Done():
		return errClosing
	}
}

// idsInOrder gives the ids of a table of exchanges, oldest first.
func idsInOrder[T any](table map[ID]T) []ID {
	return slices.SortedFunc(maps.Keys(table), func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
}

// inOrder gives the values of a table of exchanges, oldest id first: what several of them send goes out in the
// order in which they began, and the same way every time.
func inOrder[T any](table map[ID]T) []T {
	ids := idsInOrder(table)
	out := make([]T, len(ids))
	for i, id := range ids {
		out[i] = table[id]
	}
	return out
}

func peekExchange(data []byte) (ID, error) {
	a, err := decodeLoose[anyData](data)
	if err != nil {
		return uuid.Nil, err
	}
	return a.Exchange, nil
}
