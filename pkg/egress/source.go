package egress

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// source lends a request body to net/http, whose write loop may read on after the call has returned: once
// stopped, or opened again from the start, earlier readers get nothing more.
type source struct {
	small   []byte     // a short body, whole; then there is nothing to guard
	reading sync.Mutex // held while r is at work, which may take long; taken before mu
	r       io.Reader
	seeker  io.Seeker // nil: the body can be read once
	start   int64     // where the body begins in seeker

	mu     sync.Mutex
	begun  bool // something was read
	gen    int
	onRead func()
	err    error // with which the body failed, not io.EOF
}

var errBodyTaken = errors.New("the request body is no longer lent")

// smallBody is up to which length a body is taken into memory: net/http then sends it in one write with the
// head, and can start over whatever reader it came from.
const smallBody = 64 << 10

// newSource lends r, of which length bytes are the body; -1: up to its end.
func newSource(r io.Reader, length int64) *source {
	s := &source{r: r, onRead: func() {}}
	if length >= 0 && length <= smallBody {
		s.small = make([]byte, length)
		_, s.err = io.ReadFull(r, s.small)
		return s
	}
	if seeker, ok := r.(io.Seeker); ok {
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			s.seeker, s.start = seeker, start
		}
	}
	return s
}

// replayable says whether the body can be read more than once.
func (s *source) replayable() bool { return s.small != nil || s.seeker != nil }

// open lends the body.
func (s *source) open() io.ReadCloser {
	if s.small != nil {
		return io.NopCloser(bytes.NewReader(s.small))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &loan{s, s.gen}
}

// rewind goes back to the body's beginning; false where that cannot be. Earlier readers get nothing more.
func (s *source) rewind() bool {
	if s == nil || s.small != nil {
		return true
	}
	s.mu.Lock()
	s.gen++
	begun := s.begun
	s.mu.Unlock()
	if !begun {
		return true
	}
	if s.seeker == nil {
		return false
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	_, err := s.seeker.Seek(s.start, io.SeekStart)
	return err == nil
}

// reopen lends the body once more, from its beginning.
func (s *source) reopen() (io.ReadCloser, error) {
	if !s.rewind() {
		return nil, errBodyTaken
	}
	return s.open(), nil
}

// stop returns when no reader is at work and none will be. What a reader waits for must have been ended before.
func (s *source) stop() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.gen++
	s.mu.Unlock()
	s.reading.Lock()
	defer s.reading.Unlock() // nothing: whoever comes later sees that it is over
}

// watch has f called at every read from now on; it returns when no earlier one is being called.
func (s *source) watch(f func()) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRead = f
}

// failed gives the error with which the body could not be read on.
func (s *source) failed() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

type loan struct {
	s   *source
	gen int
}

func (l *loan) Read(p []byte) (int, error) {
	l.s.reading.Lock()
	defer l.s.reading.Unlock()
	if !l.begin() {
		return 0, errBodyTaken
	}
	n, err := l.s.r.Read(p)
	if err != nil && err != io.EOF {
		l.s.mu.Lock()
		l.s.err = err
		l.s.mu.Unlock()
	}
	return n, err
}

// begin says whether the body is still lent.
func (l *loan) begin() bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.gen != l.s.gen {
		return false
	}
	l.s.begun = true
	l.s.onRead()
	return true
}

func (l *loan) Close() error { return nil }
