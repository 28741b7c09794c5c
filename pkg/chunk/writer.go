package chunk

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
)

// WriterOptions are the choices of a Writer; the zero value cuts by content and does not compress.
type WriterOptions struct {
	// Compress tries zstd on each chunk, nodes of the map too, and keeps what saves 5 %. Off for bodies that mix secrets with text that others choose.
	Compress bool
	// Fixed cuts every MiB, whatever the content.
	Fixed bool
}

// errAborted is why a Writer ended that was aborted.
var errAborted = errors.New("chunk writer was aborted")

// Writer turns a stream of plaintext into sealed chunks and a data map. It seals on several cores and hands the chunks
// in order, as soon as they are sealed, to the sink, which a goroutine of the Writer calls, one call at a time. Memory
// is bounded by a few chunks. End it by Close or Abort. Not safe for concurrent use.
type Writer struct {
	ctx   context.Context
	s     *Sealer
	o     WriterOptions
	sink  Sink
	cut   cutter
	buf   []byte // the chunk that is filling; nil between chunks
	class int    // of the buffer that the next chunk begins with
	total int64
	queue chan *job     // sealed in order; nil until the first chunk
	slots chan struct{} // bounds jobs that are not yet through the sink
	end   chan struct{} // closed when the sink's goroutine has ended
	stop  chan struct{} // closed when the sink failed or the Writer was aborted
	once  sync.Once
	err   error // why it stopped; read after stop was closed
	done  bool
	nodes nodes
	// chunked says that a chunk was cut, or taken over: the data is too long for the map itself.
	chunked bool
}

// job is one chunk on its way to the sink.
type job struct {
	buf    []byte
	slots  int
	out    Sealed
	sealed chan struct{}
}

// NewWriter begins a body. The sink is called until Close or Abort has returned, and not after it. ctx ends the waiting for
// memory that others use; what the sink waits for is the sink's.
func NewWriter(ctx context.Context, s *Sealer, o WriterOptions, sink Sink) *Writer {
	w := &Writer{ctx: ctx, s: s, o: o, sink: sink, stop: make(chan struct{}), end: make(chan struct{})}
	if !o.Fixed {
		w.cut.g = &s.table
	}
	w.nodes = nodes{s: s, sink: sink, full: nodeEntries, root: MaxRoot, compress: o.Compress}
	w.s.memory.join()
	return w
}

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 { return w.total }

// Write takes plaintext. It blocks while the sink is behind, and fails with the sink's error.
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if err := w.failed(); err != nil {
			return n, err
		}
		w.room()
		k := copy(w.buf[len(w.buf):w.limit()], p)
		w.buf = w.buf[:len(w.buf)+k]
		n, p = n+k, p[k:]
		if err := w.filled(k); err != nil {
			return n, err
		}
	}
	return n, nil
}

// ReadFrom takes plaintext from r up to io.EOF, without a copy in between. An error of r is returned as it is; the
// Writer can go on after it.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	for {
		if err := w.failed(); err != nil {
			return n, err
		}
		w.room()
		k, rerr := r.Read(w.buf[len(w.buf):w.limit()])
		w.buf = w.buf[:len(w.buf)+k]
		n += int64(k)
		if err := w.filled(k); err != nil {
			return n, err
		}
		if rerr == io.EOF {
			return n, nil
		}
		if rerr != nil {
			return n, rerr
		}
	}
}

// Flush ends the chunk under way, so that what was written travels. The data is then cut at another place than its
// content says: for streams that pause.
func (w *Writer) Flush() error {
	if err := w.failed(); err != nil || len(w.buf) == 0 {
		return err
	}
	return w.ship(len(w.buf))
}

// Close seals what is left and gives the map. It returns when the sink has had everything, or with its error.
func (w *Writer) Close() (Map, error) {
	if w.done {
		return Map{}, errAborted
	}
	defer w.finish()
	if err := w.failed(); err != nil {
		return Map{}, err
	}
	if !w.chunked && len(w.buf) <= MaxInline { // too short for chunks
		return Map{Cnt: append([]byte{}, w.buf...)}, nil
	}
	if len(w.buf) > 0 {
		if err := w.ship(len(w.buf)); err != nil {
			return Map{}, err
		}
	}
	if err := w.drain(); err != nil {
		return Map{}, err
	}
	return w.nodes.top()
}

// drain waits until the sink has had every chunk that was cut.
func (w *Writer) drain() error {
	if w.queue != nil {
		close(w.queue)
		<-w.end
		w.queue, w.end = nil, make(chan struct{})
	}
	return w.failed()
}

// take goes on with a chunk that is there already, between two cuts.
func (w *Writer) take(e Entry) error {
	if err := w.drain(); err != nil {
		return err
	}
	w.total += e.Len
	w.chunked = true
	return w.nodes.line(e)
}

