// Package link is layer 1: everything one site decides about one peer, as a pure state machine.
//
// It does no input or output and reads no clock: every method takes the time and an event, and the
// caller (pkg/node) carries out what comes back. The loop of the caller:
//
//  1. Feed events: Submit, Receive, Wrote, Tick. Each may leave Changes.
//  2. Take Changes with Drain; persist them together with Snapshot in one commit; then call Committed.
//  3. When no write to this peer is under way, ask Next for a frame; seal and write it; call Wrote.
//  4. Call Tick at Deadline.
//
// Ids are acknowledged, and messages become eligible for writing, only by Committed: durable before
// visible is not the caller's care but the machine's. The shape of loss recovery is RFC 9002.
// A Link is not safe for concurrent use.
package link

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// Config is what a link is told once. All durations must be positive.
type Config struct {
	Self, Peer identity.ID
	// Rkt is the claim that binds a line to the outer key (pkg/seal); it may change while running.
	Rkt func() string
	// Caps is what this site takes, said in hello.
	Caps []string
	// AckDelay is how long an ack waits for something to ride on.
	AckDelay time.Duration
	// Heartbeat is how often an idle link says that it lives.
	Heartbeat time.Duration
	// InitialRTT is assumed until the first round trip was measured.
	InitialRTT time.Duration
	// MaxFiles is how many own files may be in transit. Bulk uses three quarters of it at most.
	MaxFiles int
	// MaxFile is the largest file that the pipe takes, in bytes; the safe size is learned below it.
	MaxFile int64
	// Pipe names the pipe: what was learned of one is not true of another.
	Pipe string
	// FrameBytes is where packing closes a frame, in bytes of claims.
	FrameBytes int
	// WindowMessages and WindowBytes bound what is in transit and held in memory; the rest of the outbox stays in the
	// store. Bulk uses three quarters of both at most.
	WindowMessages, WindowBytes int
	// MaxRanges bounds the out-of-order ranges kept of what was received.
	MaxRanges int
	// Rand gives nonces and jitter.
	Rand *rand.Rand
}

// Defaults fills in zero fields.
func (c Config) Defaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	num := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	set(&c.AckDelay, 25*time.Millisecond)
	set(&c.Heartbeat, time.Minute)
	set(&c.InitialRTT, time.Second)
	num(&c.MaxFiles, 256)
	if c.MaxFile <= 0 {
		c.MaxFile = 500e6
	}
	num(&c.FrameBytes, 1<<20)
	num(&c.WindowMessages, 4096)
	num(&c.WindowBytes, 8<<20)
	num(&c.MaxRanges, 4096)
	return c
}

// State is the durable part of a link (store.Link holds it).
type State struct {
	Epoch, PeerEpoch uint64
	LastID           uint64
	SeqReserved      uint64
	Contig           uint64
	OOO              frame.Ranges
	PeerBase         uint64
	PeerLast         uint64
	AckedContig      uint64
	AckedOOO         frame.Ranges
	PeerCaps         []string
	SRTT, RTTVar     time.Duration
	LastSeen         time.Time
	Seen             frame.Ranges
	PeerRun          frame.Run // the peer's newest process run seen in its epoch; zero: none yet
	// PeerRuns is where earlier ones of its epoch began, in their order, as far as is known; of many the newest.
	PeerRuns []frame.Run
	// PeerShown says that PeerRun has said under the present pair what it has of our messages, and that none was missing that
	// earlier ones had.
	PeerShown bool
	// Unmet is where own runs of the epoch began, in their order, of which nothing was heard that shows that the peer has
	// compared what they have, or a later one. The last is the newest.
	Unmet []frame.Run
	// Confirmed says that the peer has spoken to Epoch: so no life of it that is known was lost before that epoch began.
	Confirmed bool
	Doubled   bool    // a second copy of this site shared the epoch: the next run opens a new one
	Learned   Learned // what was learned of the pipe; zero: nothing yet
}

// Prio orders what goes first into a frame.
type Prio uint8

// Priorities: small control messages, small calls, bulk.
const (
	PrioControl Prio = iota
	PrioCall
	PrioBulk
	numPrio
)

// Ref names what a message belongs to for the layer above; opaque here.
type Ref [16]byte

// Item is one message to send: Data is the encoded message with its id.
type Item struct {
	ID   uint64
	Kind frame.Kind
	Prio Prio
	Ref  Ref
	Data []byte
}

// item is what the window keeps of an Item.
type item struct {
	Item
	file   *file // the file that carries it, nil while none does
	queued bool
	sent   bool // was in a file that may have been seen
	given  bool // was given out to be written: it may be in the pipe before the outcome is told, and whatever it is
	done   bool // acked or withdrawn
}

