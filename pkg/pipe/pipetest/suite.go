// Package pipetest holds the conformance suite that every pipe passes.
package pipetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
)

// Pipe is what a pipe can do.
type Pipe interface {
	Check() error
	Put(ctx context.Context, n frame.Name, chunks ...[]byte) error
	PutStream(ctx context.Context, n frame.Name, size int64, fill func(io.Writer) error) error
	Open(f pipe.File) (pipe.Content, error)
	RemoveOwn(n frame.Name) (bool, error)
	ListOwn(peer identity.ID) ([]pipe.Entry, error)
	Scan(now time.Time) ([]pipe.File, error)
	Read(f pipe.File) ([]byte, error)
	Remove(f pipe.File) error
	Done(f pipe.File)
	Pending(f pipe.File)
	Again(f pipe.File)
	Quarantine(f pipe.File, data []byte, reason string) error
	Hints() <-chan struct{}
	Run(ctx context.Context) error
	Stats() pipe.Stats
	Close() error
}

var (
	_ Pipe = (*pipe.Dir)(nil)
	_ Pipe = (*pipe.Mem)(nil)
)

// Share is a folder as a mover or another tenant handles it. Paths are relative and slash-separated; a failure
// ends the test.
type Share interface {
	Write(path string, data []byte) // creates or rewrites in place
	Read(path string) ([]byte, bool)
	Remove(path string) bool
	Paths() []string // of all files, sorted
}

// Opener opens the pipes under test on shares that it makes.
type Opener interface {
	NewShare(t *testing.T) Share
	// Open opens a pipe on shares of this opener; the test closes it. The folder paths in o are the opener's to set.
	Open(t *testing.T, o pipe.Options, outbox, inbox Share) Pipe
	// Quarantined gives the content of the files that the pipe set aside, oldest first.
	Quarantined(t *testing.T, p Pipe) [][]byte
}

// The sites of the suite.
var (
	A        = identity.ID{0xaa, 1}
	B        = identity.ID{0xbb, 2}
	C        = identity.ID{0xcc, 3}
	Stranger = identity.ID{0xee, 9}
)

// Name gives the name of a frame from one site to another.
func Name(from, to identity.ID, seq uint64) frame.Name {
	return frame.Name{Recipient: to, Sender: from, Seq: seq, Ext: frame.ExtFrame}
}

// Path gives the path of a file in a share of nested layout.
func Path(n frame.Name) string { return path.Join(n.Recipient.String(), n.String()) }

// T0 is the time at which the suite's scans begin.
var T0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Run runs the suite.
func Run(t *testing.T, o Opener) {
	for name, test := range map[string]func(*testing.T, *rig){
		"put then scan, read, remove":           testRoundTrip,
		"put never overwrites":                  testPutExists,
		"put refuses what is not ours":          testPutForeign,
		"put ended by its context":              testPutContext,
		"own files are listed and removed":      testOwn,
		"only own files are removed":            testOwnForeign,
		"other tenants' names are only counted": testForeignNames,
		"report once, on change, when settled":  testReports,
		"a growing file is reported ever rarer": testCalm,
		"again":                                 testAgain,
		"done stays and is not reported":        testDone,
		"remove leaves a changed file":          testRemoveChanged,
		"vanished file":                         testGone,
		"reappeared file":                       testReappeared,
		"settle is learned":                     testSettleLearned,
		"settle is capped":                      testSettleCap,
		"keep leaves and remembers":             testKeep,
		"budget of files":                       testBudgetFiles,
		"budget of bytes":                       testBudgetBytes,
		"too large":                             testTooLarge,
		"order by peer and number":              testOrder,
		"quarantine":                            testQuarantine,
		"quarantine is bounded":                 testQuarantineBounds,
		"flat layout with suffix":               testFlatSuffix,
		"one shared folder":                     testSharedFolder,
		"hints":                                 testHints,
		"streams":                               testStream,
		"streams that fail leave nothing":       testStreamFails,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, &rig{t: t, o: o, out: o.NewShare(t), in: o.NewShare(t), now: T0})
		})
	}
}

// rig is site B under test, with A and C as peers, and the hands of the mover.
type rig struct {
	t       *testing.T
	o       Opener
	out, in Share
	now     time.Time
}

func (r *rig) options() pipe.Options {
	return pipe.Options{Self: B, Peers: []identity.ID{A, C}}
}

