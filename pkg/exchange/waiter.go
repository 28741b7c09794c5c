package exchange

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

// waiter hands the answer of one call to the caller who waits for it: head first, then the body in
// order. The loop writes, one caller reads; it has a lock because those are two goroutines.
type waiter struct {
	id      ID
	store   store.Reader
	chunks  Chunks
	leave   func() // the caller left after the head
	mend    func(ctx context.Context, e *chunk.Entry) error
	raise   func(limit int64) // more may be sent; nil: there is no window
	trip    time.Duration     // about a round trip
	changed chan struct{}

	mu       sync.Mutex
	stage    string // how far the exchange got; known at its end
	head     *resData
	peerName string
	ended    bool
	problem  *Problem
	parts    map[int64][]byte // waiting in memory, by offset
	inMemory int
	onDisk   map[int64]bool  // waiting in the store
	inChunks map[int64]piece // in the chunk store, or on its way there, by offset
	credit   credit
	next     int64 // offset of what the caller reads next
	total    int64
	trailers Fields
	taken    bool   // the head was passed on
	gone     bool   // the caller reads no further
	closed   func() // called when it does; nil: nothing
}

// waiterMemory is how many bytes of body wait in memory for one slow caller; more wait in the store.
const waiterMemory = 512 << 10

// piece is one chunk of a body.
type piece struct {
	entry chunk.Entry
	name  chunk.Name
}

func newWaiter(id ID, r store.Reader, chunks Chunks) *waiter {
	return &waiter{id: id, store: r, chunks: chunks, inChunks: map[int64]piece{}, changed: make(chan struct{}, 1), parts: map[int64][]byte{}, onDisk: map[int64]bool{}, total: -1}
}

// wake tells the reader that something changed; one pending signal is enough.
func (w *waiter) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *waiter) setHead(r *resData, body []byte, peerName string) {
	w.mu.Lock()
	w.head, w.peerName = r, peerName
	if len(body) > 0 {
		w.keep(0, body)
	}
	if !r.More {
		w.total, w.trailers = int64(len(body)), r.Trailers
	}
	w.mu.Unlock()
	w.wake()
}

func (w *waiter) keep(offset int64, b []byte) {
	w.parts[offset] = b
	w.inMemory += len(b)
}

// addPart takes a part; false says that it was not kept in memory.
func (w *waiter) addPart(b *bodyData, plain []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.Total != nil {
		w.total, w.trailers = *b.Total, b.Trailers
	}
	w.wake()
	if len(plain) == 0 {
		return true
	}
	if w.inMemory >= waiterMemory && b.Offset != w.next {
		return false
	}
	w.keep(b.Offset, plain)
	return true
}

// addChunks takes a part that lies in chunks.
func (w *waiter) addChunks(b *bodyData) {
	entries, _, err := entriesOf(b)
	if err != nil {
		return // was checked before
	}
	w.mu.Lock()
	at := b.Offset
	for _, e := range entries {
		w.inChunks[at] = piece{e, e.Name()}
		at += e.Len
	}
	if b.Total != nil {
		w.total, w.trailers = *b.Total, b.Trailers
	}
	w.mu.Unlock()
	w.wake()
}

// stored tells that a part which was not kept in memory can be read from the store.
func (w *waiter) stored(offset int64, n int) {
	w.mu.Lock()
	w.onDisk[offset] = n > 0
	w.mu.Unlock()
	w.wake()
}

// finish ends the waiting: with the problem, or (nil) with the whole answer there. stage is how far the exchange got.
func (w *waiter) finish(p *Problem, stage string) {
	w.mu.Lock()
	w.ended, w.problem, w.stage = true, p, stage
	w.mu.Unlock()
	w.wake()
}

// restart drops what came of an attempt that is void; false: its head was passed on, and nothing is dropped.
func (w *waiter) restart() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken {
		return false
	}
	w.head, w.total, w.trailers = nil, -1, nil
	w.parts, w.onDisk, w.inMemory, w.inChunks = map[int64][]byte{}, map[int64]bool{}, 0, map[int64]piece{}
	w.credit.limit, w.credit.raised = w.credit.size, time.Time{}
	return true
}

func (w *waiter) passedOn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.taken
}

