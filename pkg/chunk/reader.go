package chunk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// Reader gives a range of a map's data, in order. Chunks are fetched and opened ahead of it, on several cores, a few at
// most; only those that hold bytes of the range (and the map nodes above them) are touched. Every byte it gives is
// verified. A chunk that cannot be read ends it with a ChunkError after all bytes before that chunk. It must be closed.
// Not safe for concurrent use.
type Reader struct {
	ctx    context.Context
	cancel context.CancelFunc
	src    Source
	left   int64       // bytes that are still to be given
	queue  chan *piece // in order; nil for a map that holds its content
	slots  chan struct{}
	cur    *piece // nil: none
	plain  []byte // of cur, what was not given yet
	err    error
}

// piece is one chunk on its way from the source.
type piece struct {
	entry    Entry
	slots    int
	ct, text []byte // buffers; nil: none
	plain    []byte
	err      error
	ready    chan struct{}
}

// NewReader reads all data of a map. ctx ends it.
func NewReader(ctx context.Context, m Map, src Source) *Reader {
	r, err := NewRange(ctx, m, src, 0, m.Size())
	if err != nil {
		panic(err) // the range is the whole
	}
	return r
}

// NewRange reads n bytes from byte off on; both lie within the data, or ErrRange.
func NewRange(ctx context.Context, m Map, src Source, off, n int64) (*Reader, error) {
	if size := m.Size(); off < 0 || n < 0 || off > size || n > size-off {
		return nil, fmt.Errorf("%w: %d bytes from %d of %d", ErrRange, n, off, size)
	}
	r := &Reader{src: src, left: n}
	r.ctx, r.cancel = context.WithCancel(ctx)
	memory.join()
	switch {
	case n == 0:
	case len(m.Entries) == 0:
		r.plain = m.Cnt[off : off+n]
	default:
		depth := runtime.GOMAXPROCS(0) + 1
		r.queue, r.slots = make(chan *piece, depth+1), make(chan struct{}, depth)
		go r.fetch(m, off, n, r.queue)
	}
	return r, nil
}

// fetch puts the chunks of the range into the queue, and starts to open each; an error comes last.
func (r *Reader) fetch(m Map, off, n int64, queue chan<- *piece) {
	defer close(queue)
	cur, skip, err := newCursor(r.ctx, &m, r.src, off)
	for n > 0 && err == nil {
		var e *Entry
		if e, err = cur.next(); err == io.EOF {
			err = fmt.Errorf("%w: it ends early", ErrMap)
		}
		if err != nil {
			break
		}
		p := &piece{entry: *e, ready: make(chan struct{})}
		if err = r.admit(p); err != nil {
			break
		}
		from, to := skip, min(e.Len, skip+n)
		go r.open(p, from, to)
		queue <- p // has room for every slot
		n, skip = n-(to-from), 0
	}
	if err != nil {
		p := &piece{err: err, ready: make(chan struct{})}
		close(p.ready)
		queue <- p
	}
}

// sealed guesses the length of the ciphertext, which the map does not say of compressed chunks. Where it is too low the
// source makes a buffer.
func (p *piece) sealed() int {
	if p.entry.Alg != AlgNone {
		return int(p.entry.Len / 2)
	}
	return int(p.entry.Len)
}

// admit waits until the chunk may be held. When memory is short it is held alone.
func (r *Reader) admit(p *piece) error {
	want := 1
	if !memory.room(classOf(int(p.entry.Len))) {
		want = cap(r.slots)
	}
	for p.slots < want {
		select {
		case r.slots <- struct{}{}:
			p.slots++
		case <-r.ctx.Done():
			r.release(p)
			return context.Cause(r.ctx)
		}
	}
	return nil
}

// release gives back what a piece holds.
func (r *Reader) release(p *piece) {
	for ; p.slots > 0; p.slots-- {
		<-r.slots
	}
	for _, b := range [][]byte{p.ct, p.text} {
		if b != nil {
			memory.put(b)
		}
	}
	p.ct, p.text, p.plain = nil, nil, nil
}

// open fetches a chunk and leaves its bytes from and to in the piece.
func (r *Reader) open(p *piece, from, to int64) {
	defer close(p.ready)
	name := p.entry.Name()
	if _, ok := r.src.(FillSource); ok {
		p.ct = memory.get(classOf(p.sealed()))
	}
	ct, err := fetch(r.ctx, r.src, &p.entry, name, p.ct)
	if err == nil {
		if p.entry.Alg != AlgNone {
			p.text = memory.get(classOf(int(p.entry.Len)))
		}
		p.plain, err = openFrom(r.ctx, r.src, &p.entry, name, ct, p.text)
	}
	if err != nil {
		p.err = failed(r.ctx, r.src, &p.entry, name, err)
		return
	}
	p.plain = p.plain[from:to]
}

// advance makes sure that there are bytes to give, or returns why there are none.
func (r *Reader) advance() error {
	for len(r.plain) == 0 {
		if r.err != nil {
			return r.err
		}
		if r.cur != nil {
			r.release(r.cur)
			r.cur = nil
		}
		if r.left == 0 {
			return io.EOF
		}
		p, ok := <-r.queue
		if !ok {
			return io.ErrUnexpectedEOF // the queue ends with an error or with the range
		}
		<-p.ready
		if r.cur = p; p.err != nil {
			r.err = p.err
			continue
		}
		r.plain = p.plain
	}
	return nil
}

func (r *Reader) given(n int) {
	r.plain = r.plain[n:]
	r.left -= int64(n)
}

// Read gives the next bytes.
func (r *Reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := r.advance(); err != nil {
		return 0, err
	}
	n := copy(b, r.plain)
	r.given(n)
	return n, nil
}

// WriteTo writes everything that is left, a chunk at a time.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if err := r.advance(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		k, err := w.Write(r.plain)
		r.given(k)
		if n += int64(k); err != nil {
			return n, err
		}
	}
}

// errClosed is what a Reader gives after Close.
var errClosed = errors.New("chunk reader is closed")

// Close ends fetching and gives memory back. It may be called twice.
func (r *Reader) Close() error {
	if r.err == errClosed {
		return nil
	}
	r.err, r.plain = errClosed, nil
	r.cancel()
	if r.cur != nil {
		r.release(r.cur)
	}
	if r.queue != nil {
		for p := range r.queue {
			<-p.ready
			r.release(p)
		}
	}
	memory.leave()
	return nil
}

// ReadAt fills b with the data from byte off on, which must all be there (ErrRange). For many or long reads a Reader is better.
func ReadAt(ctx context.Context, m Map, src Source, b []byte, off int64) error {
	r, err := NewRange(ctx, m, src, off, int64(len(b)))
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.ReadFull(r, b)
	return err
}