func (r *rig) open(change func(*pipe.Options)) Pipe {
	r.t.Helper()
	o := r.options()
	if change != nil {
		change(&o)
	}
	p := r.o.Open(r.t, o, r.out, r.in)
	r.t.Cleanup(func() {
		if err := p.Close(); err != nil {
			r.t.Errorf("close: %v", err)
		}
	})
	return p
}

// arrive writes a file for B into its inbox as a mover does.
func (r *rig) arrive(from identity.ID, seq uint64, data string) frame.Name {
	n := Name(from, B, seq)
	r.in.Write(Path(n), []byte(data))
	return n
}

// scan lets d pass and scans.
func (r *rig) scan(p Pipe, d time.Duration) []pipe.File {
	r.t.Helper()
	r.now = r.now.Add(d)
	files, err := p.Scan(r.now)
	if err != nil {
		r.t.Fatalf("scan: %v", err)
	}
	return files
}

// one scans and expects exactly one file.
func (r *rig) one(p Pipe, d time.Duration) pipe.File {
	r.t.Helper()
	files := r.scan(p, d)
	if len(files) != 1 {
		r.t.Fatalf("scan after %v gave %v, want one file", d, files)
	}
	return files[0]
}

func (r *rig) none(p Pipe, d time.Duration) {
	r.t.Helper()
	if files := r.scan(p, d); len(files) != 0 {
		r.t.Fatalf("scan after %v gave %v, want none", d, files)
	}
}

func (r *rig) read(p Pipe, f pipe.File, want string) {
	r.t.Helper()
	data, err := p.Read(f)
	if err != nil || string(data) != want {
		r.t.Fatalf("read %v = %q, %v; want %q", f.Name, data, err, want)
	}
}

func (r *rig) is(err, want error) {
	r.t.Helper()
	if !errors.Is(err, want) {
		r.t.Fatalf("error %v, want %v", err, want)
	}
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func testRoundTrip(t *testing.T, r *rig) {
	b := r.open(nil)
	r.ok(b.Check())
	o := pipe.Options{Self: A, Peers: []identity.ID{B}}
	a := r.o.Open(t, o, r.in, r.out)
	defer a.Close()
	n := Name(A, B, 7)
	r.ok(a.Put(t.Context(), n, []byte("one\n"), nil, []byte("two\n")))
	if got := r.in.Paths(); !slices.Equal(got, []string{Path(n)}) {
		t.Fatalf("share holds %q", got)
	}
	f := r.one(b, 0)
	if f.Name != n || f.Size != 8 || f.Settled {
		t.Fatalf("found %+v", f)
	}
	r.read(b, f, "one\ntwo\n")
	r.ok(b.Remove(f))
	if got := r.in.Paths(); len(got) != 0 {
		t.Fatalf("share holds %q after remove", got)
	}
	r.none(b, time.Minute)
	if st := b.Stats(); st.Tracked != 0 || st.Reported != 1 || st.Scans != 2 {
		t.Fatalf("stats %+v", st)
	}
}

func testPutExists(t *testing.T, r *rig) {
	p := r.open(nil)
	n := Name(B, A, 1)
	r.ok(p.Put(t.Context(), n, []byte("first")))
	r.is(p.Put(t.Context(), n, []byte("second")), pipe.ErrExists)
	if data, _ := r.out.Read(Path(n)); string(data) != "first" {
		t.Fatalf("overwritten with %q", data)
	}
	if got := r.out.Paths(); len(got) != 1 {
		t.Fatalf("left over: %q", got)
	}
}

func testPutForeign(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.MaxFile = 10 })
	r.is(p.Put(t.Context(), Name(A, B, 1), []byte("x")), pipe.ErrForeign)
	r.is(p.Put(t.Context(), Name(B, Stranger, 1), []byte("x")), pipe.ErrForeign)
	r.is(p.Put(t.Context(), Name(B, A, 1), make([]byte, 11)), pipe.ErrTooLarge)
	if got := r.out.Paths(); len(got) != 0 {
		t.Fatalf("wrote %q", got)
	}
}

