package cmd

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// What lives always has room beside it: with a limit below it each allocation would begin a collection. What is let go takes the
// limit down again.
func TestLimitFollowsTheHeap(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	tuneMemory()
	live := make([]byte, 100<<20)
	within(t, func(limit int64) bool { return limit >= 125<<20 && limit < 200<<20 })
	runtime.KeepAlive(live)
	live = nil
	within(t, func(limit int64) bool { return limit < 100<<20 })
}

// within collects until the limit is as wanted: it is set by a goroutine of the runtime, some time after a collection.
func within(t *testing.T, wanted func(limit int64) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !wanted(debug.SetMemoryLimit(-1)); runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("the limit is %d", debug.SetMemoryLimit(-1))
		}
	}
}

func TestRoomy(t *testing.T) {
	for _, c := range []struct {
		live, beside uint64
		want         int64
	}{{4 << 20, 5 << 20, softMemory}, {40 << 20, 6 << 20, 56 << 20}} {
		if got := roomy(c.live, c.beside); got != c.want {
			t.Errorf("%d and %d: %d, want %d", c.live, c.beside, got, c.want)
		}
	}
}
