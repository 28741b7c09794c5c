package pipe

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

const (
	// maxTracked bounds the names of one peer that are remembered (about 150 bytes each). An honest peer has
	// at most pipe.max_files at once; only a flood, or a kept inbox full of cut files, comes near.
	maxTracked = 1 << 17
	// maxWhole bounds the runs of numbers of one peer's files that were handled whole and stay. In a kept inbox that nobody
	// cleans there are as many files as there ever were, and a gap for each that was lost.
	maxWhole = 1 << 15
	// maxGone bounds the removed names of one peer that are remembered to notice that they come back.
	maxGone = 4096
	// calmFirst and calmMax space out the reports of a file that keeps growing, so that reading it again and
	// again stays cheap: the second change waits calmFirst, each further one twice as long.
	calmFirst = 10 * time.Millisecond
	calmMax   = time.Second
)

// tracker decides which files of a listing are worth reporting. It does no I/O and takes the time from its caller.
type tracker struct {
	mu     sync.Mutex
	o      *Options
	peers  map[identity.ID]*peerFiles
	settle time.Duration
	now    time.Time // of the last scan
	gen    uint64    // of the last scan
	skips  map[Reason]int

	reappeared, reported, scans uint64
	kept                        int // how many files stay, were handled whole, and were in the last whole listing
}

// peerFiles is what is known of one sender's files.
type peerFiles struct {
	files map[fileKey]*entry
	whole map[frame.Ext]*kept
	gone  map[fileKey]int64 // removed names and their size then
	order []fileKey         // of gone, a ring once it is full
	next  int

	budgetFiles int // left in this scan
	budgetBytes int64
}

// kept are the numbers of files that were handled whole and stay. They are not looked at again while they are listed.
type kept struct {
	frame.Ranges
	listed []uint64 // by the scan under way
}

type fileKey struct {
	seq uint64
	ext frame.Ext
}

type state uint8

const (
	statePending  state = iota // reported; to be reported when it changes or settles
	stateAgain                 // to be reported again at retry
	stateWhole                 // handled whole and kept: not looked at again; an entry only while peerFiles.whole is full
	stateKept                  // handled and kept, but maybe cut: reported when it changes
	stateDropping              // its removal failed and is due again at retry
)

type entry struct {
	mark    mark
	since   time.Time // first seen with this mark
	last    time.Time // last reported
	retry   time.Time
	gen     uint64
	changes uint8
	state   state
	settled bool
}

func newTracker(o *Options) *tracker {
	t := &tracker{o: o, peers: map[identity.ID]*peerFiles{}, settle: o.Settle, skips: map[Reason]int{}}
	for _, id := range o.Peers {
		t.peers[id] = &peerFiles{files: map[fileKey]*entry{}, whole: map[frame.Ext]*kept{}, gone: map[fileKey]int64{}}
	}
	return t
}

// survey is one scan under way.
type survey struct {
	t     *tracker
	now   time.Time
	skips map[Reason]int
	found []File
	more  bool // a budget ran out
	left  int  // peers with budget
}

func (t *tracker) begin(now time.Time) *survey {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = now
	t.gen++
	t.scans++
	for _, p := range t.peers {
		p.budgetFiles, p.budgetBytes = t.o.ScanFiles, t.o.ScanBytes
		for _, w := range p.whole {
			w.listed = w.listed[:0]
		}
	}
	return &survey{t: t, now: now, skips: map[Reason]int{}, left: len(t.peers)}
}

func (s *survey) skip(r Reason) { s.skips[r]++ }

// step says what the scan has to do about a name.
type step uint8

const (
	stepSkip step = iota
	stepLook      // describe the file and call see
	stepDrop      // try again to remove it
)

// known notes that a peer's name is in the listing and says whether the file needs a look.
func (s *survey) known(n frame.Name) step {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	p := s.t.peers[n.Sender]
	if p == nil {
		return stepSkip
	}
	if w := p.whole[n.Ext]; w != nil && w.Contains(n.Seq) {
		w.listed = append(w.listed, n.Seq)
		return stepSkip
	}
	e := p.files[fileKey{n.Seq, n.Ext}]
	if e == nil {
		return stepLook
	}
	e.gen = s.t.gen
	switch e.state {
	case stateWhole:
		return stepSkip
	case stateDropping:
		if s.now.Before(e.retry) {
			return stepSkip
		}
		return stepDrop
	}
	return stepLook
}

// see takes in how a file looks now and reports it where there is news and budget.
func (s *survey) see(n frame.Name, m mark, mtime time.Time) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	p, key := s.t.peers[n.Sender], fileKey{n.Seq, n.Ext}
	e := p.files[key]
	if e == nil {
		s.seeNew(p, n, m, mtime)
		return
	}
	changed := m != e.mark
	due := changed && !s.now.Before(e.last.Add(e.calm())) ||
		!changed && e.state == statePending && !e.settled && s.now.Sub(e.since) >= s.t.settle ||
		!changed && e.state == stateAgain && !s.now.Before(e.retry)
	if !due || !s.spend(p, m.size) {
		return
	}
	if changed {
		// Something that looked settled was still being written: the mover pauses longer than settle.
		if e.settled && m.size > e.mark.size {
			s.t.slower()
		}
		e.mark, e.since, e.settled = m, s.now, false
		e.changes = min(e.changes+1, 16)
	}
	e.state = statePending
	e.settled = e.settled || s.now.Sub(e.since) >= s.t.settle
	s.report(n, e, mtime)
}

