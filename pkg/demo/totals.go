package demo

import (
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/pipe/mover"
)

// Totals is what a run came to. The JSON is stable: members are only ever added. Times are milliseconds unless
// the name says otherwise.
type Totals struct {
	Schema        string     `json:"schema"`
	Calls         int        `json:"calls"` // asked for
	Ended         int        `json:"ended"`
	Right         int        `json:"right"`
	Wrong         int        `json:"wrong"` // answered, but not with the callee's true answer
	Lost          int        `json:"lost"`  // not answered
	Executions    int        `json:"executions"`
	ExecutedTwice int        `json:"executed_twice"` // calls of a method that is not idempotent
	Open          int64      `json:"open"`           // messages not acknowledged at the end
	Seconds       float64    `json:"seconds"`
	RoundTrip     RoundTrips `json:"round_trip_ms"`
	Bodies        Bodies     `json:"body_bytes"`
	Files         Files      `json:"files"`
	Resends       Resends    `json:"resends"`
	MemoryBytes   uint64     `json:"memory_bytes"` // that the Go runtime had from the system at most, for both sites, callee and callers
	Concurrency   int        `json:"concurrency"`
	Faults        string     `json:"faults"`
	Seed          uint64     `json:"seed"`
	Problems      []string   `json:"problems,omitempty"` // the first few
}

// RoundTrips are the times of calls, from the request to the end of the answer.
type RoundTrips struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Bodies are sums over all calls, in bytes.
type Bodies struct {
	Requests int64 `json:"requests"`
	Answers  int64 `json:"answers"`
}

// Files counts what was written into the outboxes and what the movers did, both directions together.
type Files struct {
	Written  uint64 `json:"written"`
	Bytes    uint64 `json:"bytes"`
	Moved    int    `json:"moved"`
	Lost     int    `json:"lost"`
	Cut      int    `json:"cut"`
	Repeated int    `json:"repeated"`
	Delayed  int    `json:"delayed"`
	Half     int    `json:"half_shown"`
	Vanished int    `json:"withdrawn"` // taken back by the sender before they were carried
	Failed   int    `json:"failed"`
}

// Resends counts what the sites did about it, both together.
type Resends struct {
	Messages   uint64 `json:"messages"`
	FilesLost  uint64 `json:"files_found_lost"`
	FilesCut   uint64 `json:"files_found_cut"`
	Timeouts   uint64 `json:"timeouts"`
	Spurious   uint64 `json:"spurious"`
	Duplicates uint64 `json:"duplicates_dropped"` // messages
}

const (
	schema = "hoft.demo/1"
	// keptProblems bounds Totals.Problems.
	keptProblems = 10
)

// Good says that every call got the true answer and none was executed twice.
func (t *Totals) Good() bool {
	return t.Right == t.Calls && t.Wrong == 0 && t.Lost == 0 && t.ExecutedTwice == 0
}

// tally gathers calls; not safe for concurrent use.
type tally struct {
	totals Totals
	trips  []time.Duration
}

func (t *tally) add(e *CallEvent) {
	s := &t.totals
	s.Ended++
	switch {
	case e.Lost:
		s.Lost++
	case e.Fault != "":
		s.Wrong++
	default:
		s.Right++
	}
	if e.Fault != "" && len(s.Problems) < keptProblems {
		s.Problems = append(s.Problems, e.Question.Method+" "+e.Question.target()+": "+e.Fault)
	}
	if !e.Lost {
		t.trips = append(t.trips, e.Took)
	}
	s.Bodies.Requests += int64(len(e.Question.body))
	s.Bodies.Answers += int64(e.Bytes)
}

// roundTrips gives quantiles by the nearest rank.
func roundTrips(d []time.Duration) RoundTrips {
	if len(d) == 0 {
		return RoundTrips{}
	}
	d = slices.Clone(d)
	slices.Sort(d)
	at := func(share float64) float64 {
		i := min(int(share*float64(len(d))), len(d)-1)
		return float64(d[i].Microseconds()) / 1000
	}
	return RoundTrips{P50: at(0.50), P95: at(0.95), P99: at(0.99), Max: at(1)}
}

func (f *Files) add(c mover.Counters) {
	f.Moved += c.Moved
	f.Lost += c.Lost
	f.Cut += c.Cut
	f.Repeated += c.Repeated
	f.Delayed += c.Delayed
	f.Half += c.Half
	f.Vanished += c.Vanished
	f.Failed += c.Failed
}

func (t *Totals) addLink(s link.Stats) {
	t.Files.Written += s.FilesWritten
	t.Files.Bytes += s.BytesWritten
	r := &t.Resends
	r.Messages += s.Resent
	r.FilesLost += s.FilesLost
	r.FilesCut += s.FilesCut
	r.Timeouts += s.Timeouts
	r.Spurious += s.Spurious
	r.Duplicates += s.Duplicates
}
