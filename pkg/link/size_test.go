package link_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/link"
)

// bulky is a link that writes files as large as the pipe takes, and keeps enough in transit for it.
var bulky = link.Config{FrameBytes: 12 << 20, WindowMessages: 20_000, WindowBytes: 40 << 20, MaxFile: 500e6}

// pump keeps messages of 32 KiB waiting at side 0 until done, and gives what was learned.
func (w *world) pump(bytes int64, done func(s *side) bool) {
	w.t.Helper()
	s := w.sides[0]
	end := w.now.Add(48 * time.Hour)
	body := strings.Repeat("x", 32<<10)
	for i := 0; !done(s); i++ {
		for n, held := s.l.Held(); held < bytes && n < 10_000; n, held = s.l.Held() {
			s.submitPrio(fmt.Sprintf("%d-%d-%s", i, n, body), link.PrioBulk)
		}
		if w.now.After(end) {
			safe, limit := s.l.SafeSize()
			w.t.Fatalf("not done after two days: safe size %d, limit %d, %+v", safe, limit, s.l.Stats())
		}
		w.step()
	}
}

// TestSizeSettlesUnderTheCut: a pipe that cuts everything above 5 MB is written files just under it, after a few
// that were cut, and from then on nothing is cut any more.
func TestSizeSettlesUnderTheCut(t *testing.T) {
	const most = 5_000_000
	w := newWorldOf(t, 4, faults{commitDelay: time.Millisecond, maxSize: most, delay: 2 * time.Second}, bulky)
	w.pump(24<<20, func(s *side) bool { safe, limit := s.l.SafeSize(); return limit == most && safe < most })
	s := w.sides[0]
	safe, _ := s.l.SafeSize()
	if safe < most*9/10 {
		t.Errorf("safe size %d, want just under %d", safe, most)
	}
	cut := s.l.Stats().FilesCut
	if cut > 10 {
		t.Errorf("%d files were cut before it was learned", cut)
	}
	for len(w.air) > 0 { // those that were under way
		w.step()
	}
	cut = s.l.Stats().FilesCut
	written := s.l.Stats().FilesWritten
	largest := int64(0)
	s.onWrite = func(size int64) { largest = max(largest, size) }
	w.pump(24<<20, func(s *side) bool { return s.l.Stats().FilesWritten > written+12 })
	if n := s.l.Stats().FilesCut - cut; n != 0 {
		t.Errorf("%d files were cut after it was learned", n)
	}
	if largest < most*9/10 || largest > most {
		t.Errorf("the largest file had %d bytes, want just under %d", largest, most)
	}
	// It outlives a restart, and is tried again after a day: the pipe may have been mended.
	s.crash()
	if again, _ := s.l.SafeSize(); again != safe {
		t.Errorf("safe size %d after a restart, want %d", again, safe)
	}
	w.fault.maxSize = 0
	w.now = w.now.Add(25 * time.Hour)
	w.pump(24<<20, func(s *side) bool { now, limit := s.l.SafeSize(); return now > 2*most && limit == 0 })
}

// TestWhatWasLearnedIsOfOnePipe: what one pipe taught outlives restarts on it, and says nothing of the next one, which
// then teaches its own.
func TestWhatWasLearnedIsOfOnePipe(t *testing.T) {
	const most = 1_000_000
	cfg := bulky
	cfg.Pipe = "/srv/one"
	w := newWorldOf(t, 4, faults{commitDelay: time.Millisecond, maxSize: most, delay: time.Second}, cfg)
	w.habit = moves
	s := w.sides[0]
	fresh, _ := s.l.SafeSize()
	w.pump(12<<20, func(s *side) bool { _, limit := s.l.SafeSize(); return limit == most && s.l.FilesLeave() })
	w.pass(10 * time.Millisecond) // until that is durable
	safe, limit := s.l.SafeSize()
	s.crash()
	if again, at := s.l.SafeSize(); again != safe || at != limit || !s.l.FilesLeave() {
		t.Fatalf("after a restart safe size %d, limit %d, files leave: %v; want %d, %d and true", again, at, s.l.FilesLeave(), safe, limit)
	}
	w.cfg.Pipe = "/srv/another"
	s.crash()
	if again, at := s.l.SafeSize(); again != fresh || at != 0 || s.l.FilesLeave() {
		t.Fatalf("on another pipe safe size %d, limit %d, files leave: %v; want %d, none and false", again, at, s.l.FilesLeave(), fresh)
	}
	w.fault.maxSize = 3 * most
	w.pump(12<<20, func(s *side) bool { now, limit := s.l.SafeSize(); return limit == 3*most && now > most })
}

// TestRandomCutsTeachLittle: files cut at random places say nothing about a limit. A few in a row may look like one for a
// moment.
func TestRandomCutsTeachLittle(t *testing.T) {
	const frames = 512 << 10 // above the floor, below which nothing can be learned
	looks, small, cut := 0, 0, uint64(0)
	for seed := range uint64(5) {
		w := newWorldOf(t, seed, faults{commitDelay: time.Millisecond, cut: 0.1, drop: 0.1, delay: 2 * time.Second},
			link.Config{WindowMessages: 4096, WindowBytes: 16 << 20, FrameBytes: frames})
		w.pump(8<<20, func(s *side) bool {
			safe, limit := s.l.SafeSize()
			if limit != 0 {
				t.Fatalf("seed %d: limit %d, after %+v", seed, limit, s.l.Stats())
			}
			looks++
			if safe < frames {
				small++
			}
			return s.l.Stats().FilesWritten > 400
		})
		cut += w.sides[0].l.Stats().FilesCut
	}
	t.Logf("%d files cut; %d of %d times files were kept shorter", cut, small, looks)
	if cut < 100 || small > looks/10 {
		t.Errorf("%d of %d times files were kept shorter than frames, with %d cut", small, looks, cut)
	}
}

// TestLargeFilesThatVanish: where large files never arrive, messages get through all the same, and smaller files are
// written from then on.
func TestLargeFilesThatVanish(t *testing.T) {
	const most = 600_000
	w := newWorldOf(t, 9, faults{commitDelay: time.Millisecond, swallow: most, delay: 30 * time.Millisecond},
		link.Config{WindowMessages: 4096, WindowBytes: 16 << 20, FrameBytes: 1 << 20})
	small := 0
	w.pump(4<<20, func(s *side) bool {
		if small++; small%20 == 0 {
			s.submit("small")
		}
		safe, _ := s.l.SafeSize()
		return safe <= most
	})
	if safe, _ := w.sides[0].l.SafeSize(); safe < 256<<10 {
		t.Errorf("safe size %d is below the floor", safe)
	}
	s := w.sides[0]
	// Files that only overtook each other count as lost until they are seen: those are not meant.
	gone := func() uint64 { st := s.l.Stats(); return st.FilesLost + st.Timeouts - st.Spurious }
	lost, written := gone(), s.l.Stats().FilesWritten
	w.pump(4<<20, func(s *side) bool { return s.l.Stats().FilesWritten > written+100 })
	if n := int(gone() - lost); n > 5 {
		t.Errorf("%d of 100 files were lost after it was learned", n)
	}
}