func testPutContext(t *testing.T, r *rig) {
	p := r.open(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.is(p.Put(ctx, Name(B, A, 1), []byte("x")), context.Canceled)
	if got := r.out.Paths(); len(got) != 0 {
		t.Fatalf("wrote %q", got)
	}
}

func testOwn(t *testing.T, r *rig) {
	p := r.open(nil)
	for seq := uint64(1); seq <= 3; seq++ {
		r.ok(p.Put(t.Context(), Name(B, A, seq), []byte("abc")))
	}
	r.ok(p.Put(t.Context(), Name(B, C, 9), nil))
	list, err := p.ListOwn(A)
	r.ok(err)
	slices.SortFunc(list, func(x, y pipe.Entry) int { return int(x.Name.Seq) - int(y.Name.Seq) })
	if len(list) != 3 || list[0].Name != Name(B, A, 1) || list[2].Size != 3 {
		t.Fatalf("list %+v", list)
	}
	if st := p.Stats(); st.OwnFiles != 4 {
		t.Fatalf("own files %d, want 4", st.OwnFiles)
	}
	r.out.Remove(Path(Name(B, A, 1))) // the mover took it
	was, err := p.RemoveOwn(Name(B, A, 1))
	if was || err != nil {
		t.Fatalf("removing what is gone: %v, %v", was, err)
	}
	was, err = p.RemoveOwn(Name(B, A, 2))
	if !was || err != nil {
		t.Fatalf("remove: %v, %v", was, err)
	}
	list, err = p.ListOwn(A)
	r.ok(err)
	if len(list) != 1 || list[0].Name.Seq != 3 {
		t.Fatalf("list %+v", list)
	}
	if st := p.Stats(); st.OwnFiles != 2 {
		t.Fatalf("own files %d, want 2", st.OwnFiles)
	}
}

func testOwnForeign(t *testing.T, r *rig) {
	p := r.open(nil)
	foreign := []frame.Name{Name(A, C, 1), Name(A, B, 1), Name(B, Stranger, 1)}
	for _, n := range foreign {
		r.out.Write(Path(n), []byte("not ours"))
		_, err := p.RemoveOwn(n)
		r.is(err, pipe.ErrForeign)
		if _, ok := r.out.Read(Path(n)); !ok {
			t.Fatalf("%v was removed", n)
		}
	}
	if _, err := p.ListOwn(Stranger); !errors.Is(err, pipe.ErrForeign) {
		t.Fatalf("listing a stranger's: %v", err)
	}
	r.in.Write(Path(Name(A, C, 1)), []byte("for C"))
	r.is(p.Remove(pipe.File{Name: Name(A, C, 1)}), pipe.ErrForeign)
	_, err := p.Read(pipe.File{Name: Name(A, C, 1)})
	r.is(err, pipe.ErrForeign)
	r.is(p.Quarantine(pipe.File{Name: Name(A, C, 1)}, nil, "x"), pipe.ErrForeign)
	if _, ok := r.in.Read(Path(Name(A, C, 1))); !ok {
		t.Fatal("another site's file was removed")
	}
}

func testForeignNames(t *testing.T, r *rig) {
	p := r.open(nil)
	mine := B.String() + "/"
	good := Name(A, B, 1).String()
	foreign := []string{
		"readme.txt", "UPPER" + good, good + ".tmp", good[:len(good)-4], good[:len(good)-4] + ".JWE",
		"-rf", "$(reboot)", "..hidden",
	}
	if runtime.GOOS != "windows" { // which cannot name a file like these
		foreign = append(foreign, "*", " ", "ünïcode\n")
	}
	for _, name := range foreign {
		r.in.Write(mine+name, []byte("x"))
	}
	r.in.Write(mine+Name(A, C, 1).String(), []byte("x"))
	r.in.Write(mine+Name(Stranger, B, 1).String(), []byte("x"))
	r.in.Write(mine+"."+good+".part", []byte("x"))
	n := r.arrive(A, 1, "real")
	if f := r.one(p, 0); f.Name != n {
		t.Fatalf("found %v", f)
	}
	want := map[pipe.Reason]int{pipe.SkipForeign: len(foreign), pipe.SkipOther: 1, pipe.SkipStranger: 1, pipe.SkipTemporary: 1}
	for range 2 { // counts are of one scan, they do not add up
		if got := p.Stats().Skipped; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("skipped %v, want %v", got, want)
		}
		r.none(p, time.Second)
	}
	if got := len(r.in.Paths()); got != len(foreign)+4 {
		t.Fatalf("%d files left, want all", got)
	}
}

