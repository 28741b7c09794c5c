package exchange

import (
	"io"
	"maps"
	"slices"
	"sync"
)

// reading counts who reads what is stored of an exchange: it is not deleted under them. Safe for concurrent use.
type reading struct {
	mu sync.Mutex
	n  map[ID]int
}

// begin notes a reader until what it returns is called, once.
func (r *reading) begin(id ID) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[ID]int{}
	}
	r.n[id]++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.n[id]--; r.n[id] == 0 {
			delete(r.n, id)
		}
	})
}

func (r *reading) holds(id ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[id] > 0
}

// held lists what is read now.
func (r *reading) held() []ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.n))
}

// keepWhileRead keeps the answer of a call that has ended until its caller, who still reads, is done.
func (m *Manager) keepWhileRead(c *call) {
	if w := c.waiter; w != nil && c.head != nil && c.head.More {
		if end := m.reading.begin(c.id); !w.whenRead(end) {
			end()
		}
	}
}

// endReading calls end when a body is closed.
type endReading struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (b endReading) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
