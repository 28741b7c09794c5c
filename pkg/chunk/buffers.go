package chunk

import (
	"context"
	"sync"
)

// budget is the memory in bytes that all Writers and Readers of the process use for chunks under way, as far as they can:
// each may always hold one chunk of minCut, so that none ever waits for what another has still to read.
const budget = 16 << 20

// growing is up to where a chunk may grow that fills, in bytes in use by all: cut for want of memory it would not be found
// again when the same data comes once more.
const growing = 2 * budget

// classes are the sizes of buffers in bytes. Each has slack for a tag and a record's header.
var classes = [...]int{64 << 10, minCut, 1 << 20, 2 << 20, MaxChunk}

const slack = 64

// buffers keeps chunk buffers for reuse while anybody uses them: a collector under a memory limit would throw away and
// zero them over and over.
type buffers struct {
	mu    sync.Mutex
	free  [len(classes)][][]byte
	held  int64 // bytes in use and free
	used  int64 // bytes in use
	users int

	begun, ended uint64    // chunks that were given to a sink, and those that passed it
	passed       sync.Cond // one did
}

var memory = newBuffers()

func newBuffers() *buffers {
	m := &buffers{}
	m.passed.L = &m.mu
	return m
}

// join and leave frame the use of buffers by one Writer or Reader; what is free goes with the last.
func (m *buffers) join() {
	m.mu.Lock()
	m.users++
	m.mu.Unlock()
}

func (m *buffers) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users--; m.users == 0 {
		m.drop()
	}
}

func (m *buffers) drop() {
	clear(m.free[:])
	m.held = m.used
}

// classOf gives the smallest class for n bytes.
func classOf(n int) int {
	for i, size := range classes {
		if n <= size {
			return i
		}
	}
	panic("chunk: no buffer is that large") // lengths are checked before
}

// room says whether a buffer of a class fits into the budget.
func (m *buffers) room(class int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used+int64(classes[class]) <= budget
}

// await waits until there is room for a buffer of a class, at most until as many chunks have passed their sink as are under way
// now: these need nothing but the disk, so nobody waits for a slow caller. A disk may stand still for long; the error is ctx's.
func (m *buffers) await(ctx context.Context, class int) error {
	defer context.AfterFunc(ctx, func() {
		m.mu.Lock() // whoever waits has looked at ctx before, or looks at it after this
		defer m.mu.Unlock()
		m.passed.Broadcast()
	})()
	m.mu.Lock()
	defer m.mu.Unlock()
	for until := m.begun; ctx.Err() == nil && m.used+int64(classes[class]) > budget && m.ended < until; {
		m.passed.Wait()
	}
	return ctx.Err()
}

// grows says whether a chunk that fills may go on in a buffer of a class.
func (m *buffers) grows(class int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used+int64(classes[class]) <= growing
}

// begin and done frame a chunk's way through the sink.
func (m *buffers) begin() {
	m.mu.Lock()
	m.begun++
	m.mu.Unlock()
}

func (m *buffers) done() {
	m.mu.Lock()
	m.ended++
	m.mu.Unlock()
	m.passed.Broadcast()
}

// get gives a buffer of a class: length 0, content unknown.
func (m *buffers) get(class int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A larger one that is free is better than a new one, if there is room for it.
	for c := class; c < len(classes) && (c == class || m.used+int64(classes[c]) <= budget); c++ {
		if b := m.take(c); b != nil {
			m.used += int64(classes[c])
			return b
		}
	}
	size := int64(classes[class])
	for c := 0; c < len(classes) && m.held+size > budget; c++ { // free ones of other classes go, no more than must
		for m.held+size > budget && m.take(c) != nil {
			m.held -= int64(classes[c])
		}
	}
	m.used += size
	m.held += size
	return make([]byte, 0, size+slack)
}

// take gives a free buffer of a class, nil if there is none. Called with the lock held.
func (m *buffers) take(class int) []byte {
	n := len(m.free[class])
	if n == 0 {
		return nil
	}
	b := m.free[class][n-1]
	m.free[class] = m.free[class][:n-1]
	return b
}

// put gives a buffer back that came from get, whatever was sliced of it since.
func (m *buffers) put(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	size := int64(cap(b) - slack)
	m.used -= size
	if m.users > 0 && m.held <= budget {
		class := classOf(int(size))
		m.free[class] = append(m.free[class], b[:0])
		return
	}
	m.held -= size
}
