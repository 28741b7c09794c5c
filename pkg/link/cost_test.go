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

// talk makes calls from a number of callers, each of which asks again when it has its answer: 1 KiB each way. It gives the
// bytes written and the times that calls took, by the simulated clock.
func talk(t *testing.T, seed uint64, f faults, callers, calls int) (bytes int, took []time.Duration) {
	t.Helper()
	w := newWorldOf(t, seed, f, link.Config{})
	w.sealed, w.habit = true, f.habit
	for _, s := range w.sides {
		s.accept("hello")
	}
	w.settle(t)
	a, b := w.sides[0], w.sides[1]
	before := a.wrote + b.wrote
	body := strings.Repeat("x", 1024)
	begun := map[string]time.Time{}
	asked, answered := 0, 0
	ask := func() {
		if asked < calls {
			id := fmt.Sprintf("%d.", asked)
			begun[id] = w.now
			a.submit(id + body)
			asked++
		}
	}
	id := func(data string) string {
		text, _, _ := strings.Cut(strings.TrimPrefix(data, `{"text":"`), ".")
		return text
	}
	b.onGet = func(text string) { b.submitKind(id(text)+"."+body, frame.KindRes, link.PrioCall) }
	a.onGet = func(text string) {
		took = append(took, w.now.Sub(begun[id(text)+"."]))
		answered++
		ask()
	}
	for range callers {
		ask()
	}
	for answered < calls {
		w.step()
	}
	w.settle(t)
	return a.wrote + b.wrote - before, took
}

// TestABadPipeCostsLittle: where a tenth of the files are lost and a tenth cut, less than half as much again is written
// as on a clean pipe, and of a hundred calls 99 take less than ten clean round trips. The clock is simulated.
func TestABadPipeCostsLittle(t *testing.T) {
	const each = 50 * time.Millisecond
	for _, c := range []struct {
		callers int
		habit   habit
	}{{1, copies}, {16, copies}, {64, copies}, {1, moves}, {16, moves}, {64, moves}, {1, movesLate}, {16, movesLate}, {64, movesLate}} {
		t.Run(fmt.Sprintf("%d callers, a mover that %s", c.callers, c.habit), func(t *testing.T) {
			callers := c.callers
			calls := 300 + 20*callers
			const seeds = 6 // one caller's fate has too much of chance; on the clean pipe there is none
			clean, quick := talk(t, 0, faults{commitDelay: time.Millisecond, least: each, habit: c.habit}, callers, calls)
			var bad int
			var slow []time.Duration
			for seed := range uint64(seeds) {
				n, took := talk(t, seed, faults{commitDelay: time.Millisecond, least: each, drop: 0.1, cut: 0.1, habit: c.habit}, callers, calls)
				bad, slow = bad+n, append(slow, took...)
			}
			slices.Sort(quick)
			slices.Sort(slow)
			clean *= seeds
			ratio := float64(bad) / float64(clean)
			usual, late := quick[len(quick)/2], slow[len(slow)*99/100]
			t.Logf("%d bytes instead of %d: %.2f; 99%% within %v, clean round trip %v: %.1f", bad, clean, ratio, late, usual, float64(late)/float64(usual))
			if ratio >= 1.5 {
				t.Errorf("%.2f times the bytes of a clean pipe, want below 1.5", ratio)
			}
			if late >= 10*usual {
				t.Errorf("99%% of the calls took up to %v, want below ten times %v", late, usual)
			}
		})
	}
}
