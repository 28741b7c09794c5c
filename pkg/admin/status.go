// Package admin is the operator's face of a site: its status, its health, and the control socket that the commands ask.
package admin

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/pipe"
)

// Schema names the form of Status in JSON. Members are only ever added.
const Schema = "hoft.status/1"

// Status is all that a site tells its operator. Durations are seconds, sizes bytes; what is not known
// is left out. It holds no secret and nothing of a call but its id.
type Status struct {
	Schema  string    `json:"schema"`
	Site    string    `json:"site"`
	ID      string    `json:"id"`
	Version string    `json:"version,omitempty"`
	Time    time.Time `json:"time"`
	// Running is false when this was read from the state of a site that does not run.
	Running bool       `json:"running"`
	Started *time.Time `json:"started,omitempty"`
	UptimeS float64    `json:"uptime_s,omitempty"`
	Roles   []string   `json:"roles,omitempty"`
	Listen  *Listen    `json:"listen,omitempty"`
	// Healthy says that there are no problems.
	Healthy   bool       `json:"healthy"`
	StateDir  string     `json:"state_dir"`
	DB        DB         `json:"db"`
	Pipe      *Pipe      `json:"pipe,omitempty"`
	Peers     []Peer     `json:"peers"`
	Exchanges *Exchanges `json:"exchanges,omitempty"`
	Chunks    *Chunks    `json:"chunks,omitempty"` // of a running site
	// CallbacksDead counts the callbacks that were given up, up to 500.
	CallbacksDead int        `json:"callbacks_given_up"`
	Upstreams     []Upstream `json:"upstreams,omitempty"` // of a running egress
	Problems      []Problem  `json:"problems"`
	// Notices are what an operator should know that is no problem. They do not make a site unhealthy.
	Notices []Problem `json:"notices,omitempty"`
}

// Listen says where a running site can be reached.
type Listen struct {
	Ingress string `json:"ingress,omitempty"`
	Admin   string `json:"admin,omitempty"`
	Socket  string `json:"socket,omitempty"`
}

// DB is the state of the store.
type DB struct {
	Bytes        int64      `json:"bytes"`
	FailingSince *time.Time `json:"failing_since,omitempty"` // commits fail
}

// Pipe is layer 0 as this run sees it.
type Pipe struct {
	Outbox    string  `json:"outbox"`
	Inbox     string  `json:"inbox"`
	Mode      string  `json:"mode"` // notify (a folder watch brings files) or poll
	IntervalS float64 `json:"interval_s"`
	SettleS   float64 `json:"settle_s"`
	FreeBytes uint64  `json:"free_bytes"`
	// TotalBytes is 0 where the file system does not tell its room.
	TotalBytes  uint64              `json:"total_bytes"`
	OwnFiles    int                 `json:"own_files"`
	Tracked     int                 `json:"tracked"`
	Waiting     int                 `json:"waiting"`
	Stuck       int                 `json:"stuck"`
	Reappeared  uint64              `json:"reappeared"`
	Scans       uint64              `json:"scans"`
	Reported    uint64              `json:"reported"`
	Quarantined uint64              `json:"quarantined"`
	Cloned      uint64              `json:"cloned"` // packs that entered or left the pipe as clones
	Skipped     map[pipe.Reason]int `json:"skipped,omitempty"`
	ScanError   string              `json:"scan_error,omitempty"`
}

// States of a peer, in one word each.
const (
	StateOK      = "ok"      // heard of within the usual time
	StateLate    = "late"    // nothing came for longer than usual
	StateNever   = "never"   // nothing ever came
	StateBlocked = "blocked" // what comes is refused, or this site has stopped writing
	StateWaiting = "waiting" // this site has just started and nothing has come yet
	StateStopped = "stopped" // this site does not run
)

// How files of a link are sealed.
const (
	SealEncrypted = "encrypted"
	SealSigned    = "signed"
)