// file is one own file in transit.
type file struct {
	seq     uint64
	at      time.Time
	size    int64
	ids     frame.Ranges
	pending int // items whose newest copy is here
	later   int // files in transit with higher numbers that the peer has seen
	passed  int // files with higher numbers that the peer has seen while this one lay in the outbox
	hello   bool
	seen    bool
	lost    bool
	cut     bool
	contig  uint64 // the ack that it carries
	suspect bool   // lost, if it has left the outbox
	// answers: it holds nothing but answers, and the first ack of what they answer. Whoever asked repeats that when it
	// hears nothing, and then this file is known to be lost: its own timer would only send twice what came.
	answers  bool
	gone     bool          // not in the outbox any more
	there    time.Time     // when it was last seen in the outbox
	patience time.Duration // how much longer it may lie there before the outbox is looked at for its sake
	wanted   bool          // the outbox is looked at for its sake
	left     time.Time     // when it was noticed to be gone, if it was seen there before
	// restored: written by an earlier run.
	restored bool
}

// Link is one link; see the package comment for its use.
type Link struct {
	cfg Config
	st  State // as of the newest event, committed or not
	run frame.Run

	// sending
	items     map[uint64]*item
	winBytes  int
	queues    [numPrio][]*item
	done      frame.Ranges // own ids acked or withdrawn
	loadedTo  uint64       // own ids up to here are in the window or done; above, up to last, they may be only in the store
	smallTo   uint64       // the same of messages before PrioBulk; not below loadedTo
	lastSmall uint64       // highest id of those that were left to the store
	settled   bool         // the first loads are over, and restored files may still have to be dropped
	committed uint64       // own ids up to here are durable
	staged    uint64       // own ids in the commit under way
	reserved  uint64       // file numbers below are durably reserved
	nextSeq   uint64
	files     []*file // in transit, ascending
	writing   *pendingWrite
	held      counts // not acked, whole outbox
	// own ids withdrawn: since the last snapshot, in the commit under way
	withdrawn, stagedWithdrawn frame.Ranges

	// receiving
	fresh, staging frame.Ranges // received ids: since the last snapshot, in the commit under way
	freshSeen      frame.Ranges // file numbers likewise
	stagingSeen    frame.Ranges
	stored         frame.Ranges // file numbers handled whole and durable, newest ranges
	untold         frame.Ranges // of them, those that the peer is not known to know of
	begunFiles     frame.Ranges // file numbers of which something counted and the rest had yet to come, newest ranges
	cuts           []frame.Cut
	top            uint64     // the highest file handled
	durableTop     topFile    // the same of what is durable: what the peer is told
	stagedTop      uint64     // the same in the commit under way
	durableRun     frame.Rand // of the peer's newest run that has shown what it has, as it is durable: what the peer is told
	stagedRun      frame.Rand // the same in the commit under way
	toldRun        frame.Rand // the newest that was durable
	peerBase       uint64     // the newest base of the peer
	stagedBase     uint64     // the same in the commit under way
	full           bool
	touched        [frame.MaxOOO]uint64 // ids that came last, in a ring
	nextTouched    int
	repeated       uint64 // the highest id in a file that was acked before
	elicited       bool   // something asks for an ack once it is durable
	stagedElicit   bool
	urgentAck      bool
	ackDue         time.Time
	peerFull       bool

	rtt       rtt
	loss      loss
	size      sizes
	taken     taken
	transit   transit
	hello     hello
	lastWrite time.Time
	retryAt   time.Time // writing failed: not before
	fullAt    time.Time // writing failed: nothing but small files before
	failures  int
	answers   bucket // frames that answer a wrong pair
	answerDue bool
	floor     floor  // what earlier runs of the peer said they have
	met       bool   // the peer has compared what this run has
	fork      bool   // the peer is told that its state is doubled or was set back
	begun     bool   // the own epoch began with this run, without any state
	forced    bool   // a new own epoch was opened in this run
	stopped   string // why nothing is written any more; "" while it runs
	halt      halt

	dirty   bool // something changed that a later commit may take along
	urgent  bool // a write waits for a commit
	owed    bool // an ack waits for a commit
	changes Changes
	stats   Stats
	events  Events
}

// Events is when something happened to the state of either side that an operator is to know; zero: not in this run.
type Events struct {
	// PeerBegan: the peer has begun anew: its state was lost, restored or doubled.
	PeerBegan time.Time
	// PeerDoubled: two lives of the peer were seen, or its state was set back; it has been told.
	PeerDoubled time.Time
	// SelfLost: this site began without state although the peer has known it before.
	SelfLost time.Time
	// SelfBehind: the peer knew more of this site than the site itself: its state is a copy. It began anew.
	SelfBehind time.Time
}

type counts struct {
	messages int64
	bytes    int64
}

type hello struct {
	due   time.Time
	tries int
	pause time.Duration // until the next, unless the last one waits for the mover
	files frame.Ranges  // that held one under the present pair
	seen  bool          // the peer has one of them
}

// Stats are counters since start, for operators.
type Stats struct {
	FilesWritten, FilesRead        uint64
	BytesWritten, BytesRead        uint64
	MessagesSent, MessagesReceived uint64
	Duplicates                     uint64 // messages received again
	Resent                         uint64 // messages written again
	FilesLost                      uint64 // own files declared lost
	FilesCut                       uint64 // own files reported cut by the peer
	Spurious                       uint64 // declared lost, then seen
	WrongPair                      uint64 // lines of another epoch pair
	PeerResets                     uint64 // times the peer's epoch grew after first contact
	AckOnly                        uint64
	BadAcks                        uint64 // acks above what was ever sent: our state was set back
	Forks                          uint64 // frames that show the peer's state doubled or set back
	Timeouts                       uint64 // probe timeouts
}

