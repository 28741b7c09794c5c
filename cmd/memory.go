package cmd

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// softMemory is where the collector begins to work harder, in bytes, as long as what is in use leaves it room; it is no hard limit.
const softMemory = 36 << 20

// tuneMemory lets garbage grow while the heap is small: the live heap is tiny, so collecting less often
// costs little memory and saves much of the CPU (docs/design.md "Speed"). The operator's own settings win.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemory)
		followHeap()
	}
}

// followHeap keeps the soft limit above what is in use. With many calls that wait for a peer, more than softMemory lives; each
// allocation would begin a collection that finds nothing.
var followHeap = sync.OnceFunc(afterCollection)

// afterCollection looks after the next collection, and then after each: of something that nothing refers to the runtime tells when
// it is collected.
func afterCollection() {
	runtime.AddCleanup(new([64]byte), func(struct{}) {
		follow()
		afterCollection()
	}, struct{}{})
}

func follow() {
	now := debug.SetMemoryLimit(-1)
	if next := roomy(inUse()); next > now+now/16 || next < now-now/16 {
		debug.SetMemoryLimit(next)
	}
}

// roomy gives a soft limit that leaves room for garbage beside what lives, all in bytes: a quarter as much again.
func roomy(live, beside uint64) int64 { return max(softMemory, int64(live+live/4+beside)) }

// inUse gives what the last collection has found to live, and what the runtime has taken beside the heap, which counts too.
func inUse() (live, beside uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	beside = s[1].Value.Uint64()
	for _, heap := range s[2:] {
		beside -= heap.Value.Uint64()
	}
	return s[0].Value.Uint64(), beside
}