// Peer is one link.
type Peer struct {
	Name     string     `json:"name"`
	ID       string     `json:"id"`
	Seal     string     `json:"seal,omitempty"` // encrypted or signed; of a running site
	State    string     `json:"state"`
	Reason   string     `json:"reason,omitempty"` // why it is blocked
	LastSeen *time.Time `json:"last_seen,omitempty"`
	LateS    float64    `json:"late_after_s,omitempty"` // how long a silence is usual
	Outbox   Outbox     `json:"outbox"`
	InFlight InFlight   `json:"in_flight"`
	RTT      *RTT       `json:"rtt_s,omitempty"` // absent before the first measured round trip
	Size     Size       `json:"file_size"`
	Bulk     *Bulk      `json:"bulk,omitempty"` // of a running site that keeps chunks
	Log      Log        `json:"log"`
	Clocks   Clocks     `json:"clocks"`
	Caps     []string   `json:"caps,omitempty"`
	// Counters and Files count since the start of this run.
	Counters *Counters       `json:"counters,omitempty"`
	Files    *node.FileStats `json:"files,omitempty"`
	// Mistakes counts messages that could not be used: malformed ones, those about calls of other peers, and those beyond
	// the peer's share. Of a running site.
	Mistakes uint64 `json:"bad_messages,omitempty"`
	Events   Events `json:"events"`
	// SetAside is how many messages could not be handled in three tries.
	SetAside   int64  `json:"set_aside"`
	WriteError string `json:"write_error,omitempty"` // of the last write to the outbox
}

// Outbox is what the peer has not acknowledged.
type Outbox struct {
	Messages int64    `json:"messages"`
	Bytes    int64    `json:"bytes"`
	OldestS  *float64 `json:"oldest_s,omitempty"`
	Full     bool     `json:"full,omitempty"` // new calls are refused
}

// InFlight is what lies in the pipe.
type InFlight struct {
	Files int `json:"files"`
	// Waiting is how many of them lie in the outbox although files leave it by themselves: the mover has not taken them.
	Waiting      int        `json:"waiting_for_mover"`
	WaitingSince *time.Time `json:"waiting_since,omitempty"`
	NextResend   *time.Time `json:"next_resend,omitempty"` // when the oldest is written again if nothing is heard
}

// RTT is the round trip by file (RFC 9002 section 5.3).
type RTT struct {
	Smoothed  float64 `json:"smoothed"`
	Variation float64 `json:"variation"`
}

// Size is how large files for the peer may be, in bytes, as learned of the pipe.
type Size struct {
	Safe int64 `json:"safe"` // no file is written larger
	// CutAt is where the pipe was found to cut files, or the size above which it was found to lose them; absent where it was not.
	CutAt int64 `json:"cut_at,omitempty"`
}

// Bulk is what travels as chunks in packs. Bytes are of ciphertext; counts are since the start of this run.
type Bulk struct {
	PackBytes   int64    `json:"pack_bytes"`   // how large packs are made at present
	OpenPacks   int      `json:"open_packs"`   // in the pipe, not answered
	OpenBytes   int64    `json:"open_bytes"`   // of those
	QueuedBytes int64    `json:"queued_bytes"` // on offer, in no pack yet
	OldestS     *float64 `json:"oldest_s,omitempty"`
	RateBps     float64  `json:"rate_bps,omitempty"` // bytes per second, until the answer, of packs that were answered
	LeftS       *float64 `json:"left_s,omitempty"`   // how long what is queued and in the pipe takes at that rate
	Expected    int      `json:"expected_chunks"`    // announced by the peer, and not come
	Fetching    int      `json:"fetching_chunks"`    // of stored data, asked of the peer, and not come
	Charged     int64    `json:"charged_bytes"`      // of unfinished bodies of the peer in the store here, or announced; see chunks.peer_bytes

	PacksWritten   uint64 `json:"packs_written"`
	PacksSettled   uint64 `json:"packs_settled"`
	PacksLost      uint64 `json:"packs_lost"`
	PacksCut       uint64 `json:"packs_cut"` // or damaged
	BytesWritten   uint64 `json:"bytes_written"`
	ChunksSent     uint64 `json:"chunks_sent"`
	ChunksResent   uint64 `json:"chunks_resent"`
	ChunksSpared   uint64 `json:"chunks_spared"` // the peer had them
	BytesSpared    uint64 `json:"bytes_spared"`
	ChunksReceived uint64 `json:"chunks_received"`
	ChunksBad      uint64 `json:"chunks_bad"` // came, and were not as announced
	Probes         uint64 `json:"probes"`
	Wants          uint64 `json:"wants"`
	Fetches        uint64 `json:"fetches"`      // chunks of stored data that the peer was asked for
	Spurious       uint64 `json:"spurious"`     // packs that were given up and came after all
	BadMessages    uint64 `json:"bad_messages"` // of the peer about packs, that could not be handled
}

