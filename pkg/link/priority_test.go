package link_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
)

// body submits n bytes of bulk in parts as a body travels, and has them committed.
func (s *side) body(n int) {
	const part = 54_000 // 40 KiB in base64
	for at := 0; at < n; at += part {
		s.submitPrio(fmt.Sprintf("%d-%s", at, strings.Repeat("x", part)), link.PrioBulk)
	}
	s.commitAll()
}

// commitAll has everything submitted committed, and writes nothing meanwhile.
func (s *side) commitAll() {
	for len(s.pending.rows) > 0 || s.staged != nil {
		if s.staged == nil {
			st := s.pending
			s.pending = staged{}
			st.state = s.l.Snapshot()
			st.gotEp = st.state.PeerEpoch
			s.staged = &st
		}
		s.commitDone()
	}
	s.load()
	s.drain()
}

// idsOf gives the ids of the messages of a frame.
func idsOf(t *testing.T, f *link.Frame) (ids []uint64) {
	t.Helper()
	for _, raw := range f.Lines {
		c, err := frame.ParseClaims(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range c.Msg {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// TestABodyDelaysACallByOneFrame: while a body of 16 MiB is in transit, or waits for a peer that does not answer, a call is
// in the next frame after the one that is being written. Counted in frames, not in time.
func TestABodyDelaysACallByOneFrame(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			w := newWorldOf(t, 8, faults{commitDelay: time.Millisecond}, link.Config{})
			s := w.sides[0]
			s.accept("hello")
			w.settle(t)
			s.body(16 << 20)
			if restart {
				s.accept("waits since before the start")
				s.crash()
				w.until("introduced", func() bool { return s.l.Stats().FilesWritten > 0 })
			}
			w.mute[0] = true
			frames := 0
			for ; ; frames++ { // as many as the limits let out, none of which is ever acked
				f := s.l.Next(w.now)
				if f == nil || frames == 3 {
					call := s.id0("call" + strings.Repeat("y", 50_000)) // more than what is left where bulk goes first
					if f != nil {                                       // the frame under way
						s.l.Wrote(w.now, 1<<20, nil)
					}
					f = s.l.Next(w.now)
					if f == nil {
						t.Fatalf("after %d frames of bulk a call is not written", frames)
					}
					if ids := idsOf(t, f); !slices.Contains(ids, call) {
						t.Errorf("the next frame holds %v, want the call %d among them", ids, call)
					}
					s.l.Wrote(w.now, 1<<20, nil)
					break
				}
				s.l.Wrote(w.now, 1<<20, nil)
			}
			for s.l.Next(w.now) != nil { // until the limits stop it
				s.l.Wrote(w.now, 1<<20, nil)
			}
			call := s.id0("another" + strings.Repeat("y", 50_000))
			f := s.l.Next(w.now)
			if f == nil {
				t.Fatal("a call is not written while all the bulk that the limits allow is in transit")
			}
			if ids := idsOf(t, f); len(ids) != 1 || ids[0] != call {
				t.Errorf("the next frame holds %v, want the call %d", ids, call)
			}
		})
	}
}

// id0 submits and commits a call and gives its id.
func (s *side) id0(text string) uint64 {
	s.submit(text)
	id := s.pending.rows[len(s.pending.rows)-1].ID
	s.commitAll()
	return id
}

// TestCallsPassBulkInTheStore: calls that wait in the store behind much bulk come before it when there is room.
func TestCallsPassBulkInTheStore(t *testing.T) {
	w := newWorldOf(t, 8, faults{commitDelay: time.Millisecond}, link.Config{WindowMessages: 40})
	s := w.sides[0]
	s.accept("hello")
	w.settle(t)
	w.mute[0] = true
	for i := range 100 {
		s.submitPrio(fmt.Sprintf("bulk%d", i), link.PrioBulk)
	}
	for i := range 60 {
		s.submit(fmt.Sprintf("call%d", i))
	}
	s.commitAll()
	s.crash()
	got := 0
	w.sides[1].onGet = func(text string) {
		switch {
		case strings.Contains(text, "call"):
			got++
		case got < 60 && w.sides[1].bulkGot() > 40:
			t.Errorf("%s came after %d of 60 calls", text, got)
		}
	}
	w.mute[0] = false
	w.settle(t)
	if got != 60 || w.sides[1].bulkGot() != 100 {
		t.Errorf("%d calls and %d bulk messages came, want 60 and 100", got, w.sides[1].bulkGot())
	}
}

func (s *side) bulkGot() (n int) {
	for k := range s.got {
		if strings.Contains(k, "bulk") {
			n++
		}
	}
	return n
}

// TestSmallFilesGoWhereLargeOnesFail: an outbox that has no room for a frame still gets acks and calls, and the bulk is
// tried again.
func TestSmallFilesGoWhereLargeOnesFail(t *testing.T) {
	w := newWorldOf(t, 8, faults{commitDelay: time.Millisecond}, link.Config{})
	s := w.sides[0]
	s.accept("hello")
	w.settle(t)
	s.body(2 << 20)
	full := fmt.Errorf("no room")
	large, small := 0, 0
	for large < 5 {
		f := s.l.Next(w.now)
		if f == nil {
			at := s.l.Deadline(w.now)
			if !at.After(w.now) {
				t.Fatalf("%v is due at %v, and nothing is written", at, w.now)
			}
			w.now = at
			continue
		}
		size := 0
		for _, c := range f.Lines {
			size += len(c)
		}
		if size <= 36<<10 {
			small++
			s.l.Wrote(w.now, int64(size), nil)
			continue
		}
		large++
		s.l.Wrote(w.now, 0, full)
		call := s.id0("call")
		w.now = w.now.Add(25 * time.Millisecond)
		f = s.l.Next(w.now)
		if f == nil {
			t.Fatal("a call is not written where large files fail")
		}
		if ids := idsOf(t, f); len(ids) != 1 || ids[0] != call {
			t.Fatalf("frame of %v, want the call %d alone", ids, call)
		}
		s.l.Wrote(w.now, 1000, nil)
		if s.l.WriteFailures() != large {
			t.Errorf("%d failures are told, want %d", s.l.WriteFailures(), large)
		}
	}
	if small > 10 {
		t.Errorf("%d further small files were written, want none but what is due", small)
	}
	for mended := false; !mended; {
		f := s.l.Next(w.now)
		if f == nil {
			at := s.l.Deadline(w.now)
			if !at.After(w.now) {
				t.Fatalf("%v is due at %v, and nothing is written", at, w.now)
			}
			w.now = at
			continue
		}
		s.l.Wrote(w.now, 1<<20, nil)
		for _, c := range f.Lines {
			mended = mended || len(c) > 36<<10
		}
	}
	if s.l.WriteFailures() != 0 {
		t.Errorf("%d failures are told after a large file was written", s.l.WriteFailures())
	}
}

// TestGivenUpFilesDoNotPileUp: calls come and are canceled while the peer does not answer, and each leaves room for the newest
// body alone. A body that was given up is written again in its turn all the same, so that its old file goes.
func TestGivenUpFilesDoNotPileUp(t *testing.T) {
	const most = 4
	w := newWorldOf(t, 8, faults{commitDelay: time.Millisecond}, link.Config{MaxFiles: most, FrameBytes: 60_000})
	s := w.sides[0]
	s.accept("hello")
	w.settle(t)
	w.mute = [2]bool{true, true}
	files := 0
	for i := range 30 {
		body := 40_000 - 1000*i
		s.submitPrio(fmt.Sprintf("%d-%s", i, strings.Repeat("x", body)), link.PrioBulk)
		call := s.id0(fmt.Sprintf("%d-%s", i, strings.Repeat("y", 59_300-body)))
		w.pass(2 * time.Hour) // past a timeout, however long it has become
		files = max(files, s.l.Sizes().Files)
		s.l.Withdraw(frame.Ranges{{call, call}})
	}
	if files > most+most/4 { // the quarter that is kept for calls comes on top
		t.Errorf("%d files with messages, %d allowed", files, most+most/4)
	}
	w.mute = [2]bool{}
	w.until("all acknowledged", s.holdsNothing)
}

// TestGivenUpBulkLeavesRoomForCalls: with three quarters of the files in transit the next file is for calls alone, also where files
// with bodies were given up and as many as may be lie in the pipe.
func TestGivenUpBulkLeavesRoomForCalls(t *testing.T) {
	w := newWorldOf(t, 8, faults{commitDelay: time.Millisecond}, link.Config{MaxFiles: 8})
	a, b := w.sides[0], w.sides[1]
	a.accept("hello")
	b.accept("hello")
	w.settle(t)
	w.mute = [2]bool{true, true}
	next := func(s *side) flying {
		t.Helper()
		f := s.l.Next(w.now)
		if f == nil {
			t.Fatal("nothing is written")
		}
		s.l.Wrote(w.now, 100_000, nil)
		return flying{to: 1 - s.n, file: link.File{Seq: f.Seq, Size: 100_000, Whole: true}, raw: f.Lines}
	}
	var cut, calls []flying
	for i := range 2 {
		for j := range 2 { // a line each
			a.submitPrio(fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("x", 40_000)), link.PrioBulk)
		}
		a.commitAll()
		f := next(a)
		f.raw, f.file = f.raw[:1], link.File{Seq: f.file.Seq, Size: 50_000, Cut: true}
		cut = append(cut, f)
	}
	for range 6 {
		a.id0("call")
		calls = append(calls, next(a))
	}
	for _, f := range cut {
		b.receive(f)
	}
	b.submit("carrier of the word that both were cut")
	b.commitAll()
	a.receive(next(b))
	call := a.id0("call")
	f := next(a)
	if ids := idsOf(t, &link.Frame{Lines: f.raw}); len(ids) != 1 || ids[0] != call {
		t.Errorf("frame of %v, want the call %d alone", ids, call)
	}
	for _, f := range append(calls, f) {
		b.receive(f)
	}
	w.mute = [2]bool{}
	w.until("all acknowledged", a.holdsNothing)
}

