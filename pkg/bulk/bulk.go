// Package bulk decides which chunks travel to one peer in which packs, and what became of them: a pure state machine.
//
// It does no input or output and reads no clock; the node feeds it and carries out what it asks for. One Peer
// serves both directions of a link:
//
//   - Sending: Offer queues the chunks of an exchange, those that the peer holds apart. Next gathers them into a
//     pack; its announcement is committed before the file is written, then Written is called. Have settles a
//     pack: what came is known to be held there, what did not goes into a new pack with a new announcement. A
//     pack is never written twice: where nothing is heard, Tick asks by a probe.
//   - Receiving: Announce takes an announcement, Expect tells the reader of files what a pack must hold, Came
//     takes what was found in it and answers. Need asks for chunks that a map names and that nobody announced.
//   - Stored data: Fetch asks the peer for chunks of it; Give and Refuse answer where the peer asks.
//
// All that must outlive the process is told by Drain and given back by Restore. A Peer is not safe for concurrent use.
package bulk

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// ID names an exchange.
type ID = uuid.UUID

// Config is what a Peer is told once. Zero values take the defaults.
type Config struct {
	// PackBytes is the size that packs begin with, MaxPack the size that they may learn, both in bytes.
	PackBytes, MaxPack int64
	// MaxOpen bounds the packs and OpenBytes the bytes that are announced and not settled.
	MaxOpen   int
	OpenBytes int64
	// Apart is from which size in bytes on a pack ends where an offer ends, so that it is what lies together in the store;
	// 0: packs are filled.
	Apart int64
	// Alone has each exchange's chunks travel in packs of their own.
	Alone bool
	// MaxHeld bounds the names known to be held by the peer, in number; the oldest are forgotten.
	MaxHeld int
	// ExchangeBytes bounds what one unfinished exchange of the peer may take of the store here, PeerBytes what all of them may,
	// in bytes of ciphertext; 0: no bound.
	ExchangeBytes, PeerBytes int64
}

const (
	defaultPack = 64 << 20
	// minPack is below what pack sizes are never learned: the smallest size that is taken for safe.
	minPack        = 256 << 10
	defaultMaxPack = 500 << 20
	defaultOpen    = 16
	defaultHeld    = 1 << 17
	// maxRecords is how many records one announcement holds: encoded they stay below frame.MaxMessage.
	maxRecords = 640
)

// Defaults fills in zero fields.
func (c Config) Defaults() Config {
	if c.MaxPack <= 0 {
		c.MaxPack = defaultMaxPack
	}
	if c.PackBytes <= 0 {
		c.PackBytes = defaultPack
	}
	c.PackBytes = min(c.PackBytes, c.MaxPack)
	if c.MaxOpen <= 0 {
		c.MaxOpen = defaultOpen
	}
	if c.OpenBytes <= 0 {
		c.OpenBytes = 4 * max(c.PackBytes, defaultPack)
	}
	if c.MaxHeld <= 0 {
		c.MaxHeld = defaultHeld
	}
	return c
}

// Peer is the bulk traffic with one peer; see the package comment for its use.
type Peer struct {
	cfg Config

	// sending
	transfers map[ID]*transfer
	ring      []*transfer // with something queued, in the order in which they are served
	packs     map[uint64]*pack
	given     []*pack // newest packs that were given up, to notice those that come after all
	openBytes int64
	held      held
	size      sizer
	trusted   int64 // bytes that the link trusts the pipe with; 0: it has not said
	pace      pace

	// receiving
	announced map[uint64]*announced
	named     map[ID]map[uint64]*announced // of them, those of which something of an exchange is wanted
	unsettled int                          // of them
	expected  map[chunk.Name]int           // announcements that wait for a chunk
	needs     map[ID]*need
	over      recent[uint64] // packs of which nothing is wanted any more
	ended     recent[ID]     // exchanges that are over
	accounts  map[ID]*account
	charged   int64 // to all of them
	fetches   map[ID]*fetch
	canFetch  bool

	changes Changes
	stats   Stats
}

// New makes the state of a link without history.
func New(cfg Config) *Peer {
	cfg = cfg.Defaults()
	return &Peer{cfg: cfg, transfers: map[ID]*transfer{}, packs: map[uint64]*pack{}, held: newHeld(cfg.MaxHeld),
		size: newSizer(cfg.PackBytes, cfg.MaxPack), pace: newPace(), announced: map[uint64]*announced{}, named: map[ID]map[uint64]*announced{},
		expected: map[chunk.Name]int{}, needs: map[ID]*need{}, fetches: map[ID]*fetch{}, over: newRecent[uint64](), ended: newRecent[ID](), accounts: map[ID]*account{}}
}

// Changes is what events left to be persisted, sent or done. All of it belongs to one commit.
type Changes struct {
	Send      []Message
	Put       []Row
	Drop      []Key
	Held      []chunk.Name // the peer is known to hold these
	HeldVoid  bool         // what was known of it before is void; comes before Held
	Remove    []uint64     // own packs to remove from the pipe
	Withdrawn []uint64     // ids of own messages that nobody needs any more
	Gone      []Gone       // exchanges whose chunks the peer no longer has
	Moved     []ID         // exchanges of which something was acknowledged
	Stored    []Stored     // chunks that came
	Refused   []ID         // exchanges of the peer that take more than they may
}

