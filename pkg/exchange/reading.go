package exchange

import (
	"io"
	"maps"
	"slices"
	"sync"
)

// reading counts who reads what is stored of an exchange: it is not deleted under them. Safe for concurrent use.
type reading struct {
	mu   sync.Mutex
	n    map[ID]int
	then map[ID]func() // called when nobody reads any more
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
		if then := r.done(id); then != nil {
			then()
		}
	})
}

// done notes that one reader is gone; then is what is to be done after the last.
func (r *reading) done(id ID) (then func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n[id]--; r.n[id] == 0 {
		then = r.then[id]
		delete(r.n, id)
		delete(r.then, id)
	}
	return then
}

// whenDone has fn called when nobody reads any more; false: nobody does.
func (r *reading) whenDone(id ID, fn func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n[id] == 0 {
		return false
	}
	if r.then == nil {
		r.then = map[ID]func(){}
	}
	r.then[id] = fn
	return true
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