func testReports(t *testing.T, r *rig) {
	p := r.open(nil) // settle is 5 s
	r.arrive(A, 1, "half")
	f := r.one(p, 0)
	r.read(p, f, "half")
	p.Pending(f)
	r.none(p, 2*time.Second)
	r.arrive(A, 1, "half and the rest")
	f = r.one(p, time.Second)
	if f.Settled || f.Size != 17 {
		t.Fatalf("changed file %+v", f)
	}
	r.read(p, f, "half and the rest")
	r.none(p, 4*time.Second) // nothing said counts as pending
	f = r.one(p, time.Second)
	if !f.Settled {
		t.Fatalf("still for 5 s, but %+v", f)
	}
	r.none(p, time.Hour)
	if st := p.Stats(); st.Tracked != 1 || st.Waiting != 1 || st.Settle != 5*time.Second {
		t.Fatalf("stats %+v", st)
	}
}

func testCalm(t *testing.T, r *rig) {
	p := r.open(nil)
	reports := 0
	for i := range 400 { // grows each 5 ms for 2 s
		r.arrive(A, 1, fmt.Sprintf("%0*d", i+1, 0))
		reports += len(r.scan(p, 5*time.Millisecond))
	}
	if reports < 4 || reports > 12 {
		t.Fatalf("%d reports of a file that grew 400 times in 2 s", reports)
	}
	if f := r.one(p, time.Second); f.Size != 400 {
		t.Fatalf("last size %d", f.Size)
	}
}

func testAgain(t *testing.T, r *rig) {
	p := r.open(nil) // PollMax is 1 s
	r.arrive(A, 1, "x")
	f := r.one(p, 0)
	p.Again(f)
	r.none(p, 500*time.Millisecond)
	f = r.one(p, 500*time.Millisecond)
	p.Again(f)
	f = r.one(p, 5*time.Second)
	if !f.Settled {
		t.Fatal("time under again does not count for settling")
	}
	r.none(p, time.Hour)
}

func testDone(t *testing.T, r *rig) {
	p := r.open(nil)
	n := r.arrive(A, 1, "whole")
	p.Done(r.one(p, 0))
	r.none(p, time.Hour)
	if st := p.Stats(); st.Waiting != 0 || st.Tracked != 1 {
		t.Fatalf("stats %+v", st)
	}
	r.in.Remove(Path(n))
	r.none(p, time.Second)
	if st := p.Stats(); st.Tracked != 0 {
		t.Fatalf("a vanished file is still tracked: %+v", st)
	}
	r.arrive(A, 1, "whole")
	r.one(p, time.Second) // new again: only the current listing is remembered
}

func testRemoveChanged(t *testing.T, r *rig) {
	p := r.open(nil)
	n := r.arrive(A, 1, "half")
	f := r.one(p, 0)
	r.arrive(A, 1, "half, and more came since")
	r.is(p.Remove(f), pipe.ErrChanged)
	if _, ok := r.in.Read(Path(n)); !ok {
		t.Fatal("removed what had changed")
	}
	f = r.one(p, time.Second)
	r.ok(p.Remove(f))
	r.none(p, time.Second)
}

func testGone(t *testing.T, r *rig) {
	p := r.open(nil)
	n := r.arrive(A, 1, "x")
	f := r.one(p, 0)
	r.in.Remove(Path(n))
	_, err := p.Read(f)
	r.is(err, pipe.ErrGone)
	r.ok(p.Remove(f))
	r.none(p, time.Second)
	if st := p.Stats(); st.Tracked != 0 {
		t.Fatalf("stats %+v", st)
	}
}

func testReappeared(t *testing.T, r *rig) {
	p := r.open(nil)
	for i := range 3 { // a mover that brings files back
		r.arrive(A, 1, "same")
		f := r.one(p, time.Second)
		r.read(p, f, "same")
		r.ok(p.Remove(f))
		r.none(p, time.Second)
		if st := p.Stats(); st.Reappeared != uint64(i) || st.Settle != 5*time.Second {
			t.Fatalf("round %d: stats %+v", i, st)
		}
	}
	if got := r.in.Paths(); len(got) != 0 {
		t.Fatalf("left: %q", got)
	}
}

func testSettleLearned(t *testing.T, r *rig) {
	p := r.open(nil)
	r.arrive(A, 1, "half")
	r.one(p, 0)
	f := r.one(p, 5*time.Second)
	r.arrive(A, 1, "half, a long pause, and more") // a settled file grew
	r.one(p, time.Second)
	if st := p.Stats(); st.Settle != 10*time.Second {
		t.Fatalf("settle %v, want 10 s", st.Settle)
	}
	r.none(p, 9*time.Second)
	f = r.one(p, time.Second)
	if !f.Settled {
		t.Fatalf("found %+v", f)
	}
	r.ok(p.Remove(f))
	r.arrive(A, 1, "half, a long pause, and more, and now the end") // a removed name reappears with more in it
	r.one(p, time.Second)
	if st := p.Stats(); st.Settle != 20*time.Second || st.Reappeared != 1 {
		t.Fatalf("stats %+v", st)
	}
}

