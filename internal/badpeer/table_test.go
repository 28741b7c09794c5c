package badpeer

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/admin"
)

var write = flag.Bool("write", false, "write the table into docs/security.md")

const (
	page  = "../../docs/security.md"
	begin = "<!-- table: made by go test ./internal/badpeer -args -write -->\n"
	end   = "<!-- end of table -->\n"

	// What a row may cost for good: heap of this process after a collection, and the victim's state folder, in bytes.
	maxHeap = 48 << 20
	maxDisk = 96 << 20
)

// TestBadPeer plays every row, one bad peer each, while a good peer calls, and holds the table in docs/security.md.
func TestBadPeer(t *testing.T) {
	all := rows()
	w := newWorld(t, all)
	if err := w.goodCall(); err != nil {
		t.Fatal("before anything: ", err)
	}
	var b strings.Builder
	b.WriteString("| what the peer sends | what it, or a caller, is answered | shown by `hoft status` |\n|---|---|---|\n")
	for i := range all {
		r := &all[i]
		t.Run(strings.ReplaceAll(r.what, " ", "_"), func(t *testing.T) {
			came, told := w.play(t, r)
			if came != r.come || told != r.told {
				t.Errorf("came to %q and is told as %q, want %q and %q", came, told, r.come, r.told)
			}
			if told == "" {
				told = "–"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r.what, came, told)
		})
	}
	if n := w.callee.count("/private"); n != 0 {
		t.Errorf("what is not allowed was called %d times", n)
	}
	hold(t, b.String())
}

// play has one bad peer do its row. It gives what came of it, and the word of the row if the status has it.
func (w *world) play(t *testing.T, r *row) (came, told string) {
	heap, disk := heapNow(), size(w.path("victim"))
	m := w.mallory(t, r.name)
	r.do(m)
	good := make(chan error, 1)
	go func() { good <- w.goodCall() }()
	if r.seen != nil {
		came = r.seen(m)
	}
	if !eventually(func() bool {
		told = r.told
		p, problems := w.status(r.name)
		return r.told == "" || slices.Contains(words(p, problems), r.told)
	}) {
		p, problems := w.status(r.name)
		told = strings.Join(words(p, problems), ", ")
	}
	if !r.over {
		m.alive()
	}
	if r.seen == nil {
		came = strings.Join(m.outcomes(), ", ")
		if !strings.Contains(r.come, mild) { // of the call that shows that the link is alive
			came = strings.TrimPrefix(strings.TrimPrefix(came, "200"), ", ")
		}
	}
	if err := <-good; err != nil {
		t.Errorf("the good peer meanwhile: %v", err)
	}
	// The victim may still be at what it was sent: what counts is what stays.
	var grown int64
	if !eventually(func() bool { grown = heapNow() - heap; return grown <= maxHeap }) {
		t.Errorf("%d bytes of memory stay in use", grown)
	}
	if grown := size(w.path("victim")) - disk; grown > maxDisk {
		t.Errorf("the state folder grew by %d bytes", grown)
	}
	return came, told
}

// words are what the status says against a peer.
func words(p admin.Peer, problems []string) []string {
	out := slices.Clone(problems)
	for reason := range p.Files.Refused {
		out = append(out, files+string(reason))
	}
	for word, n := range map[string]uint64{"duplicates": p.Counters.Duplicates, "recv_gaps": uint64(len(p.Log.RecvGaps)),
		"expected_chunks": uint64(p.Bulk.Expected), "chunks_bad": p.Bulk.ChunksBad} {
		if n > 0 {
			out = append(out, word)
		}
	}
	return out
}

func heapNow() int64 {
	var s runtime.MemStats
	runtime.GC() // twice: pools give up what they hold at the second
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// hold compares the table with the page, or writes it.
func hold(t *testing.T, table string) {
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(old, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	next := bytes.Join([][]byte{before, []byte(begin), []byte(table), []byte(end), after}, nil)
	switch {
	case bytes.Equal(old, next):
	case *write && !t.Failed():
		if err := os.WriteFile(page, next, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is out of date; run: go test ./internal/badpeer -args -write", page)
	}
}
