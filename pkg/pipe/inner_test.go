package pipe

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

var siteA, siteB = identity.ID{1}, identity.ID{2}

func openInner(t testing.TB) *Dir {
	t.Helper()
	dir := t.TempDir()
	d, err := OpenDir(Options{Self: siteA, Peers: []identity.ID{siteB}, Outbox: filepath.Join(dir, "out"), Inbox: filepath.Join(dir, "in")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func nameTo(seq uint64, ext frame.Ext) frame.Name {
	return frame.Name{Recipient: siteB, Sender: siteA, Seq: seq, Ext: ext}
}

// TestPlainRename takes the way of file systems that know no exclusive rename.
func TestPlainRename(t *testing.T) {
	d := openInner(t)
	f, err := d.outbox[siteB].get(true)
	if err != nil {
		t.Fatal(err)
	}
	f.plainRename.Store(true)
	n := nameTo(1, frame.ExtFrame)
	if err := d.Put(t.Context(), n, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), n, []byte("y")); !errors.Is(err, ErrExists) {
		t.Fatalf("second put: %v", err)
	}
}

// TestRenameThatSeemedToFail tells one that was made from one that was not, and from a name that is taken.
func TestRenameThatSeemedToFail(t *testing.T) {
	d := openInner(t)
	f, err := d.outbox[siteB].get(true)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string) {
		if err := writeNew(f.root, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if renamed(f, "part", f, "file") {
		t.Error("neither name is there")
	}
	write("part")
	if renamed(f, "part", f, "file") {
		t.Error("not renamed")
	}
	write("file")
	if renamed(f, "part", f, "file") {
		t.Error("the name was taken before")
	}
	if err := f.root.Remove("part"); err != nil {
		t.Fatal(err)
	}
	if !renamed(f, "part", f, "file") {
		t.Error("it was renamed")
	}
}

func TestNoSpace(t *testing.T) {
	d := openInner(t)
	now := time.Now()
	d.space.now = func() time.Time { return now } // a reading stays fresh for as long as this test takes
	full := func(free uint64) {                   // of 1000 MiB in all, so 100 MiB are kept free
		d.space.read, d.space.known = now, true
		d.space.free.Store(free)
		d.space.total.Store(1000 << 20)
	}
	admit := func(size int64) error {
		f, err := d.outbox[siteB].get(true)
		if err != nil {
			t.Fatal(err)
		}
		return d.space.admit(f, size)
	}
	full(101 << 20)
	if err := admit(1 << 20); err != nil {
		t.Fatal(err)
	}
	if err := admit(1 << 20); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("second MiB: %v", err)
	}
	if err := admit(4096); err != nil {
		t.Fatalf("an ack must fit: %v", err)
	}
	full(50 << 20)
	if err := admit(4096); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("below half of the reserve: %v", err)
	}
	d.space.read = time.Time{} // stale: the real file system is asked
	if err := admit(1); err != nil && !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	if d.space.total.Load() == 1000<<20 {
		t.Fatal("a stale reading was used")
	}
}

// TestStatsOfAShareThatHangs: what an operator asks for must not hang with it.
func TestStatsOfAShareThatHangs(t *testing.T) {
	asked, hangs := make(chan struct{}), make(chan struct{})
	real := FreeSpace
	t.Cleanup(func() { FreeSpace = real })
	FreeSpace = func(*os.File) (free, total uint64, ok bool) {
		close(asked)
		<-hangs
		return 5, 7, true
	}
	d := openInner(t)
	scanned := make(chan struct{})
	go func() {
		defer close(scanned)
		_, _ = d.Scan(time.Now())
	}()
	<-asked
	if st := d.Stats(); st.TotalBytes != 0 {
		t.Errorf("%+v", st)
	}
	close(hangs)
	<-scanned
	if st := d.Stats(); st.FreeBytes != 5 || st.TotalBytes != 7 {
		t.Errorf("%+v", st)
	}
}

// TestTrackedBound floods a tracker with names of one peer.
func TestTrackedBound(t *testing.T) {
	o, err := Options{Self: siteA, Peers: []identity.ID{siteB}, ScanFiles: maxTracked * 2}.checked()
	if err != nil {
		t.Fatal(err)
	}
	tr := newTracker(&o)
	s := tr.begin(time.Unix(0, 0))
	for seq := range uint64(maxTracked + 10) {
		n := frame.Name{Recipient: siteA, Sender: siteB, Seq: seq, Ext: frame.ExtFrame}
		if s.known(n) == stepLook {
			s.see(n, mark{size: 1}, time.Time{})
		}
	}
	if files := s.end(true); len(files) != maxTracked || s.skips[SkipOverflow] != 10 {
		t.Fatalf("%d files, %v", len(files), s.skips)
	}
	for seq := range uint64(maxGone + 100) {
		tr.removed(File{Name: frame.Name{Recipient: siteA, Sender: siteB, Seq: seq, Ext: frame.ExtFrame}})
	}
	if p := tr.peers[siteB]; len(p.gone) != maxGone || len(p.order) != maxGone {
		t.Fatalf("%d removed names remembered", len(p.gone))
	}
}

func TestPacer(t *testing.T) {
	p := newPacer(10*time.Millisecond, time.Hour)
	for range 60 {
		p.elapsed()
	}
	if p.current() != time.Hour {
		t.Fatalf("idle interval %v", p.current())
	}
	p.scanned(true, false, 0)
	if p.current() != 10*time.Millisecond {
		t.Fatalf("busy interval %v", p.current())
	}
	p.scanned(false, false, time.Hour) // a dear scan: the next waits an hour, even when poked
	p.poke()
	select {
	case <-p.hints:
		t.Fatal("a hint right after a dear scan")
	default:
	}
	if wait := p.due(time.Now()); wait <= 0 || wait > time.Hour {
		t.Fatalf("due in %v", wait)
	}
	p.scanned(false, true, 0) // files left over come at once
	select {
	case <-p.hints:
	default:
		t.Fatal("no hint for a backlog")
	}
}

// TestKeptFilesCostNoNames has an inbox that nobody cleans: more files stay than names are remembered, and new ones are
// still seen, as are those that go and come again.
func TestKeptFilesCostNoNames(t *testing.T) {
	o := Options{Self: siteB, Peers: []identity.ID{siteA}, ScanFiles: 1 << 30, ScanBytes: 1 << 60}
	tr := newTracker(&o)
	now := time.Unix(1e9, 0)
	scan := func(during func(n frame.Name), seqs ...uint64) []File {
		now = now.Add(time.Second)
		s := tr.begin(now)
		for _, seq := range seqs {
			n := nameTo(seq, frame.ExtFrame)
			if s.known(n) == stepLook {
				s.see(n, mark{size: 1}, now)
			}
			if during != nil {
				during(n)
			}
		}
		return s.end(true)
	}
	handle := func(n frame.Name) { tr.set(File{Name: n, mark: mark{size: 1}}, stateWhole, 0) }
	var all []uint64
	for seq := range uint64(maxTracked + 1000) {
		if seq%100 != 0 { // some are lost on their way
			all = append(all, seq)
		}
	}
	if got := scan(handle, all...); len(got) != len(all) { // handled while the scan goes on
		t.Fatalf("%d files found, want %d", len(got), len(all))
	}
	p := tr.peers[siteA]
	if got := scan(nil, all...); len(got) != 0 || len(p.files) != 0 {
		t.Fatalf("%d files reported again, %d names remembered", len(got), len(p.files))
	}
	next := uint64(1 << 20)
	if got := scan(nil, append(all, next)...); len(got) != 1 || got[0].Name.Seq != next {
		t.Fatalf("found %v, want the new file", got)
	}
	handle(nameTo(next, frame.ExtFrame))
	var st Stats
	if tr.fill(&st); st.Tracked != len(all) || st.Skipped[SkipOverflow] != 0 {
		t.Fatalf("stats %+v after %d files", st, len(all))
	}
	if got := scan(nil, all[:5]...); len(got) != 0 { // the others were taken away
		t.Fatalf("found %v", got)
	}
	if got := scan(nil, all[:6]...); len(got) != 1 || got[0].Name.Seq != all[5] {
		t.Fatalf("found %v, want the one that came again", got)
	}
}
