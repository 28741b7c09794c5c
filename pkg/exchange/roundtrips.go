package exchange

import (
	"slices"
	"sync"
	"time"
)

const (
	tripsKept     = 50
	maxRetryAfter = 300 // seconds
)

// roundTrips remembers how long the last answers of each peer took, to tell callers when to ask again. The zero
// value is ready; safe for concurrent use.
type roundTrips struct {
	mu    sync.Mutex
	peers map[string]*trips
}

type trips struct {
	last [tripsKept]time.Duration
	n    int
}

func (t *roundTrips) add(peer string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers == nil {
		t.peers = make(map[string]*trips)
	}
	p := t.peers[peer]
	if p == nil {
		p = new(trips)
		t.peers[peer] = p
	}
	p.last[p.n%tripsKept] = d
	p.n++
}

// retryAfter is max(1, median − age) in seconds, at most 300: a fast folder says 1, a slow mover 300.
func (t *roundTrips) retryAfter(peer string, age time.Duration) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[peer]
	if p == nil {
		return 1
	}
	last := slices.Clone(p.last[:min(p.n, tripsKept)])
	slices.Sort(last)
	left := last[len(last)/2] - age
	return min(max(1, int((left+time.Second-1)/time.Second)), maxRetryAfter)
}

// RetryAfter says in how many seconds to ask again for the answer to a call of that age: by the median of the peer's
// last round trips, from 1 to 300. Safe for concurrent use.
func (m *Manager) RetryAfter(peer string, age time.Duration) int {
	return m.trips.retryAfter(peer, age)
}
