package callers

import (
	"cmp"
	"os"
	"slices"
	"sync"
	"time"
)

// lookEvery bounds how often files are looked at, whatever the traffic.
const lookEvery = time.Second

// Watch notices that files changed, when it is asked. Safe for concurrent use once all files are added.
type Watch struct {
	mu    sync.Mutex
	paths []string
	seen  []stamp
	last  time.Time
	every time.Duration // 0: lookEvery
}

type stamp struct {
	mod  time.Time
	size int64
	err  bool
}

// Add takes files into view, as they are now; "" is none.
func (w *Watch) Add(paths ...string) {
	for _, p := range paths {
		if p != "" {
			w.paths = append(w.paths, p)
			w.seen = append(w.seen, look(p))
		}
	}
}

func look(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{err: true}
	}
	return stamp{mod: info.ModTime(), size: info.Size()}
}

// Changed calls read if a file is not as it was last time. At most one caller looks, and at most once a lookEvery;
// the others go on with what they have.
func (w *Watch) Changed(read func()) {
	if len(w.paths) == 0 || !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	now := time.Now()
	if now.Sub(w.last) < cmp.Or(w.every, lookEvery) {
		return
	}
	w.last = now
	seen := make([]stamp, len(w.paths))
	for i, p := range w.paths {
		seen[i] = look(p)
	}
	if slices.Equal(seen, w.seen) {
		return
	}
	w.seen = seen
	read()
}
