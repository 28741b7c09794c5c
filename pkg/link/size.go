package link

import (
	"math"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

const (
	// sizeFloor is the size in bytes that is taken for safe on any pipe: nothing is learned below it.
	sizeFloor = 256 << 10
	// sizeStart is what is tried first, and the most for frames whatever was learned.
	sizeStart = frame.MaxFile
	// sizeMargin is the share of a size at which files were cut that is left unused.
	sizeMargin = 64
	// sizeRetry is how long a limit is believed before a larger file is tried again.
	sizeRetry = 24 * time.Hour
	// growAfter is how many files near the safe size must come whole before it grows beyond a single cut.
	growAfter = 8
	// cutsInRow is how many cuts in a row say that files of a size that once came whole do so no more.
	cutsInRow = 4
	// vanishFiles is how many files of either class must be decided, vanishRatio how many times as often large ones
	// must vanish, before absence says something about size.
	vanishFiles = 20
	vanishRatio = 4
	// expansion is by how much a file is longer than its messages, until it was measured: base64 twice, and the lines.
	expansion = 1.85
	// frameExtra is what a frame has beside its messages: the claims of the first and last line.
	frameExtra = 8 << 10
)

// Learned is what a link remembers of its pipe over restarts.
type Learned struct {
	Pipe  string    `json:"pipe"`           // which one
	Safe  int64     `json:"safe"`           // bytes: files up to this size are written
	Limit int64     `json:"limit,omitzero"` // bytes: where the pipe cuts, or swallows, files; 0: not known
	Until time.Time `json:"until,omitzero"` // how long that is believed
	Takes bool      `json:"takes,omitzero"` // files leave the outbox by themselves
}

// sizes learns how large a file the pipe carries whole: from where files are cut, and from large ones that vanish
// more often than small ones. Many pipes cut at random; what tells a limit from an accident is that the same place
// comes twice, and that nothing larger comes whole.
type sizes struct {
	safe, floor, most int64
	limit             int64
	until             time.Time
	lastCut           int64     // where the newest cut was
	proven            int64     // largest that came whole
	cuts              int       // of files no larger than that, with nothing so large coming whole between them
	near              int       // files near the safe size that came whole in a row
	biggest           int64     // written since large ones were last found to vanish
	recent            [64]sized // newest files above the floor: cut ones are reported late
	next              int
	large, small      tally
	ratio             float64 // size of a file by that of its messages
}

// sized is a file whose size may teach something.
type sized struct {
	seq  uint64
	size int64
	fate fate
}

// fate is what became of a file, as far as it is known.
type fate uint8

const (
	fateOpen fate = iota
	fateLost
	fateWhole
	fateCut
)

// tally counts files whose fate is known.
type tally struct{ all, lost int }

func newSizes(c Config, had Learned) sizes {
	s := sizes{floor: min(sizeFloor, c.MaxFile), most: c.MaxFile, ratio: expansion}
	s.safe = min(sizeStart, s.most)
	if had.Pipe == c.Pipe && had.Safe > 0 {
		s.safe = min(max(had.Safe, s.floor), s.most)
		s.limit, s.until = had.Limit, had.Until
	}
	return s
}

// learned gives what is to be remembered.
func (s *sizes) learned(pipe string) Learned {
	return Learned{Pipe: pipe, Safe: s.safe, Limit: s.limit, Until: s.until}
}

// wrote notes a file's size, and by how much it is longer than its messages.
func (s *sizes) wrote(seq uint64, size int64, messages int) {
	s.biggest = max(s.biggest, size)
	if size > s.floor {
		s.recent[s.next] = sized{seq: seq, size: size}
		s.next = (s.next + 1) % len(s.recent)
	}
	if messages >= frame.LineTarget {
		s.ratio = max(float64(size)/float64(messages), 1)
	}
}

// heard takes in what the peer says of files that it handled whole, and of those that came cut.
func (s *sizes) heard(now time.Time, seen frame.Ranges, cuts []frame.Cut) {
	for i := range s.recent {
		if f := &s.recent[i]; f.fate < fateWhole && seen.Contains(f.seq) {
			s.uncount(f)
			f.fate = fateWhole
			s.whole(now, f.size)
		}
	}
	for _, c := range cuts {
		for i := range s.recent {
			if f := &s.recent[i]; f.seq == c[0] && f.fate < fateWhole && int64(c[1]) < f.size {
				s.uncount(f)
				f.fate = fateCut
				s.cut(now, f.size, int64(c[1]))
			}
		}
	}
}

// uncount takes back that a file vanished: it came after all.
func (s *sizes) uncount(f *sized) {
	if t := s.class(f.size); f.fate == fateLost && t.lost > 0 {
		t.lost--
		t.all--
	}
}

// whole notes a file that came whole; near the safe size it lets that grow.
func (s *sizes) whole(now time.Time, size int64) {
	s.proven = max(s.proven, size)
	if size > s.lastCut {
		s.cuts = 0
	}
	if s.limit != 0 && size > s.limit+s.limit/8 {
		s.limit, s.lastCut = 0, 0 // it was lifted
	}
	s.count(size, false)
	if size < s.safe-s.safe/4 || s.safe >= s.most {
		return
	}
	s.near++
	switch {
	case s.limit == 0 && s.lastCut == 0:
	case s.limit == 0 && s.near >= growAfter:
	case s.limit != 0 && !now.Before(s.until): // it may have been lifted
	default:
		return
	}
	s.near = 0
	s.safe = min(s.safe*2, s.most)
}

// cut notes that of size bytes only the first came bytes arrived.
func (s *sizes) cut(now time.Time, size, came int64) {
	again := came == s.lastCut
	s.lastCut = came
	if again { // that much comes, and no more
		s.limit, s.until, s.proven = came, now.Add(sizeRetry), 0
		s.safe = s.most
	} else if size <= s.proven {
		if s.cuts++; s.cuts < cutsInRow {
			return // as large ones came whole: an accident
		}
		s.proven = 0
	}
	s.cuts = 0
	s.shrink(max(came-came/sizeMargin, s.proven))
}

// vanished notes a file that was given up.
func (s *sizes) vanished(now time.Time, seq uint64, size int64) {
	for i := range s.recent {
		if f := &s.recent[i]; f.seq == seq && f.fate == fateOpen {
			f.fate = fateLost
		}
	}
	s.count(size, true)
	l, m := s.large, s.small
	if l.all < vanishFiles || m.all < vanishFiles {
		return
	}
	s.large, s.small = tally{}, tally{}
	if 2*l.lost < l.all || l.lost*m.all < vanishRatio*m.lost*l.all {
		return // a limit would stop most of them
	}
	s.limit, s.until, s.proven = s.biggest/2, now.Add(sizeRetry), 0
	s.shrink(s.limit - s.limit/sizeMargin)
	s.biggest = 0
}

// class: large is what is above half of the largest, and could be smaller.
func (s *sizes) class(size int64) *tally {
	if size > max(s.biggest/2, s.floor) {
		return &s.large
	}
	return &s.small
}

// count adds a file whose fate is known.
func (s *sizes) count(size int64, lost bool) {
	t := s.class(size)
	t.all++
	if lost {
		t.lost++
	}
	const enough = 8 * vanishFiles // what is long ago counts less
	if t.all >= enough {
		t.all, t.lost = t.all/2, t.lost/2
	}
}

func (s *sizes) shrink(to int64) {
	s.safe, s.near = max(min(s.safe, to), s.floor), 0
}

// SafeSize is the largest file in bytes that is written now, and where the pipe was found to cut files or to swallow
// them, 0 where it was not.
func (l *Link) SafeSize() (safe, limit int64) { return l.size.safe, l.size.limit }

// frameBytes is how many bytes of messages the next frame may hold.
func (l *Link) frameBytes() int {
	size := min(l.size.safe, sizeStart)
	if l.loss.backoff >= blackHole {
		// Nothing comes back. Files of this size may all vanish (RFC 8899 section 4.3).
		size = l.size.floor
	}
	n := float64(size)/l.size.ratio - frameExtra
	return min(l.cfg.FrameBytes, int(min(n, math.MaxInt32)))
}

const (
	// blackHole is from how many timeouts in a row files are kept to the floor.
	blackHole = 2
	// smallFrame is the bytes of messages in a frame while writing fails: sealed it is below 64 KiB.
	smallFrame = 24 << 10
)