// awaitHead waits for the head or the end. Of an answer that broke off behind its head the head comes first, however
// close the end was behind it: the caller sees what the callee did.
func (w *waiter) awaitHead(ctx context.Context) (*Response, error) {
	for {
		w.mu.Lock()
		switch {
		case w.ended && w.problem != nil && (w.head == nil || w.problem.Code != CodeCalleeBroken):
			p := *w.problem
			p.Stage = w.stage
			w.mu.Unlock()
			return nil, &p
		case w.head != nil:
			w.taken = true
			h := w.head
			resp := &Response{Status: h.Status, Fields: h.Fields, Length: h.Length, Callee: h.Callee.callee(), PeerName: w.peerName,
				Exchange: w.id, Body: &waiterBody{w: w, ctx: ctx, attempt: h.Attempt}, Trailers: w.getTrailers}
			w.mu.Unlock()
			return resp, nil
		}
		w.mu.Unlock()
		select {
		case <-w.changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *waiter) getTrailers() Fields {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trailers
}

// over says whether the call has ended with a problem.
func (w *waiter) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended && w.problem != nil
}

// waiterBody reads the body in order.
type waiterBody struct {
	w       *waiter
	ctx     context.Context
	attempt int
	rest    []byte
	plain   []byte // of the chunk that is being read
	closed  bool
}

// Read implements io.Reader; it ends with io.EOF, an *Abort or the context's error.
func (b *waiterBody) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if err := b.fetch(); err != nil {
			return 0, err
		}
		b.w.readOn(time.Now())
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// fetch waits for the next part.
func (b *waiterBody) fetch() error {
	w := b.w
	for {
		w.mu.Lock()
		if part, ok := w.parts[w.next]; ok {
			delete(w.parts, w.next)
			w.inMemory -= len(part)
			w.next += int64(len(part))
			b.rest = part
			w.mu.Unlock()
			return nil
		}
		onDisk, at := w.onDisk[w.next], w.next
		c, chunked := w.inChunks[w.next]
		end, ended, problem := w.total == w.next, w.ended, w.problem
		w.mu.Unlock()
		switch {
		case onDisk:
			return b.fetchStored(at)
		case chunked && w.chunks.Holds(chunk.Record{Name: c.name, Hsh: c.entry.Hsh}):
			return b.fetchChunk(at, c)
		case end:
			return io.EOF
		case ended && problem != nil:
			return &Abort{Reason: problem.Detail}
		case chunked:
			if err := w.mend(b.ctx, &c.entry); errors.Is(err, errNotMended) && !w.over() {
				return &Abort{Reason: err.Error()}
			} else if err != nil && !errors.Is(err, errNotMended) {
				return err
			}
			continue
		}
		select {
		case <-w.changed:
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
}

func (b *waiterBody) fetchStored(at int64) error {
	part, err := readPart(b.ctx, b.w.store, b.w.id, b.attempt, at)
	if err != nil {
		return err
	}
	b.w.mu.Lock()
	delete(b.w.onDisk, at)
	b.w.next += int64(len(part))
	b.w.mu.Unlock()
	b.rest = part
	return nil
}

// fetchChunk opens the chunk at an offset, which is asked for again where it can no longer be read.
func (b *waiterBody) fetchChunk(at int64, c piece) (err error) {
	for tries := 0; ; tries++ {
		if b.plain, err = chunk.ReadChunk(b.ctx, b.w.chunks, &c.entry, b.plain); err == nil {
			break
		}
		if !unreadable(err) || tries == maxMends {
			return &Abort{Reason: "a part of the answer could not be read from the chunk store"}
		}
		if err = b.w.mend(b.ctx, &c.entry); errors.Is(err, errNotMended) {
			return &Abort{Reason: err.Error()}
		} else if err != nil {
			return err
		}
	}
	b.w.mu.Lock()
	delete(b.w.inChunks, at)
	b.w.next += int64(len(b.plain))
	b.w.mu.Unlock()
	b.rest = b.plain
	return nil
}

// Close tells that the caller reads no further. Who has read all of it has not left: its last chunk may be here before the
// loop has heard of it, and ends the call then.
func (b *waiterBody) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.w.mu.Lock()
	whole := b.w.total == b.w.next && len(b.rest) == 0
	left := !b.w.ended && !whole && b.w.leave != nil
	leave := b.w.leave
	b.w.mu.Unlock()
	b.w.abandon()
	if left {
		leave()
	}
	return nil
}

// abandon notes that nobody reads any further.
func (w *waiter) abandon() {
	w.mu.Lock()
	closed := w.closed
	w.gone, w.closed = true, nil
	w.mu.Unlock()
	if closed != nil {
		closed()
	}
}

// readOn notes how far the caller has read, and has the window raised where that is due.
func (w *waiter) readOn(now time.Time) {
	w.mu.Lock()
	limit, due := w.credit.take(w.next, now, w.trip)
	due = due && w.raise != nil && !w.ended
	w.mu.Unlock()
	if due {
		w.raise(limit)
	}
}

// readPart reads one stored body part.
func readPart(ctx context.Context, r store.Reader, id ID, attempt int, offset int64) ([]byte, error) {
	row, err := r.InboxPart(ctx, id, attempt, offset)
	if err != nil {
		return nil, err
	}
	return plainOf(row)
}
