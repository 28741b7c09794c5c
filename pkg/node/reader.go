package node

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/seal"
)

// FileStats counts what was made of the files of one peer since start.
type FileStats struct {
	OK          uint64                 `json:"ok"`        // whole
	Truncated   uint64                 `json:"truncated"` // settled, some lines good
	Quarantined uint64                 `json:"quarantined"`
	Refused     map[seal.Reason]uint64 `json:"refused,omitempty"`
	// RefusedRun is how many files were refused since the last one with a good line, LastReason why the newest of them was.
	RefusedRun uint64      `json:"refused_run,omitzero"`
	LastReason seal.Reason `json:"last_reason,omitzero"`
}

// reader scans the inbox, opens what it finds and hands it to the loop.
type reader struct {
	n     *Node
	marks map[frame.Name]seal.Mark // of files that are not complete yet
	first bool
	quiet quiet

	mu      sync.Mutex
	scanErr error // of the last scan
	files   map[identity.ID]*FileStats
}

// maxMarks bounds the memory for incomplete files; beyond it they are opened from their beginning again.
const maxMarks = 4096

func newReader(n *Node) *reader {
	r := &reader{n: n, marks: map[frame.Name]seal.Mark{}, first: true, quiet: quiet{}, files: map[identity.ID]*FileStats{}}
	for _, p := range n.opt.Peers {
		r.files[p.ID] = &FileStats{Refused: map[seal.Reason]uint64{}}
	}
	return r
}

func (r *reader) run(ctx context.Context) {
	for {
		files, err := r.n.opt.Pipe.Scan(time.Now())
		r.mu.Lock()
		r.scanErr = err
		r.mu.Unlock()
		if err != nil {
			r.n.opt.Log.Error().Err(err).Msg("cannot scan the inbox; trying again")
		}
		for _, f := range files {
			if ctx.Err() != nil {
				return
			}
			r.file(ctx, f)
		}
		if r.first {
			r.first = false
			close(r.n.ready)
		}
		select {
		case <-r.n.opt.Pipe.Hints():
		case <-ctx.Done():
			return
		}
	}
}

// file opens one file and says what becomes of it.
func (r *reader) file(ctx context.Context, f pipe.File) {
	p := r.n.opt.Pipe
	if f.Name.Ext == frame.ExtPack {
		p.Done(f) // nothing announces packs to this version
		return
	}
	data, err := p.Read(f)
	if err != nil {
		delete(r.marks, f.Name)
		if !errors.Is(err, pipe.ErrGone) {
			r.n.opt.Log.Warn().Err(err).Str("file", f.Name.String()).Msg("cannot read a file of the inbox")
		}
		return
	}
	res := r.n.opt.Opener.File(f.Name, data, r.marks[f.Name])
	delete(r.marks, f.Name)
	in := link.File{Seq: f.Name.Seq, Size: int64(len(data)), Lines: res.Lines, Whole: res.Whole}
	switch {
	case res.Whole:
		r.count(f.Name.Sender, func(s *FileStats) { s.OK++; s.RefusedRun = 0 })
		r.hand(ctx, f, in, f)
	case !f.Settled:
		if len(r.marks) >= maxMarks {
			clear(r.marks)
		}
		r.marks[f.Name] = res.Mark
		p.Pending(f)
		if len(in.Lines) > 0 {
			r.hand(ctx, f, in, nil)
		}
	case len(res.Seen) == 0:
		r.refuse(f, data, res)
	default:
		r.count(f.Name.Sender, func(s *FileStats) { s.Truncated++; s.RefusedRun = 0 })
		r.n.opt.Log.Debug().Str("peer", r.n.peers[f.Name.Sender].Name).Str("file", f.Name.String()).Int("have", len(data)).
			Str("action", "good lines used; the rest is sent again").Msg("file truncated")
		in.Cut = true
		r.hand(ctx, f, in, f)
	}
}

// refuse sets a file aside of which nothing is known to come from its sender. Nobody is told.
func (r *reader) refuse(f pipe.File, data []byte, res seal.Result) {
	reason := seal.Truncated
	if res.Err != nil {
		reason = res.Err.Reason
	}
	r.count(f.Name.Sender, func(s *FileStats) { s.refuse(reason) })
	if n, ok := r.quiet.allow(f.Name.Sender, reason, time.Now()); ok {
		r.n.opt.Log.Warn().Str("peer", r.n.peers[f.Name.Sender].Name).Str("file", f.Name.String()).Str("reason", string(reason)).
			Int("like_this_before", n).Str("action", refusedAction(reason)).Msg("file refused")
	}
	if err := r.n.opt.Pipe.Quarantine(f, data, string(reason)); err != nil && !errors.Is(err, pipe.ErrGone) && !errors.Is(err, pipe.ErrChanged) {
		r.n.opt.Log.Warn().Err(err).Str("file", f.Name.String()).Msg("cannot set a file aside")
	}
}

// refusedAction says what becomes of a refused file.
func refusedAction(reason seal.Reason) string {
	if reason == seal.Truncated {
		return "cut in its first line, so nothing shows who wrote it; wait for it to be sent again"
	}
	return "set aside; hoft inspect explains it"
}

// hand gives what was verified to the loop; token nil: the file is not to be consumed yet.
func (r *reader) hand(ctx context.Context, f pipe.File, in link.File, token any) {
	peer := f.Name.Sender
	select {
	case r.n.events <- func(now time.Time) { r.n.core.Inbound(now, peer, in, token) }:
	case <-ctx.Done():
		r.n.opt.Pipe.Again(f)
	}
}

func (r *reader) count(peer identity.ID, fn func(*FileStats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.files[peer]; s != nil {
		fn(s)
	}
}

func (r *reader) stats() map[identity.ID]FileStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[identity.ID]FileStats{}
	for id, s := range r.files {
		c := *s
		c.Refused = maps.Clone(s.Refused)
		out[id] = c
	}
	return out
}

// quiet lets one line per peer and reason into the log each minute: whoever can write into the folder
// must not be able to fill the disk with messages.
type quiet map[quietKey]*quietCount

type quietKey struct {
	peer   identity.ID
	reason seal.Reason
}

type quietCount struct {
	last       time.Time
	suppressed int
}

const quietFor = time.Minute

// allow says whether to log now, and how many lines were held back since the last one.
func (q quiet) allow(peer identity.ID, reason seal.Reason, now time.Time) (suppressed int, ok bool) {
	c := q[quietKey{peer, reason}]
	if c == nil {
		q[quietKey{peer, reason}] = &quietCount{last: now}
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