// Abort ends the Writer without a map and returns when the sink is no longer called. After Close it does nothing.
func (w *Writer) Abort() {
	if !w.done {
		w.fail(errAborted)
		w.finish()
	}
}

// finish ends the goroutine and gives everything back.
func (w *Writer) finish() {
	w.done = true
	if w.queue != nil {
		close(w.queue)
		<-w.end
	}
	if w.buf != nil {
		w.s.memory.put(w.buf)
		w.buf = nil
	}
	w.s.memory.leave()
}

// failed gives the error that ended the Writer, nil while it works.
func (w *Writer) failed() error {
	if w.done {
		return errAborted
	}
	select {
	case <-w.stop:
		return w.err
	default:
		return nil
	}
}

// limit is up to where the buffer is filled next: not all of it, for what lies behind a cut is copied.
func (w *Writer) limit() int { return min(len(w.buf)+stride, w.full()) }

// full is how much the buffer holds.
func (w *Writer) full() int { return cap(w.buf) - slack }

// stride is how much is read at a time, in bytes.
const stride = 256 << 10

// room makes sure that there is a buffer with space in it.
func (w *Writer) room() {
	if w.buf == nil {
		w.buf = w.fresh(0)
	}
	if len(w.buf) < w.full() {
		return
	}
	bigger := append(w.s.memory.get(classOf(len(w.buf)+1)), w.buf...)
	w.s.memory.put(w.buf)
	w.buf = bigger
}

// fresh gives a buffer for a chunk that begins with n bytes: one as large as the last chunk needed, if there is room.
func (w *Writer) fresh(n int) []byte {
	class := classOf(n)
	if w.class > class && w.s.memory.room(w.class) {
		class = w.class
	}
	return w.s.memory.get(class)
}

// filled looks for a cut after k more bytes came, and ships what lies before it.
func (w *Writer) filled(k int) error {
	w.total += int64(k)
	for len(w.buf) > 0 {
		n := w.cut.scan(w.buf)
		if n == 0 && len(w.buf) == w.full() {
			crowded, err := w.crowded()
			if err != nil {
				return err
			}
			if crowded {
				n = len(w.buf)
			}
		}
		if n == 0 {
			return nil
		}
		if err := w.ship(n); err != nil {
			return err
		}
	}
	return nil
}

// crowded says that a full buffer cannot grow because others use the memory: it is cut where it is then, and the same data
// elsewhere another time. So what is under way is waited for before.
func (w *Writer) crowded() (bool, error) {
	if len(w.buf) < minCut {
		return false, nil
	}
	class := classOf(len(w.buf) + 1)
	err := w.s.memory.await(w.ctx, class)
	return !w.s.memory.grows(class), err
}

// ship sends the first n bytes to be sealed and begins the next chunk with the rest.
func (w *Writer) ship(n int) error {
	if w.queue == nil {
		depth := runtime.GOMAXPROCS(0) + 1
		w.queue, w.slots = make(chan *job, depth+1), make(chan struct{}, depth)
		go w.deliver(w.queue)
	}
	w.chunked = true
	j := &job{buf: w.buf[:n], sealed: make(chan struct{})}
	if err := w.admit(j); err != nil {
		return err
	}
	rest := w.buf[n:]
	w.class, w.buf = classOf(min(n+n/2, MaxChunk)), nil
	if len(rest) > 0 {
		w.buf = append(w.fresh(len(rest)), rest...)
	}
	w.cut.reset()
	go func() {
		defer close(j.sealed)
		j.out = w.s.Seal(j.buf[:0], j.buf, w.o.Compress)
	}()
	w.s.memory.begin()
	w.queue <- j // has room for every slot
	return nil
}

// admit waits until a chunk may be under way. When memory is short it is under way alone, and after those of others.
func (w *Writer) admit(j *job) error {
	want := 1
	if !w.s.memory.room(classOf(len(j.buf))) {
		want = cap(w.slots)
		if err := w.s.memory.await(w.ctx, classOf(len(j.buf))); err != nil {
			return err
		}
	}
	for ; j.slots < want; j.slots++ {
		select {
		case w.slots <- struct{}{}:
		case <-w.stop: // the Writer is over; nobody waits for the slots
			return w.err
		}
	}
	return nil
}

// deliver calls the sink with one chunk after the other, until the Writer stops.
func (w *Writer) deliver(queue <-chan *job) {
	defer close(w.end)
	for j := range queue {
		<-j.sealed
		select {
		case <-w.stop:
		default:
			if err := w.nodes.add(j.out); err != nil {
				w.fail(err)
			}
		}
		w.s.memory.put(j.buf)
		w.s.memory.done()
		for ; j.slots > 0; j.slots-- {
			<-w.slots
		}
	}
}

func (w *Writer) fail(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.stop)
	})
}