// Log is how far the message ids of both directions got.
type Log struct {
	Sent           uint64       `json:"sent"`  // highest id assigned here
	Acked          uint64       `json:"acked"` // the peer has all up to this one
	RecvContiguous uint64       `json:"recv_contiguous"`
	RecvGaps       frame.Ranges `json:"recv_gaps"` // ids missing below what came; at most maxGaps
	PeerSent       uint64       `json:"peer_sent"` // highest id that the peer said it assigned
	PeerBase       uint64       `json:"peer_base"` // below it the peer knows that we have all: the ack of the ack
}

// Clocks are the epochs of a link: this site's and the peer's, unix milliseconds; 0: not known yet.
type Clocks struct {
	Epoch     uint64 `json:"epoch"`
	PeerEpoch uint64 `json:"peer_epoch"`
}

// Counters count since start.
type Counters struct {
	FilesWritten     uint64 `json:"files_written"`
	FilesRead        uint64 `json:"files_read"`
	BytesWritten     uint64 `json:"bytes_written"`
	BytesRead        uint64 `json:"bytes_read"`
	MessagesSent     uint64 `json:"messages_sent"`
	MessagesReceived uint64 `json:"messages_received"`
	Duplicates       uint64 `json:"duplicates"`
	Resent           uint64 `json:"resent"`
	FilesLost        uint64 `json:"files_lost"`
	FilesCut         uint64 `json:"files_cut"`
	Spurious         uint64 `json:"spurious"`
	WrongPair        uint64 `json:"wrong_pair"`
	PeerResets       uint64 `json:"peer_resets"`
	AckOnly          uint64 `json:"ack_only"`
	BadAcks          uint64 `json:"bad_acks"`
	Timeouts         uint64 `json:"timeouts"`
	Forks            uint64 `json:"forks"`
}

// Events is when something happened to the state of either side, since the start of this run.
type Events struct {
	PeerBegan   *time.Time `json:"peer_began_anew,omitempty"` // its state was lost, restored or doubled
	PeerDoubled *time.Time `json:"peer_doubled,omitempty"`    // two lives of it were seen
	SelfLost    *time.Time `json:"own_state_lost,omitempty"`
	SelfBehind  *time.Time `json:"own_state_behind,omitempty"` // the own state is an older copy, or two of them run
}

// Exchanges counts calls.
type Exchanges struct {
	// Calls are unfinished calls of callers here, Jobs unfinished calls that peers asked for, by stage.
	Calls map[string]int `json:"calls"`
	Jobs  map[string]int `json:"jobs"`
	// Day counts by state what was begun in the last 24 hours and did not end well, both sides together.
	Day map[string]int64 `json:"went_wrong_24h"`
	// Uncertain are the newest of them whose outcome nobody knows.
	Uncertain []string `json:"uncertain,omitempty"`
	Dropped   int64    `json:"dropped"` // messages since start that meant nothing any more
}

// Levels of a problem.
const (
	LevelWarn     = "warn"     // works, less well than usual
	LevelCritical = "critical" // something does not work
	LevelNotice   = "notice"   // as it was configured
)

// Problem is one thing that an operator should look at.
type Problem struct {
	Code  string `json:"code"` // stable
	Level string `json:"level"`
	Peer  string `json:"peer,omitempty"`
	Text  string `json:"text"`
	Hint  string `json:"hint"` // the command to run next
}

// Level is the worst level of the problems, "" without any.
func (s *Status) Level() string {
	worst := ""
	for _, p := range s.Problems {
		if p.Level == LevelCritical {
			return LevelCritical
		}
		worst = LevelWarn
	}
	return worst
}