// TestBytesInMemoryAreBounded: of long messages fewer are held in memory, and in transit, than their number allows; the rest stays in the
// store, also over a restart, and comes when there is room. Bulk leaves a quarter to calls.
func TestBytesInMemoryAreBounded(t *testing.T) {
	const most, long, count = 400_000, 20_000, 100
	for prio, share := range map[link.Prio]int{link.PrioCall: most, link.PrioBulk: most * 3 / 4} {
		w := newWorldOf(t, 8, faults{commitDelay: time.Millisecond}, link.Config{WindowBytes: most})
		s := w.sides[0]
		s.accept("hello")
		w.settle(t)
		w.mute[0] = true
		check := func(when string) {
			t.Helper()
			if n := s.l.Sizes(); n.Bytes > share+long+100 || n.Bytes < share-2*long || n.Window > share/long+1 {
				t.Errorf("priority %d, %s: %d messages of %d bytes in memory, %d bytes allowed", prio, when, n.Window, n.Bytes, share)
			}
		}
		for i := range count {
			s.submitPrio(fmt.Sprintf("%d-%s", i, strings.Repeat("x", long)), prio)
		}
		s.commitAll()
		check("submitted")
		for f := s.l.Next(w.now); f != nil; f = s.l.Next(w.now) {
			s.l.Wrote(w.now, 1<<20, nil)
			s.load()
		}
		check("all written that may be")
		s.crash()
		check("after a restart")
		w.mute[0] = false
		w.until("all acknowledged", s.holdsNothing)
		if n := len(w.sides[1].got); n != count+1 {
			t.Errorf("priority %d: %d of %d messages came", prio, n, count+1)
		}
	}
}
