package sim

import (
	"strconv"
	"testing"
	"time"
)

// Far more calls come at once than the servers take, while sites crash and stay away for a while: what waits for its turn, over
// restarts too, is answered.
func TestMoreThanTheServersTake(t *testing.T) {
	for seed := range uint64(4) {
		p := clean(300)
		p.Seed, p.NoDisturbance, p.Gap, p.Trouble = seed, false, time.Millisecond, 2*time.Minute
		p.MinTrouble, p.CrashEvery, p.DownFor, p.Deadlines, p.Chunks = time.Minute, 4*time.Second, 10*time.Second, seed%2 == 1, seed > 1
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			r := Run(t, p)
			check(t, r)
			if r.Accepted < 200 || r.Crashes == 0 {
				t.Errorf("%s", r.String())
			}
		})
	}
}
