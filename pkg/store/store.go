// Package store keeps what must survive: outbox, inbox, ack state and exchanges, in SQLite or in memory.
//
// Changes are values: a Batch is filled by its methods and handed to Commit, which joins the batches
// of concurrent callers into one transaction (group commit) and returns when they are durable.
// Reads see committed state only. Both stores, SQLite and Mem, pass the suite in storetest.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// Errors of opening a store; the commands map each to an exit code.
var (
	// ErrLocked says that another process works on this state folder.
	ErrLocked = errors.New("state folder is in use by another hoft process")
	// ErrNewer says that the database was written by a later version.
	ErrNewer = errors.New("database is from a newer version of hoft")
	// ErrForeign says that the file is no hoft database.
	ErrForeign = errors.New("not a hoft database")
	// ErrUnusable says that the database is damaged, or that this user may not work on it.
	ErrUnusable = errors.New("database cannot be used")
	// ErrOlder says that a database opened for reading alone has an older layout than this version reads.
	ErrOlder = errors.New("database is from an older version of hoft")
)

// Errors of reading and committing.
var (
	// ErrNotFound says that no such row exists.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a batch adds an outbox id that is already there and not acked.
	// Nothing of that batch is applied; other batches of its group are.
	ErrExists = errors.New("already in the outbox")
	// ErrFull says that the disk has no room for the database; wrapped by errors of Commit.
	ErrFull = errors.New("no room left for the database: free space on the disk of the state folder")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
)

// Link is what one site keeps durably about one peer: clocks, epochs, acks.
type Link struct {
	Peer             identity.ID
	Epoch, PeerEpoch uint64
	LastID           uint64       // own highest id assigned
	SeqReserved      uint64       // file numbers below this may have been used
	Contig           uint64       // received from the peer without a gap
	OOO              frame.Ranges // received out of order
	PeerBase         uint64       // the ack of the ack: ids below it the peer no longer holds
	PeerLast         uint64       // highest id the peer said it assigned
	AckedContig      uint64       // what the peer said it has of ours
	AckedOOO         frame.Ranges
	PeerCaps         []string
	SRTT, RTTVar     time.Duration // zero until measured
	LastSeen         time.Time     // of the last verified frame; zero: never
	// Seen is the peer's file numbers that were verified whole (for consume: keep).
	Seen frame.Ranges
	// Runs is the link's own JSON about process runs (forks), Learned that about the pipe; opaque here.
	Runs, Learned []byte
}

// Out is one outbox row: a message to send. Data is the encoded message exactly as it goes on a line.
type Out struct {
	Peer     identity.ID
	ID       uint64
	Kind     frame.Kind
	Prio     uint8
	Exchange [16]byte // zero: belongs to none
	Keep     bool     // keep the row after its ack, until its exchange is expired or purged; needs an Exchange
	Data     []byte
	Created  time.Time
	Acked    time.Time // zero: not yet
}

// Sent is one file that was written.
type Sent struct {
	Peer  identity.ID
	Seq   uint64
	Nonce string // jti of the first line
	At    time.Time
	IDs   frame.Ranges
	Size  int64
	State SentState
}

// SentState says what became of a file.
type SentState uint8

// States of a file that was written.
const (
	SentInTransit SentState = iota
	SentAcked               // everything it carried is acked, or it carried nothing and was seen
	SentReplaced            // lost or cut: its content was sent again
)

// In is one inbox row: a message received. Body is decompressed by its reader, see frame.Message.
type In struct {
	Peer      identity.ID
	PeerEpoch uint64
	ID        uint64
	Kind      frame.Kind
	Exchange  [16]byte
	Attempt   int
	Offset    int64 // of a body part; 0 otherwise
	Data      []byte
	Enc       frame.Enc
	Body      []byte
	Size      int64     // of the body decompressed
	Beside    int64     // bytes kept for it in the chunk store, which count with its own; not read back
	Part      bool      // listed by InboxParts while its exchange has not ended
	SentAt    time.Time // iat of its line
	Received  time.Time
	Tries     int
	State     InState
}

// InState says how far the handling of an inbox row went.
type InState uint8

// States of an inbox row.
const (
	InNew     InState = iota // to be handled (again, after a crash or a panic)
	InHandled                // handled; kept because its exchange needs the content
	InFailed                 // set aside after the third try
)

// Side says which end of an exchange a row describes.
type Side uint8

// The two ends of an exchange. A site with both roles may hold both for different exchanges.
const (
	SideIngress Side = iota
	SideEgress
)

