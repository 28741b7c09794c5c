package mover_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/mover"
)

func TestMain(m *testing.M) { leaks.Main(m) }

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// rig is a mover between two folders, driven by hand.
type rig struct {
	t        *testing.T
	from, to string
	m        *mover.Mover
	now      time.Time
	events   []string
}

func newRig(t *testing.T, c mover.Config) *rig {
	t.Helper()
	r := &rig{t: t, from: filepath.Join(t.TempDir(), "from"), to: filepath.Join(t.TempDir(), "to"), now: t0}
	c.From, c.To = r.from, r.to
	c.OnEvent = func(e mover.Event) {
		if (e.Err != nil) != (e.What == mover.Failed) {
			t.Errorf("%+v", e)
		}
		r.events = append(r.events, e.What+" "+e.Path)
	}
	m, err := mover.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.m = m
	return r
}

func (r *rig) put(path, data string) {
	r.t.Helper()
	p := filepath.Join(r.from, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(data), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

// step lets d pass and moves.
func (r *rig) step(d time.Duration) time.Time {
	r.now = r.now.Add(d)
	return r.m.Step(r.now)
}

// settle steps until nothing happens for long.
func (r *rig) settle() {
	for range 100 {
		r.step(100 * time.Millisecond)
	}
}

// has checks a file at one end; "-" means it must not be there.
func (r *rig) has(dir, path, want string) {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		data = []byte("-")
	case err != nil:
		r.t.Fatal(err)
	}
	if string(data) != want {
		r.t.Fatalf("%s in %s holds %q, want %q", path, filepath.Base(dir), data, want)
	}
}

func (r *rig) remove(dir, path string) {
	r.t.Helper()
	if err := os.Remove(filepath.Join(dir, path)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) happened(want ...string) {
	r.t.Helper()
	if got := strings.Join(r.events, ", "); got != strings.Join(want, ", ") {
		r.t.Fatalf("happened: %s; want %s", got, strings.Join(want, ", "))
	}
	r.events = nil
}

func TestCopyCarriesEachNameOnce(t *testing.T) {
	r := newRig(t, mover.Config{})
	r.step(0) // the source is not there yet
	r.put("b/x", "one")
	r.put("b/.hidden.part", "no")
	r.step(0)
	r.has(r.to, "b/x", "one")
	r.has(r.from, "b/x", "one")
	r.has(r.to, "b/.hidden.part", "-")
	r.remove(r.to, "b/x")
	r.put("b/x", "another")
	r.settle()
	r.has(r.to, "b/x", "-")
	r.happened("moved b/x")
}

func TestMoveEmptiesTheSource(t *testing.T) {
	r := newRig(t, mover.Config{Kind: mover.Move})
	for _, data := range []string{"one", "two"} {
		r.put("b/x", data)
		r.step(0)
		r.has(r.to, "b/x", data)
		r.has(r.from, "b/x", "-")
	}
	r.happened("moved b/x", "moved b/x")
}

func TestMirrorDeletes(t *testing.T) {
	r := newRig(t, mover.Config{Kind: mover.Mirror})
	r.put("x", "one")
	r.put("y", "two")
	r.step(0)
	r.remove(r.from, "x")
	r.step(0)
	r.has(r.to, "x", "-")
	r.has(r.to, "y", "two")
	r.remove(r.to, "y") // the reader was first: nothing to delete
	r.remove(r.from, "y")
	r.step(0)
	r.happened("moved x", "moved y", "deleted x")
}

func TestResurrectBringsBack(t *testing.T) {
	r := newRig(t, mover.Config{Kind: mover.Resurrect, BringBack: 1})
	r.put("x", "one")
	r.step(0)
	for range 3 { // and no more than three times, at either end
		r.remove(r.to, "x")
		r.remove(r.from, "x")
		r.step(0)
		r.has(r.to, "x", "one")
		r.step(0)
		if _, err := os.Stat(filepath.Join(r.from, "x")); err != nil {
			break
		}
	}
	if got := r.m.Counters().Back; got != 3 {
		t.Fatalf("brought back %d times, want 3", got)
	}
	_ = os.Remove(filepath.Join(r.to, "x"))
	r.settle()
	r.has(r.to, "x", "-")
}

func TestLost(t *testing.T) {
	for kind, left := range map[mover.Kind]string{mover.Copy: "one", mover.Move: "-"} {
		r := newRig(t, mover.Config{Kind: kind, Drop: 1})
		r.put("x", "one")
		r.settle()
		r.has(r.to, "x", "-")
		r.has(r.from, "x", left)
		r.happened("lost x")
	}
}

// TestTakenWhileItIsThere: whoever wants to keep what passes is told while it lies in the source and nobody else has it.
func TestTakenWhileItIsThere(t *testing.T) {
	for kind, drop := range map[mover.Kind]float64{mover.Copy: 0, mover.Move: 1} {
		var r *rig
		var taken []string
		r = newRig(t, mover.Config{Kind: kind, Drop: drop, OnTake: func(path string) {
			taken = append(taken, path)
			r.has(r.from, path, "one")
			r.has(r.to, path, "-")
		}})
		r.put("x", "one")
		r.settle()
		if strings.Join(taken, " ") != "x" {
			t.Errorf("%s: taken: %q, want x once", kind, taken)
		}
	}
}

func TestCut(t *testing.T) {
	r := newRig(t, mover.Config{Kind: mover.Move, Truncate: 1})
	for i := range 20 {
		name := fmt.Sprint(i)
		r.put(name, strings.Repeat("x", 100))
		r.step(0)
		fi, err := os.Stat(filepath.Join(r.to, name))
		if err != nil || fi.Size() >= 100 {
			t.Fatalf("%v, %v", fi, err)
		}
	}
	if c := r.m.Counters(); c.Cut != 20 || c.Moved != 0 {
		t.Fatalf("counters %+v", c)
	}
	r = newRig(t, mover.Config{MaxSize: 5})
	r.put("long", "123456789")
	r.put("short", "12345")
	r.step(0)
	r.has(r.to, "long", "12345")
	r.happened("cut long", "moved short")
}

func TestDelayed(t *testing.T) {
	r := newRig(t, mover.Config{Kind: mover.Move, DelayMin: time.Second, DelayMax: time.Second})
	r.put("x", "one")
	r.put("y", "two")
	if next := r.step(0); next.After(t0.Add(time.Second)) {
		t.Fatalf("comes again at %v", next)
	}
	r.step(time.Second - 1)
	r.has(r.to, "x", "-")
	r.has(r.from, "x", "one") // it waits where it is
	r.remove(r.from, "y")
	r.step(1)
	r.has(r.to, "x", "one")
	r.happened("moved x", "vanished y")
}

func TestReorderRepeatAndHalves(t *testing.T) {
	r := newRig(t, mover.Config{Kind: mover.Move, Reorder: 1})
	r.put("x", "one")
	r.step(0)
	r.has(r.to, "x", "-")
	r.settle()
	r.happened("delayed x", "moved x")

	r = newRig(t, mover.Config{Kind: mover.Move, Duplicate: 1})
	r.put("x", "one")
	r.step(0)
	r.remove(r.to, "x")
	r.settle()
	r.has(r.to, "x", "one")
	r.happened("moved x", "repeated x")

	r = newRig(t, mover.Config{Kind: mover.Move, Partial: 1})
	r.put("x", "0123456789")
	r.put("y", "0123456789")
	r.step(0)
	fi, err := os.Stat(filepath.Join(r.to, "x"))
	if err != nil || fi.Size() < 1 || fi.Size() > 9 {
		t.Fatalf("half file: %v, %v", fi, err)
	}
	r.has(r.from, "x", "0123456789")
	r.remove(r.to, "y") // the reader takes it before the rest comes
	r.settle()
	r.has(r.to, "x", "0123456789")
	r.has(r.from, "x", "-")
	r.has(r.to, "y", "-")
	if c := r.m.Counters(); c.Half != 2 || c.Moved != 2 {
		t.Fatalf("counters %+v", c)
	}
}

// TestFailureIsTriedAgain puts a file in the way of a destination folder for a while.
func TestFailureIsTriedAgain(t *testing.T) {
	for _, partial := range []float64{0, 1} {
		r := newRig(t, mover.Config{Kind: mover.Move, Partial: partial})
		r.put("b/x", "0123456789")
		if err := os.WriteFile(r.to, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.step(0)
		r.happened("failed b/x")
		r.has(r.from, "b/x", "0123456789")
		if err := os.Remove(r.to); err != nil {
			t.Fatal(err)
		}
		r.settle()
		r.has(r.to, "b/x", "0123456789")
		r.has(r.from, "b/x", "-")
	}
}

func TestBatch(t *testing.T) {
	r := newRig(t, mover.Config{Period: time.Minute})
	if next := r.step(0); !next.Equal(t0.Add(time.Minute)) {
		t.Fatalf("next at %v", next)
	}
	r.put("x", "one")
	r.step(59 * time.Second)
	r.has(r.to, "x", "-")
	r.step(time.Second)
	r.has(r.to, "x", "one")
}

// TestSeed checks that fates depend on the seed and the path alone, and come in the proportions asked for.
func TestSeed(t *testing.T) {
	c := mover.Config{Drop: 0.05, Truncate: 0.10, Duplicate: 0.2, Reorder: 0.2, Partial: 0.3, DelayMin: time.Millisecond, DelayMax: 9 * time.Millisecond, Pause: time.Millisecond, Seed: 7}
	var lost, cut, same int
	other := c
	other.Seed = 8
	const n = 10_000
	for i := range n {
		path := fmt.Sprint("b/", i)
		f := c.Fate(path, 1000, 0)
		if !reflect.DeepEqual(f, c.Fate(path, 1000, 0)) {
			t.Fatal("one path, two fates")
		}
		if f.Delay < c.DelayMin || !f.Late && f.Delay > c.DelayMax || f.Cut >= 1000 || f.Partial > 0 && (f.Split < 1 || f.Split >= 1000) {
			t.Fatalf("fate %+v", f)
		}
		if f.Lost {
			lost++
		}
		if f.Cut >= 0 {
			cut++
		}
		if f == other.Fate(path, 1000, 0) {
			same++
		}
	}
	if lost < n*4/100 || lost > n*6/100 || cut < n*9/100 || cut > n*11/100 || same > n/100 {
		t.Fatalf("of %d: %d lost, %d cut, %d the same with another seed", n, lost, cut, same)
	}
}

// TestAlias: names that hold something random meet the fate of what they stand for.
func TestAlias(t *testing.T) {
	c := mover.Config{Drop: 0.3, Truncate: 0.3, Seed: 7, Alias: path.Base}
	plain := c
	plain.Alias = nil
	other := 0
	for i := range 100 {
		name := fmt.Sprint(i)
		if c.Fate("x/"+name, 1000, 0) != plain.Fate(name, 1000, 0) || c.Fate("x/"+name, 1000, 0) != c.Fate("y/"+name, 1000, 0) {
			t.Fatalf("file %s: the alias does not decide", name)
		}
		if plain.Fate("x/"+name, 1000, 0) != plain.Fate("y/"+name, 1000, 0) {
			other++
		}
	}
	if other == 0 {
		t.Error("the path alone decides nothing either")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []mover.Config{
		{}, {From: "x", To: "./x"}, {From: "x", To: "y", Kind: "teleport"}, {From: "x", To: "y", Drop: 1.1}, {From: "x", To: "y", Truncate: -1}, {From: "x", To: "y", Period: -1},
	} {
		if _, err := mover.New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// TestPipeThroughEachKind sends files from one real pipe to another through a running mover of each kind. What
// the mover damages or loses is put again under a new number, as a link does; in the end all has arrived.
func TestPipeThroughEachKind(t *testing.T) {
	for _, kind := range []mover.Kind{mover.Move, mover.Copy, mover.Mirror, mover.Resurrect} {
		t.Run(string(kind), func(t *testing.T) { throughMover(t, kind) })
	}
}

func throughMover(t *testing.T, kind mover.Kind) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a guard only
	defer cancel()
	dir := t.TempDir()
	a, b := identity.ID{1}, identity.ID{2}
	folder := func(name string) string { return filepath.Join(dir, name) }
	openPipe := func(o pipe.Options) *pipe.Dir {
		p, err := pipe.OpenDir(o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	sender := openPipe(pipe.Options{Self: a, Peers: []identity.ID{b}, Outbox: folder("a-out"), Inbox: folder("a-in")})
	defer sender.Close()
	reader := openPipe(pipe.Options{Self: b, Peers: []identity.ID{a}, Outbox: folder("b-out"), Inbox: folder("b-in"),
		QuarantineDir: folder("q"), Settle: 200 * time.Millisecond, PollMax: 20 * time.Millisecond})
	defer reader.Close()
	m, err := mover.New(mover.Config{From: folder("a-out"), To: folder("b-in"), Kind: kind, Seed: 1, Pause: time.Millisecond, DelayMax: 5 * time.Millisecond,
		Drop: 0.1, Truncate: 0.1, Duplicate: 0.1, Reorder: 0.1, Partial: 0.2, BringBack: 0.3})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- m.Run(ctx) }()
	go func() { ended <- reader.Run(ctx) }()

	const want = 40
	arrived, seq := map[string]bool{}, uint64(0)
	inFlight := map[uint64]bool{}
	put := func(i int) {
		seq++
		n := frame.Name{Recipient: b, Sender: a, Seq: seq, Ext: frame.ExtFrame}
		if err := sender.Put(ctx, n, []byte(fmt.Sprintf("message %03d", i)), bytes.Repeat([]byte{'.'}, 5000), []byte("end")); err != nil {
			t.Fatal(err)
		}
		inFlight[seq] = true
	}
	for i := range want {
		put(i)
	}
	const patience = 300 * time.Millisecond
	resend := time.NewTimer(patience)
	defer resend.Stop()
	for len(arrived) < want {
		select {
		case <-ctx.Done():
			t.Fatalf("%d of %d arrived; mover %+v; reader %+v", len(arrived), want, m.Counters(), reader.Stats())
		case <-resend.C:
			for old := range inFlight {
				if _, err := sender.RemoveOwn(frame.Name{Recipient: b, Sender: a, Seq: old, Ext: frame.ExtFrame}); err != nil {
					t.Fatal(err)
				}
			}
			clear(inFlight)
			for i := range want {
				if !arrived[fmt.Sprintf("message %03d", i)] {
					put(i)
				}
			}
			resend.Reset(patience) // from now on: putting them may have taken longer
		case <-reader.Hints():
			take(t, reader, arrived)
		}
	}
	cancel()
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	c := m.Counters()
	if c.Moved == 0 || c.Lost == 0 || c.Cut == 0 || c.Half == 0 || c.Delayed == 0 {
		t.Fatalf("the mover was too kind: %+v", c)
	}
}

// take handles what a scan found: whole files count, others wait until they are settled.
func take(t *testing.T, p *pipe.Dir, arrived map[string]bool) {
	t.Helper()
	files, err := p.Scan(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := p.Read(f)
		if errors.Is(err, pipe.ErrGone) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case bytes.HasSuffix(data, []byte("end")):
			arrived[string(data[:len("message 000")])] = true
			err = p.Remove(f)
		case f.Settled:
			err = p.Quarantine(f, data, "cut")
		default:
			p.Pending(f)
		}
		if err != nil && !errors.Is(err, pipe.ErrChanged) {
			t.Fatal(err)
		}
	}
}
