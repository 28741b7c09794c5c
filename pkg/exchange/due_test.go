package exchange

import (
	"testing"
	"time"
)

// Whether a deadline may have passed counts what the request took in the pipe and what has gone by since it came: a call that is made
// again after a crash may have come long ago.
func TestDeadlineIsUnclear(t *testing.T) {
	came := time.UnixMilli(1_763_800_000_000)
	for _, c := range []struct {
		left, took, since time.Duration
		want              bool
	}{
		{5 * time.Hour, time.Hour, 0, false},
		{5 * time.Hour, time.Hour, 2 * time.Hour, false},
		{5 * time.Hour, time.Hour, 3 * time.Hour, true},
		{5 * time.Hour, 4 * time.Hour, 0, true},
		{5 * time.Hour, 4 * time.Hour, -time.Hour, true}, // the clock was set back
		{time.Hour, 0, 0, true},
	} {
		d := due{left: c.left, took: c.took, at: came}
		if got := d.unclear(came.Add(c.since)); got != c.want {
			t.Errorf("left %v, took %v, %v ago: %v", c.left, c.took, c.since, got)
		}
	}
	if d := (due{}); d.unclear(came) {
		t.Error("a call without a deadline")
	}
}