func testSettleCap(t *testing.T, r *rig) {
	p := r.open(nil)
	for i := range 20 {
		r.arrive(A, 1, fmt.Sprintf("%0*d", i+1, 0))
		r.ok(p.Remove(r.one(p, time.Second)))
	}
	if st := p.Stats(); st.Settle != pipe.MaxSettle {
		t.Fatalf("settle %v, want %v", st.Settle, pipe.MaxSettle)
	}
}

func testKeep(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.Keep = true })
	r.ok(p.Check())
	r.arrive(A, 1, "whole")
	r.arrive(A, 2, "cu")
	files := r.scan(p, 0)
	if len(files) != 2 {
		t.Fatalf("found %v", files)
	}
	r.ok(p.Remove(files[0]))
	cut := r.one(p, 5*time.Second)
	r.ok(p.Remove(cut))
	r.none(p, time.Hour)
	r.arrive(A, 2, "cut no more")
	f := r.one(p, time.Second)
	if f.Name.Seq != 2 || p.Stats().Settle != 10*time.Second {
		t.Fatalf("found %+v, settle %v", f, p.Stats().Settle)
	}
	r.arrive(A, 3, "rubbish")
	f = r.one(p, time.Second)
	r.ok(p.Quarantine(f, []byte("rubbish"), "no line verified"))
	r.none(p, time.Second)
	if got := len(r.in.Paths()); got != 3 {
		t.Fatalf("%d files left, want 3", got)
	}
}

func testBudgetFiles(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.ScanFiles = 3 })
	for seq := uint64(1); seq <= 8; seq++ {
		r.arrive(A, seq, "x")
	}
	r.arrive(C, 1, "not starved by A")
	seen := map[frame.Name]bool{}
	fromC := 0
	for _, want := range []int{3, 3, 2} {
		files := r.scan(p, time.Millisecond)
		got := 0
		for _, f := range files {
			if seen[f.Name] {
				t.Fatalf("%v reported twice", f.Name)
			}
			if seen[f.Name] = true; f.Name.Sender == A {
				got++
			} else {
				fromC++
			}
		}
		if got != want {
			t.Fatalf("%d files of A, want %d", got, want)
		}
		if len(seen) < 9 {
			select {
			case <-p.Hints():
			default:
				t.Fatal("files left over, but no hint")
			}
		}
	}
	if fromC != 1 {
		t.Fatalf("%d files of C", fromC)
	}
}

func testBudgetBytes(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.ScanBytes = 10 })
	for seq := uint64(1); seq <= 4; seq++ {
		r.arrive(A, seq, "12345")
	}
	r.arrive(C, 1, "larger than the whole budget")
	total := 0
	for _, want := range []int{3, 2} {
		files := r.scan(p, time.Millisecond)
		if total += len(files); len(files) != want {
			t.Fatalf("found %v, want %d", files, want)
		}
	}
	r.none(p, time.Millisecond)
}

func testTooLarge(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.MaxFile = 10 })
	n := r.arrive(A, 1, "1234567890")
	r.arrive(A, 2, "12345678901")
	f := r.one(p, 0)
	if f.Name != n || p.Stats().Skipped[pipe.SkipTooLarge] != 1 {
		t.Fatalf("found %v, stats %+v", f, p.Stats())
	}
	r.arrive(A, 1, "12345678901") // grew since
	_, err := p.Read(f)
	r.is(err, pipe.ErrTooLarge)
}

func testOrder(t *testing.T, r *rig) {
	p := r.open(nil)
	for _, seq := range []uint64{5, 2, 9000000000000000, 1} {
		r.arrive(C, seq, "x")
		r.arrive(A, seq, "x")
	}
	files := r.scan(p, 0)
	if len(files) != 8 || !slices.IsSortedFunc(files, func(x, y pipe.File) int {
		return bytes.Compare([]byte(x.Name.Sender.String()+x.Name.String()), []byte(y.Name.Sender.String()+y.Name.String()))
	}) {
		t.Fatalf("order %v", files)
	}
}

