package exchange

import (
	"context"
	"errors"
	"io"
	"time"
)

// firstPause is how long the beginning of a body may keep its head waiting, and how long a part that
// has begun waits for more: a callee that streams slowly is not held back, one that answers at once
// needs one message only.
const firstPause = 5 * time.Millisecond

// flow reads a response body so that pauses of the callee show: what has come is passed on.
type flow struct {
	ctx   context.Context
	body  io.Reader
	whole bool // short and of known length: read at once, without a goroutine
	data  chan []byte
	err   error // why data was closed; io.EOF at the end
	rest  []byte
}

// newFlow begins to read; closing the body or ending ctx ends its goroutine.
func newFlow(ctx context.Context, resp *Response, limit int) *flow {
	f := &flow{ctx: ctx, body: resp.Body, whole: resp.Length >= 0 && resp.Length <= int64(limit)}
	if !f.whole {
		f.data = make(chan []byte)
		go f.read()
	}
	return f
}

func (f *flow) read() {
	defer close(f.data)
	for {
		buf := make([]byte, partSize)
		n, err := f.body.Read(buf)
		if n > 0 {
			select {
			case f.data <- buf[:n]:
			case <-f.ctx.Done():
				f.err = f.ctx.Err()
				return
			}
		}
		if err != nil {
			f.err = err
			return
		}
	}
}

// next gives up to n bytes. It waits for the first of them at most patience (0: as long as it takes),
// and for more at most firstPause. ended says that the body ended with them.
func (f *flow) next(n int, patience time.Duration) (b []byte, ended bool, err error) {
	if f.whole {
		return f.nextWhole(n)
	}
	out := make([]byte, 0, n)
	wait := patience
	for {
		take := min(n-len(out), len(f.rest))
		out, f.rest = append(out, f.rest[:take]...), f.rest[take:]
		if len(out) == n && len(f.rest) > 0 {
			return out, false, nil
		}
		if len(out) > 0 {
			wait = firstPause
		}
		part, err := f.receive(wait)
		switch {
		case err == nil:
			f.rest = part
		case errors.Is(err, errPause):
			return out, false, nil
		case errors.Is(err, io.EOF):
			return out, true, nil
		default:
			return out, false, err
		}
	}
}

// runPause is after which pause of the callee a run of chunks ends: what has come then travels.
const runPause = 20 * time.Millisecond

// take gives the next piece as it came, within wait.
func (f *flow) take(wait time.Duration) ([]byte, error) {
	if len(f.rest) > 0 {
		b := f.rest
		f.rest = nil
		return b, nil
	}
	return f.receive(wait)
}

// errPause says that nothing came in time.
var errPause = errors.New("pause")

// receive waits for the next piece: for wait, or, when wait is 0, as long as it takes.
func (f *flow) receive(wait time.Duration) ([]byte, error) {
	var over <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		over = t.C
	}
	select {
	case part, ok := <-f.data:
		if !ok {
			return nil, f.err
		}
		return part, nil
	case <-over:
		return nil, errPause
	case <-f.ctx.Done():
		return nil, f.ctx.Err()
	}
}

// nextWhole reads a short body to its end.
func (f *flow) nextWhole(n int) ([]byte, bool, error) {
	buf := make([]byte, n+1)
	got, err := io.ReadFull(f.body, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return buf[:got], true, nil
	}
	if err == nil {
		err = errors.New("the body is longer than announced")
	}
	return buf[:got], false, err
}