// New makes a link from its stored state; the zero State begins a first epoch, above that of the highest own file that an
// earlier life has left (ownTop, 0: none). The first Snapshot must be committed before anything is written.
func New(cfg Config, st State, now time.Time, ownTop uint64) *Link {
	l := &Link{cfg: cfg.Defaults(), st: st, items: map[uint64]*item{}}
	if l.st.Epoch == 0 {
		l.begin(now, ownTop)
	}
	l.nextSeq = max(l.st.SeqReserved, l.st.Epoch*frame.SeqPerEpoch)
	l.st.SeqReserved = l.nextSeq + seqBlock
	l.run = frame.Run{FirstSeq: l.nextSeq, FirstID: l.st.LastID + 1}
	binary.BigEndian.PutUint64(l.run.Rand[:], l.cfg.Rand.Uint64())
	l.st.Unmet = unmet(l.st.Unmet, l.run)
	l.committed, l.lastSmall = l.st.LastID, l.st.LastID
	l.stored, l.untold = l.st.Seen.Clone(), l.st.Seen.Clone()
	l.top, _ = l.stored.Max()
	l.durableTop = topFile{seq: l.top, at: now, told: true}
	l.durableRun = l.st.shown()
	l.toldRun = l.durableRun
	if !l.st.PeerShown {
		l.floor = floor{l.st.AckedContig, l.st.AckedOOO.Clone()}
	}
	l.rtt = newRTT(l.cfg.InitialRTT, l.st.SRTT, l.st.RTTVar)
	l.loss = newLoss()
	l.size = newSizes(l.cfg, st.Learned)
	l.taken.takes = st.Learned.Takes && st.Learned.Pipe == l.cfg.Pipe
	l.peerBase = st.PeerBase
	l.hello.due = now
	l.answers = bucket{tokens: answerBurst, at: now}
	l.urgent = true
	if st.Doubled {
		l.st.Doubled = false
		l.renew(now, 0, l.nextSeq)
		l.forced = false // should the other copy still run, that is noticed once more
	}
	return l
}

const (
	// seqBlock is how many file numbers are reserved by one commit.
	seqBlock = 1000
	// seqAhead is how many reserved numbers must be left before more are asked for.
	seqAhead = 500
	// keptHellos bounds the ranges of files that held a hello.
	keptHellos = 64
	// keptSeen bounds the file ranges kept for consume: keep and for rx.seen.
	keptSeen = 256
)

// Epoch gives the own epoch and the peer's (0: not known yet).
func (l *Link) Epoch() (own, peer uint64) { return l.st.Epoch, l.st.PeerEpoch }

// Stats gives the counters.
func (l *Link) Stats() Stats { return l.stats }

// Held gives number and bytes of messages that the peer has not acknowledged.
func (l *Link) Held() (messages, bytes int64) { return l.held.messages, l.held.bytes }

// InFlight gives the number of own files in transit.
func (l *Link) InFlight() int { return len(l.files) }

// RTT gives the smoothed round trip and its variation; measured is false before the first one.
func (l *Link) RTT() (smoothed, variation time.Duration, measured bool) {
	return l.rtt.smoothed, l.rtt.variation, l.rtt.measured
}

// LastSeen is when the last verified frame of the peer was handled; zero: never.
func (l *Link) LastSeen() time.Time { return l.st.LastSeen }

// Stopped says why the link writes nothing any more, "" while it works.
func (l *Link) Stopped() string { return l.stopped }

// Synchronized says that neither side holds anything for the other, as far as this side knows.
func (l *Link) Synchronized() bool {
	return l.held.messages == 0 && len(l.st.OOO) == 0 && l.st.Contig >= l.st.PeerLast && l.st.PeerEpoch != 0
}

// Takes says whether the peer's last caps allow a message kind. A peer that said none takes the kinds
// every version has.
func (l *Link) Takes(kind frame.Kind) bool {
	if len(l.st.PeerCaps) == 0 {
		switch kind {
		case frame.KindReq, frame.KindRes, frame.KindBody, frame.KindAbort, frame.KindCancel, frame.KindStage:
			return true
		}
		return false
	}
	for _, c := range l.st.PeerCaps {
		if c == string(kind) {
			return true
		}
	}
	return false
}

// State gives a copy of the newest state, committed or not.
func (l *Link) State() State {
	st := l.st
	st.OOO, st.AckedOOO, st.Seen = st.OOO.Clone(), st.AckedOOO.Clone(), l.stored.Clone()
	return st
}

func (l *Link) nonce() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], l.cfg.Rand.Uint64())
	binary.BigEndian.PutUint64(b[8:], l.cfg.Rand.Uint64())
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// CommittedID is the highest own id that is durable.
func (l *Link) CommittedID() uint64 { return l.committed }