func testQuarantine(t *testing.T, r *rig) {
	p := r.open(nil)
	r.arrive(A, 1, "rubbish")
	f := r.one(p, 0)
	r.ok(p.Quarantine(f, []byte("rubbish"), "../No line/verified"))
	if got := r.in.Paths(); len(got) != 0 {
		t.Fatalf("left: %q", got)
	}
	got := r.o.Quarantined(t, p)
	if len(got) != 1 || string(got[0]) != "rubbish" || p.Stats().Quarantined != 1 {
		t.Fatalf("quarantine holds %q, stats %+v", got, p.Stats())
	}
	r.none(p, time.Second)
}

func testQuarantineBounds(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.QuarantineFiles, o.QuarantineBytes = 5, 40 })
	add := func(seq uint64, data string) {
		r.arrive(A, seq, data)
		r.ok(p.Quarantine(r.one(p, time.Second), []byte(data), "test"))
	}
	for seq := uint64(1); seq <= 8; seq++ {
		add(seq, fmt.Sprint(seq))
	}
	if got := fmt.Sprintf("%s", r.o.Quarantined(t, p)); got != "[4 5 6 7 8]" {
		t.Fatalf("quarantine holds %s", got)
	}
	for seq := uint64(11); seq <= 15; seq++ {
		add(seq, fmt.Sprintf("%d long enough to be cut", seq))
	}
	if got := fmt.Sprintf("%q", r.o.Quarantined(t, p)); got != `["12 long en" "13 long en" "14 long en" "15 long en"]` {
		t.Fatalf("quarantine holds %s", got)
	}
}

func testFlatSuffix(t *testing.T, r *rig) {
	r.out = r.in // one folder, no subfolders: the hardest case for telling whose a file is
	p := r.open(func(o *pipe.Options) { o.Flat, o.Suffix = true, ".xml" })
	r.ok(p.Check())
	r.ok(p.Put(t.Context(), Name(B, A, 1), []byte("out")))
	r.in.Write(Name(A, B, 1).String()+".xml", []byte("in"))
	r.in.Write(Name(A, B, 2).String(), []byte("no suffix"))
	r.in.Write(Name(A, C, 1).String()+".xml", []byte("not for us"))
	f := r.one(p, 0)
	r.read(p, f, "in")
	r.ok(p.Remove(f))
	list, err := p.ListOwn(A)
	r.ok(err)
	if len(list) != 1 || list[0].Name != Name(B, A, 1) {
		t.Fatalf("own %v", list)
	}
	want := []string{Name(B, A, 1).String() + ".xml", Name(A, B, 2).String(), Name(A, C, 1).String() + ".xml"}
	slices.Sort(want)
	if got := r.in.Paths(); !slices.Equal(got, want) {
		t.Fatalf("share holds %q", got)
	}
}

func testSharedFolder(t *testing.T, r *rig) {
	r.out = r.in
	sites := map[identity.ID]Pipe{}
	all := []identity.ID{A, B, C}
	for _, id := range all {
		var peers []identity.ID
		for _, p := range all {
			if p != id {
				peers = append(peers, p)
			}
		}
		p := r.o.Open(t, pipe.Options{Self: id, Peers: peers}, r.in, r.in)
		defer p.Close()
		sites[id] = p
	}
	for _, from := range all {
		for _, to := range all {
			if from != to {
				r.ok(sites[from].Put(t.Context(), Name(from, to, 1), []byte(from.String()+to.String())))
			}
		}
	}
	for _, id := range all {
		files := r.scan(sites[id], 0)
		if len(files) != 2 {
			t.Fatalf("%v found %v", id, files)
		}
		for _, f := range files {
			r.read(sites[id], f, f.Name.Sender.String()+id.String())
			r.ok(sites[id].Remove(f))
		}
	}
	if got := r.in.Paths(); len(got) != 0 {
		t.Fatalf("left: %q", got)
	}
}

// testHints waits for a file in real time: whatever brings the hint, it must come.
func testHints(t *testing.T, r *rig) {
	p := r.open(func(o *pipe.Options) { o.PollMin, o.PollMax = time.Millisecond, 5*time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for seq := uint64(1); seq <= 5; seq++ {
		n := r.arrive(A, seq, "x")
		for found := false; !found; {
			select {
			case <-p.Hints():
			case <-ctx.Done():
				t.Fatal("no hint within a minute")
			}
			for _, f := range r.scan(p, time.Millisecond) {
				found = found || f.Name == n
			}
		}
	}
	cancel()
	r.ok(<-ended)
}