// Exchange is one call as this site knows it. Times are zero until reached; far side's times come with its messages.
type Exchange struct {
	ID       [16]byte
	Side     Side
	Peer     identity.ID
	Upstream string
	Route    string
	Method   string
	Target   string
	Caller   string
	Stage    string // accepted, queued, written, arrived, calling, answered, returned
	State    string // running, succeeded, failed, canceled, uncertain
	Attempt  int
	Oep      uint64 // epoch of the link when it was accepted
	Key      string // the caller's Idempotency-Key
	Created  time.Time
	Deadline time.Time
	Stages   []byte // JSON of stage times, written by pkg/exchange; opaque here
	Status   int    // HTTP status of the answer, 0 while none
	Problem  string // code of a hoft-made error, "" if none
	Detail   string
	ReqBytes int64
	ResBytes int64
	Ended    time.Time
	// Owner is the caller's identity, "" for anonymous ones.
	Owner string
	// Callback is where the answer is sent, "" for nowhere; Notify: each stage too.
	Callback string
	Notify   bool
	ReplayOf [16]byte // the exchange that this one repeats; zero: none
	// Transient says that the content is to be deleted at the end.
	Transient bool
	// Expired says that what was sent and received for it is deleted (Batch.ExpireExchange). Only
	// read: PutExchange leaves it as it is.
	Expired bool
}

// ExchangeKey names one exchange row and says when it ended.
type ExchangeKey struct {
	ID    [16]byte
	Side  Side
	Ended time.Time
}

// Patch changes some fields of an exchange; nil fields stay.
type Patch struct {
	Stage, State    *string
	Attempt, Status *int
	Stages          []byte
	Problem, Detail *string
	ReqBytes        *int64
	ResBytes        *int64
	Deadline        *time.Time
	Ended           *time.Time
	// Content, with Ended, is the bytes stored for the exchange (received messages and kept sent ones) as
	// the caller knows them, and says that none of its inbox rows is a Part any more: the store then need
	// not look. Only for a row that has not ended before.
	Content *int64
}

// StateRunning is the state of an exchange that has not ended; the other states are pkg/exchange's own.
const StateRunning = "running"

// ExchangeFilter selects exchanges for lists; zero fields select all. Newest first: by Created, then
// by id, both descending.
type ExchangeFilter struct {
	Peer    identity.ID
	State   string
	Running bool      // only those in StateRunning, whatever State says
	Owner   string    // only those of this caller
	Route   string    // only those of this route
	Since   time.Time // created at or after
	// Before is for paging: only what comes after this exchange in the list. If it is no longer
	// stored, its place is taken from the time in the id (UUIDv7, RFC 9562 section 5.7).
	Before [16]byte
	Limit  int // 0: 100
}

// LinkStats is the outbox of one peer in numbers.
type LinkStats struct {
	Messages int64 // not acked
	Bytes    int64
	Oldest   time.Time // Created of the lowest id that is not acked; zero if none
	Failed   int64     // inbox rows set aside
}