func (s *survey) seeNew(p *peerFiles, n frame.Name, m mark, mtime time.Time) {
	if len(p.files) >= maxTracked {
		s.skip(SkipOverflow)
		return
	}
	if !s.spend(p, m.size) {
		return
	}
	key := fileKey{n.Seq, n.Ext}
	e := &entry{mark: m, since: s.now, gen: s.t.gen}
	p.files[key] = e
	if size, ok := p.gone[key]; ok {
		s.t.reappeared++
		// The same size is a repeated delivery. Another size says that what was removed was not all of it yet.
		if size != m.size {
			s.t.slower()
		}
	}
	s.report(n, e, mtime)
}

func (s *survey) report(n frame.Name, e *entry, mtime time.Time) {
	e.last = s.now
	s.t.reported++
	s.found = append(s.found, File{Name: n, Size: e.mark.size, ModTime: mtime, Settled: e.settled, mark: e.mark})
}

// spend takes a file from the peer's budget; the first file of a scan always fits.
func (s *survey) spend(p *peerFiles, size int64) bool {
	if p.budgetFiles <= 0 || size > p.budgetBytes && p.budgetFiles < s.t.o.ScanFiles {
		if p.budgetFiles > 0 {
			p.budgetFiles = 0
			s.left--
		}
		s.more = true
		return false
	}
	p.budgetBytes -= size
	if p.budgetFiles--; p.budgetFiles == 0 {
		s.left--
	}
	return true
}

// spent says that no peer has budget left and more is there, so the listing need not go on.
func (s *survey) spent() bool { return s.more && s.left <= 0 }

// end closes the scan; a complete one forgets what is no longer in the folder. Files come by peer and number.
func (s *survey) end(complete bool) []File {
	t := s.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if complete {
		t.skips, t.kept = s.skips, 0
		for _, p := range t.peers {
			for _, w := range p.whole {
				t.kept += w.settle()
			}
			for key, e := range p.files {
				if e.gen != t.gen {
					delete(p.files, key)
				}
			}
		}
	}
	slices.SortFunc(s.found, func(a, b File) int {
		return cmp.Or(slices.Compare(a.Name.Sender[:], b.Name.Sender[:]), cmp.Compare(a.Name.Seq, b.Name.Seq), cmp.Compare(a.Name.Ext, b.Name.Ext))
	})
	return s.found
}

// calm is how long after its last report a changed file waits before it is reported again.
func (e *entry) calm() time.Duration {
	if e.changes == 0 {
		return 0
	}
	return min(calmFirst<<(e.changes-1), calmMax)
}

// slower doubles the settle time. Called with the lock held.
func (t *tracker) slower() { t.settle = min(2*t.settle, max(MaxSettle, t.o.Settle)) }

// set records what the caller made of f, unless the file has been reported anew since.
func (t *tracker) set(f File, s state, after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(f.Name)
	if e == nil || e.mark != f.mark {
		return
	}
	e.state, e.retry = s, t.now.Add(after)
	if s == stateWhole {
		t.peers[f.Name.Sender].stays(fileKey{f.Name.Seq, f.Name.Ext}, e.gen == t.gen)
	}
}

// stays remembers a file by its number alone, unless there are too many gaps for that. listed: the scan that began last
// has met it already.
func (p *peerFiles) stays(key fileKey, listed bool) {
	w := p.whole[key.ext]
	if w == nil {
		w = &kept{}
		p.whole[key.ext] = w
	}
	if len(w.Ranges) >= maxWhole {
		return
	}
	w.Add(key.seq, key.seq)
	if listed {
		w.listed = append(w.listed, key.seq)
	}
	delete(p.files, key)
}

// settle forgets what a whole listing did not show, and gives how many files are left.
func (w *kept) settle() int {
	if uint64(len(w.listed)) < w.Count() {
		slices.Sort(w.listed)
		w.Ranges = w.Ranges[:0]
		for _, n := range w.listed {
			w.Add(n, n)
		}
	}
	return len(w.listed)
}

// removed forgets a file that was taken out of the inbox, but remembers its name for a while.
func (t *tracker) removed(f File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, key := t.peers[f.Name.Sender], fileKey{f.Name.Seq, f.Name.Ext}
	if p == nil {
		return
	}
	delete(p.files, key)
	if _, ok := p.gone[key]; !ok {
		if len(p.order) < maxGone {
			p.order = append(p.order, key)
		} else {
			delete(p.gone, p.order[p.next])
			p.order[p.next] = key
			p.next = (p.next + 1) % maxGone
		}
	}
	p.gone[key] = f.mark.size
}

func (t *tracker) entry(n frame.Name) *entry {
	if p := t.peers[n.Sender]; p != nil {
		return p.files[fileKey{n.Seq, n.Ext}]
	}
	return nil
}

// stuck has a removal that failed tried again after the settle time.
func (t *tracker) stuck(f File) {
	_, settle := t.clock()
	t.set(f, stateDropping, settle)
}

// pendingRemoval gives the file that a failed removal was about.
func (t *tracker) pendingRemoval(n frame.Name) (File, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(n)
	if e == nil || e.state != stateDropping {
		return File{}, false
	}
	return File{Name: n, Size: e.mark.size, Settled: e.settled, mark: e.mark}, true
}

// clock gives the time of the last scan and the settle time now.
func (t *tracker) clock() (time.Time, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now, t.settle
}

// fill adds what the tracker counts to st.
func (t *tracker) fill(st *Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st.Skipped = make(map[Reason]int, len(t.skips))
	for r, n := range t.skips {
		st.Skipped[r] = n
	}
	st.Tracked = t.kept
	for _, p := range t.peers {
		st.Tracked += len(p.files)
		for _, e := range p.files {
			switch e.state {
			case statePending, stateAgain:
				st.Waiting++
			case stateDropping:
				st.Stuck++
			}
		}
	}
	st.Reappeared, st.Reported, st.Scans, st.Settle = t.reappeared, t.reported, t.scans, t.settle
}
