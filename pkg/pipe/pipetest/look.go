package pipetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
)

func testForeignNames(t *testing.T, r *rig) {
	p := r.open(nil)
	mine := B.String() + "/"
	good := Name(A, B, 1).String()
	upper := strings.TrimSuffix(Name(A, B, 2).String(), ".jwe") + ".JWE" // not of the first, which would be that file where case does not count
	foreign := []string{
		"readme.txt", "UPPER" + good, good + ".tmp", strings.TrimSuffix(good, ".jwe"), upper,
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
