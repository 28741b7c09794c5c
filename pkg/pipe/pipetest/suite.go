// Package pipetest holds the conformance suite that every pipe passes.
package pipetest

import (
	"context"
	"errors"
	"io"
	"path"
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
	Aside(path string) (back func()) // moves a file away, and back as it was
	Paths() []string                 // of all files, sorted
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
		"vanished file that comes back":         testBack,
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
