package node

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"

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

// Reader opens what scans of the inbox find and says what becomes of each file. A Node runs one beside its
// loop; a simulation runs one between its events. File is for one goroutine at a time.
type Reader struct {
	pipe   Pipe
	opener Opener
	packs  bool // packs are looked at
	names  map[identity.ID]string
	log    zerolog.Logger
	marks  map[frame.Name]seal.Mark // of files that are not complete yet
	quiet  *quiet

	mu      sync.Mutex
	scanErr error // of the last scan
	files   map[identity.ID]*FileStats
}

// Hand gives what was verified of a file to the loop; a nil token says that the file is not to be consumed yet.
// False says that the loop takes nothing any more.
type Hand func(peer identity.ID, in link.File, token any) bool

// maxMarks bounds the memory for incomplete files; beyond it they are opened from their beginning again.
const maxMarks = 4096

// NewReader makes a reader for the peers, opener and pipe of opt.
func NewReader(opt Options) *Reader {
	r := &Reader{pipe: opt.Pipe, opener: opt.Opener, packs: opt.Chunks != nil, names: map[identity.ID]string{}, log: opt.Log, marks: map[frame.Name]seal.Mark{},
		quiet: newQuiet(), files: map[identity.ID]*FileStats{}}
	for _, p := range opt.Peers {
		r.names[p.ID] = p.Name
		r.files[p.ID] = &FileStats{Refused: map[seal.Reason]uint64{}}
	}
	return r
}

// read scans and reads until ctx ends.
func (n *Node) read(ctx context.Context) {
	hand := func(peer identity.ID, in link.File, token any) bool {
		select {
		case n.events <- func(now time.Time) { n.core.Inbound(now, peer, in, token) }:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for first := true; ; first = false {
		files, err := n.opt.Pipe.Scan(time.Now())
		n.reader.noteScan(time.Now(), err)
		for _, f := range files {
			if ctx.Err() != nil {
				return
			}
			n.reader.File(time.Now(), f, hand)
		}
		if first {
			close(n.ready)
		}
		select {
		case <-n.opt.Pipe.Hints():
		case <-ctx.Done():
			return
		}
	}
}

func (r *Reader) noteScan(now time.Time, err error) {
	r.mu.Lock()
	r.scanErr = err
	r.mu.Unlock()
	if err != nil {
		r.quiet.trouble(r.log.Error, now, "", "cannot scan the inbox; trying again", err)
	}
}

// File opens one file, hands on what is good in it and says what becomes of it.
func (r *Reader) File(now time.Time, f pipe.File, hand Hand) {
	if f.Name.Ext == frame.ExtPack {
		if !r.packs {
			r.pipe.Done(f) // nothing can be done with it here
		} else if !hand(f.Name.Sender, link.File{Seq: f.Name.Seq, Size: f.Size, Pack: true, Cut: f.Settled}, f) {
			r.pipe.Again(f)
		}
		return
	}
	data, err := r.pipe.Read(f)
	if err != nil {
		delete(r.marks, f.Name)
		if !errors.Is(err, pipe.ErrGone) && !errors.Is(err, pipe.ErrChanged) {
			r.quiet.trouble(r.log.Warn, now, f.Name.String(), "cannot read a file of the inbox", err)
		}
		return
	}
	res := r.opener.File(f.Name, data, r.marks[f.Name])
	delete(r.marks, f.Name)
	in := link.File{Seq: f.Name.Seq, Size: int64(len(data)), Lines: res.Lines, Whole: res.Whole}
	var token any
	switch {
	case res.Whole:
		r.count(f.Name.Sender, func(s *FileStats) { s.OK++; s.RefusedRun = 0 })
		token = f
	case !f.Settled:
		if len(r.marks) >= maxMarks {
			clear(r.marks)
		}
		r.marks[f.Name] = res.Mark
		r.pipe.Pending(f)
		if len(in.Lines) == 0 {
			return
		}
	case len(res.Seen) == 0:
		r.refuse(now, f, data, res)
		return
	default:
		r.count(f.Name.Sender, func(s *FileStats) { s.Truncated++; s.RefusedRun = 0 })
		r.log.Debug().Str("peer", r.names[f.Name.Sender]).Str("file", f.Name.String()).Int("have", len(data)).
			Str("action", "good lines used; the rest is sent again").Msg("file truncated")
		in.Cut, token = true, f
	}
	if !hand(f.Name.Sender, in, token) {
		r.pipe.Again(f)
	}
}

// refuse sets a file aside of which nothing is known to come from its sender. Nobody is told.
func (r *Reader) refuse(now time.Time, f pipe.File, data []byte, res seal.Result) {
	reason := seal.Truncated
	if res.Err != nil {
		reason = res.Err.Reason
	}
	r.count(f.Name.Sender, func(s *FileStats) { s.refuse(reason) })
	if n, ok := r.quiet.allow(f.Name.Sender, string(reason), now); ok {
		r.log.Warn().Str("peer", r.names[f.Name.Sender]).Str("file", f.Name.String()).Str("reason", string(reason)).
			Int("like_this_before", n).Str("action", refusedAction(reason)).Msg("file refused")
	}
	if err := r.pipe.Quarantine(f, data, string(reason)); err != nil && !errors.Is(err, pipe.ErrGone) && !errors.Is(err, pipe.ErrChanged) {
		r.quiet.trouble(r.log.Warn, now, f.Name.String(), "cannot set a file aside", err)
	}
}

// refusedAction says what becomes of a refused file.
func refusedAction(reason seal.Reason) string {
	switch reason {
	case seal.Mode:
		return "set aside; both sites must have the same peers[].seal for each other"
	case seal.Truncated:
		return "cut in its first line, so nothing shows who wrote it; wait for it to be sent again"
	}
	return "set aside; hoft inspect explains it"
}

func (r *Reader) count(peer identity.ID, fn func(*FileStats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.files[peer]; s != nil {
		fn(s)
	}
}

// Stats tells what was made of the files since start, by peer. Safe for concurrent use.
func (r *Reader) Stats() map[identity.ID]FileStats {
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
