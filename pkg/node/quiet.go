package node

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/identity"
)

// quiet lets one line per peer and reason into the log each minute: neither whoever can write into the folder nor
// a disk that is full for a week may fill the log. Safe for concurrent use.
type quiet struct {
	mu   sync.Mutex
	seen map[quietKey]*quietCount
}

type quietKey struct {
	peer   identity.ID // zero: of no peer
	reason string
}

type quietCount struct {
	last       time.Time
	suppressed int
}

const (
	quietFor = time.Minute
	// maxQuiet bounds the memory for reasons, which hold the text of errors.
	maxQuiet = 1000
)

func newQuiet() *quiet { return &quiet{seen: map[quietKey]*quietCount{}} }

// allow says whether to log now, and how many lines were held back since the last one.
func (q *quiet) allow(peer identity.ID, reason string, now time.Time) (suppressed int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.seen[quietKey{peer, reason}]
	if c == nil {
		if len(q.seen) >= maxQuiet {
			clear(q.seen)
		}
		q.seen[quietKey{peer, reason}] = &quietCount{last: now}
		return 0, true
	}
	if now.Sub(c.last) < quietFor {
		c.suppressed++
		return 0, false
	}
	suppressed = c.suppressed
	c.last, c.suppressed = now, 0
	return suppressed, true
}

// trouble logs what is tried again until it succeeds. Another cause is another reason, whatever the file; file may
// be empty.
func (q *quiet) trouble(level func() *zerolog.Event, now time.Time, file, text string, err error) {
	n, ok := q.allow(identity.ID{}, text+": "+cause(err).Error(), now)
	if !ok {
		return
	}
	ev := level().Err(err).Int("like_this_before", n)
	if file != "" {
		ev = ev.Str("file", file)
	}
	ev.Msg(text)
}

// cause gives the innermost error, which names no file: of several the first.
func cause(err error) error {
	for {
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			if e.Unwrap() == nil {
				return err
			}
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			if len(e.Unwrap()) == 0 {
				return err
			}
			err = e.Unwrap()[0]
		default:
			return err
		}
	}
}
