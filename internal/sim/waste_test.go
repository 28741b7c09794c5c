package sim

import (
	"fmt"
	"testing"
	"time"
)

// A disk on which commits take 300 ms, always or now and then, is no pipe that loses files: hardly anything is written
// again, however fast the pipe is.
func TestSlowCommitsAreNoLoss(t *testing.T) {
	for _, share := range []float64{0.2, 1} {
		for mover := range numMovers {
			t.Run(fmt.Sprintf("%v of commits, %v", share, mover), func(t *testing.T) {
				t.Parallel()
				var sum Report
				for i, d := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond} {
					p := clean(200)
					p.Seed, p.Mover, p.SlowCommits = uint64(i+1), mover, share
					p.DelayMax, p.Delay, p.Gap = d, d/2, d
					r := Run(t, p)
					check(t, r)
					sum.Sent, sum.Again = sum.Sent+r.Sent, sum.Again+r.Again
				}
				t.Logf("%d messages, %d written again", sum.Sent, sum.Again)
				if sum.Sent < 200 || sum.Again > sum.Sent/20 {
					t.Errorf("%d of %d messages were written again, and none was lost", sum.Again, sum.Sent)
				}
			})
		}
	}
}
