package sim

import (
	"fmt"
	"testing"
	"time"
)

// However few ranges may be kept, and however long the mover stands still, nothing but the usual number of files is
// written: no more than heartbeats, and some files for each call.
func TestFewRangesAndAMoverThatStandsStill(t *testing.T) {
	for _, ranges := range []int{4, 32} { // 32 is the least that limits.ranges may be
		for mover := range numMovers {
			t.Run(fmt.Sprintf("%d ranges, %v", ranges, mover), func(t *testing.T) {
				t.Parallel()
				p := clean(150)
				p.Seed, p.Mover, p.MaxRanges, p.NoDisturbance, p.DelayMax = 7, mover, ranges, false, 2*time.Second
				p.Drop, p.Cut, p.Stop, p.StopFor = 0.3, 0.1, 10*time.Second, 6*time.Hour
				r := Run(t, p)
				check(t, r)
				minutes := int(r.Simulated.Minutes())
				t.Logf("%d files in %d minutes", r.Files, minutes)
				if r.Files > 3*minutes+20*p.Calls {
					t.Errorf("%d files were written in %d minutes for %d calls", r.Files, minutes, p.Calls)
				}
			})
		}
	}
}

// A disk on which commits take 300 ms, always or now and then, is no pipe that loses files: hardly anything is written
// again, however fast the pipe is.
func TestSlowCommitsAreNoLoss(t *testing.T) {
	for _, share := range []float64{0.2, 1} {
		for mover := range numMovers {
			t.Run(fmt.Sprintf("%v of commits, %v", share, mover), func(t *testing.T) {
				t.Parallel()
				var sum Report
				for i := range 4 {
					d := []time.Duration{10 * time.Millisecond, 100 * time.Millisecond}[i%2]
					p := clean(200)
					p.Seed, p.Mover, p.SlowCommits = uint64(i+1), mover, share
					p.DelayMax, p.Delay, p.Gap = d, d/2, d
					r := Run(t, p)
					check(t, r)
					sum.Sent, sum.Again = sum.Sent+r.Sent, sum.Again+r.Again
				}
				t.Logf("%d messages, %d written again", sum.Sent, sum.Again)
				// Three in a hundred are, of single worlds up to 18; without what timers know of commits, each one twice.
				if sum.Sent < 200 || sum.Again > sum.Sent/8 {
					t.Errorf("%d of %d messages were written again, and none was lost", sum.Again, sum.Sent)
				}
			})
		}
	}
}