// Reader is how committed state is read. Safe for concurrent use. Row slices belong to the caller.
//
// Times are kept in whole milliseconds and come back in UTC; empty byte and range slices come back
// nil. A limit of zero or less gives no rows (ExchangeFilter.Limit apart).
type Reader interface {
	Links(ctx context.Context) ([]Link, error)
	// Outbox gives rows of peer that are not acked, with ids above after, ascending, at most limit rows.
	Outbox(ctx context.Context, peer identity.ID, after uint64, limit int) ([]Out, error)
	// OutboxBefore gives the same of rows whose Prio is below prio.
	OutboxBefore(ctx context.Context, peer identity.ID, prio uint8, after uint64, limit int) ([]Out, error)
	// OutboxExchange gives all rows of one exchange, acked or not, ascending by id.
	OutboxExchange(ctx context.Context, exchange [16]byte) ([]Out, error)
	// SentOpen gives the files in transit to peer, ascending.
	SentOpen(ctx context.Context, peer identity.ID) ([]Sent, error)
	// SentLast gives the newest n files to peer in any state, newest first.
	SentLast(ctx context.Context, peer identity.ID, n int) ([]Sent, error)
	// InboxNew gives rows in state InNew, in order of arrival, at most limit.
	InboxNew(ctx context.Context, limit int) ([]In, error)
	// InboxExchange gives the rows of one exchange, ordered by attempt, kind and offset; bodies included.
	InboxExchange(ctx context.Context, exchange [16]byte) ([]In, error)
	// InboxPart gives the body part of an exchange and attempt that starts at offset, or ErrNotFound.
	InboxPart(ctx context.Context, exchange [16]byte, attempt int, offset int64) (In, error)
	// InboxRequest gives the request of an exchange (kind req, attempt 0, offset 0), the newest if there are several, or
	// ErrNotFound. Without body its Body is nil, and costs nothing.
	InboxRequest(ctx context.Context, exchange [16]byte, body bool) (In, error)
	// InboxParts gives the rows with Part of exchanges that have not ended or are not known yet, without
	// the bytes (Body is nil, everything else is set), ordered by exchange, attempt, offset: what a
	// restart needs to know what has come.
	InboxParts(ctx context.Context) ([]In, error)
	Exchange(ctx context.Context, id [16]byte, side Side) (Exchange, error)
	Exchanges(ctx context.Context, f ExchangeFilter) ([]Exchange, error)
	// EndedBefore gives exchanges that ended before t, expired or not, the earliest first: those to purge. Those are left out
	// that have a callback which is due, or whose last try was not before t and which was given up.
	EndedBefore(ctx context.Context, t time.Time, limit int) ([]ExchangeKey, error)
	// ResultsBefore gives exchanges that ended before t and are not expired, the earliest first.
	ResultsBefore(ctx context.Context, t time.Time, limit int) ([]ExchangeKey, error)
	// TransientBefore gives exchanges that ended before t, are not expired, and should be at their end (Transient).
	TransientBefore(ctx context.Context, t time.Time, limit int) ([]ExchangeKey, error)
	// ResultBytes gives the bytes stored for exchanges that ended and are not expired: what they held
	// when they ended, in received messages and kept sent ones. One row is read, whatever the history.
	ResultBytes(ctx context.Context) (int64, error)
	// Events gives events with numbers above after, ascending, at most limit: of one exchange, or of all for
	// the zero id.
	Events(ctx context.Context, exchange [16]byte, after int64, limit int) ([]Event, error)
	LastEvent(ctx context.Context) (int64, error)              // the highest number of an event, 0 without any
	Key(ctx context.Context, scope [32]byte) (Key, error)      // ErrNotFound if absent
	Callback(ctx context.Context, id string) (Callback, error) // ErrNotFound if absent
	// CallbacksDue gives callbacks whose next try is at or before a time, the earliest first.
	CallbacksDue(ctx context.Context, at time.Time, limit int) ([]Callback, error)
	Callbacks(ctx context.Context, f CallbackFilter) ([]Callback, error)
	// Disabled says since when a receiver wants nothing any more; the zero time: it does.
	Disabled(ctx context.Context, url string) (time.Time, error)
	Credential(ctx context.Context, upstream, kind, owner string) (Credential, error) // ErrNotFound if absent
	// DataPins gives who keeps the data of a map, by its root, ordered by token.
	DataPins(ctx context.Context, root [32]byte) ([]DataPin, error)
	// DataPinsDue gives pins that expire at or before a time, the earliest first.
	DataPinsDue(ctx context.Context, at time.Time, limit int) ([]DataPin, error)
	DataUpload(ctx context.Context, id [16]byte) (DataUpload, error) // ErrNotFound if absent
	// DataUploadsDue gives uploads that expire at or before a time, the earliest first.
	DataUploadsDue(ctx context.Context, at time.Time, limit int) ([]DataUpload, error)
	DataStats(ctx context.Context) (DataStats, error)
	Stats(ctx context.Context, peer identity.ID) (LinkStats, error)
	// Packs gives the packs of a link, the peer's first, each ascending by number.
	Packs(ctx context.Context, peer identity.ID) ([]Pack, error)
	// Offers gives what exchanges offered to a peer, in order.
	Offers(ctx context.Context, peer identity.ID) ([]Offer, error)
	// Held gives the newest n names of chunks that a peer is known to hold, the newest first.
	Held(ctx context.Context, peer identity.ID, n int) ([][16]byte, error)
	// Fetches gives the fetches that have not ended, the oldest first.
	Fetches(ctx context.Context) ([]Fetch, error)
	Meta(ctx context.Context, key string) ([]byte, error) // ErrNotFound if absent
}

// Committer makes changes durable. Safe for concurrent use.
type Committer interface {
	// Commit returns when the batch is durable, together with whatever else was committed in the
	// same group, or with an error and nothing applied. The batch must not be used afterwards.
	//
	// A context that ends while the batch still waits in the queue takes it out: its error is
	// returned, nothing is applied. A commit under way is waited for, so that the caller always knows.
	Commit(ctx context.Context, b *Batch) error
}