// Gone tells that the peer cannot give chunks of an exchange.
type Gone struct {
	Exchange ID
	Names    []chunk.Name
}

// Stored tells which announced chunks of an exchange are here now.
type Stored struct {
	Exchange ID
	Names    []chunk.Name
}

// Message is one message for the peer. Got is told its id.
type Message struct {
	Kind     frame.Kind
	Exchange ID
	Data     []byte
	Got      func(id uint64)
}

// Key names a pack of this link: one of our own, or one that the peer announced.
type Key struct {
	Own bool
	Seq uint64
}

// Row is the durable state of a pack.
type Row struct {
	Key
	Records []chunk.Record // nil for a pack of the peer that is settled
	Runs    []Run          // whose they are, also where they are not told any more; none: nothing of it is wanted, all are over
	Miss    []int          // of a settled pack of the peer: what did not come
	State   RowState
	At      time.Time // when it was written, or announced
	Size    int64     // of the file, in bytes
}

// RowState says how far a pack is.
type RowState uint8

// States of a pack. An own pack that is settled has no row.
const (
	Announced RowState = iota
	Written            // own packs only
	Settled            // the peer's packs only
)

// Drain returns what was left since the last call.
func (p *Peer) Drain() Changes {
	c := p.changes
	p.changes = Changes{}
	return c
}

// Stats are counters since start, for operators. Sizes are in bytes.
type Stats struct {
	PacksWritten, PacksSettled, PacksLost, PacksCut uint64
	BytesWritten                                    uint64
	ChunksSent, ChunksResent, ChunksSpared          uint64 // spared: the peer had them
	BytesSpared                                     uint64
	ChunksReceived, ChunksBad                       uint64
	Probes, Wants, Spurious                         uint64
	Fetches                                         uint64 // chunks of stored data asked for, repeats too
}

// View is the present state, for operators.
type View struct {
	Stats
	PackBytes   int64 // present size of packs
	OpenPacks   int
	OpenBytes   int64
	QueuedBytes int64
	Expected    int   // chunks that are announced and have not come
	Fetching    int   // chunks of stored data that the peer was asked for, and have not come
	ChargedFor  int64 // bytes that unfinished exchanges of the peer take of the store here, or are announced to
	Oldest      time.Time
	Rate        float64 // bytes per second that packs travelled at, until their answer; 0: not measured
}

// View gives the present state.
func (p *Peer) View() View {
	v := View{Stats: p.stats, PackBytes: p.packSize(), OpenPacks: len(p.packs), OpenBytes: p.openBytes, Expected: len(p.expected), Fetching: p.Fetching(), ChargedFor: p.charged}
	if p.pace.known {
		v.Rate = p.pace.through
	}
	for _, t := range p.transfers {
		v.QueuedBytes += t.queuedBytes
	}
	for _, k := range p.packs {
		if !k.written.IsZero() && (v.Oldest.IsZero() || k.written.Before(v.Oldest)) {
			v.Oldest = k.written
		}
	}
	return v
}

// inOrder gives the values of a table by number, so that a simulation comes out the same each time.
func inOrder[T any](table map[uint64]T) []T {
	out := make([]T, 0, len(table))
	for _, seq := range slices.Sorted(maps.Keys(table)) {
		out = append(out, table[seq])
	}
	return out
}

// ordered gives the exchanges of a table, oldest first.
func ordered[T any](table map[ID]T) []ID {
	return slices.SortedFunc(maps.Keys(table), func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
}

// Reset begins anew with a peer that lost its state: it holds nothing and expects nothing. What was offered
// is queued again; Release what is not to be sent.
func (p *Peer) Reset() {
	for _, k := range inOrder(p.packs) {
		p.forgetPack(k)
		p.withdraw(k.msgID)
	}
	p.given = nil
	p.held = newHeld(p.cfg.MaxHeld)
	p.changes.Held, p.changes.HeldVoid = nil, true
	for _, x := range p.Offering() {
		p.transfers[x].requeueAll(p)
	}
	for _, seq := range slices.Sorted(maps.Keys(p.announced)) {
		p.changes.Drop = append(p.changes.Drop, Key{Seq: seq})
	}
	for _, seq := range p.over.order {
		p.changes.Drop = append(p.changes.Drop, Key{Seq: seq})
	}
	p.announced, p.named, p.expected, p.unsettled = map[uint64]*announced{}, map[ID]map[uint64]*announced{}, map[chunk.Name]int{}, 0
	p.over, p.ended = newRecent[uint64](), newRecent[ID]()
	p.accounts, p.charged = map[ID]*account{}, 0
	for _, n := range p.needs {
		n.askAt, n.asked = atOnce, 0 // what was announced does not come any more
	}
	p.resetFetches()
}
