// Package exchangetest joins an ingress to an egress without a pipe between them, for tests of the edges.
package exchangetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

// Direct is an exchange.Caller that calls Upstreams in the same process. It keeps every answer in memory, so
// it is for tests alone. Safe for concurrent use once its fields are set.
type Direct struct {
	Upstreams exchange.Upstreams
	Self      identity.ID                   // who asks, as the egress sees it
	PeerName  string                        // who answers, as Proxy-Status shows it
	Before    func(*exchange.Request) error // called when the request is accepted; may wait, may refuse with a *Problem
	Forget    bool                          // answers are not kept, for benchmarks: Result knows none

	mu   sync.Mutex
	rows map[exchange.ID]*row
}

var _ exchange.Caller = (*Direct)(nil)

type row struct {
	state  exchange.State
	answer *exchange.Response // head only
	body   bytes.Buffer
	over   bool
	ended  chan struct{} // closed then
	cancel context.CancelFunc
	trail  exchange.Fields
}

type outcome struct {
	resp *exchange.Response
	err  error
}

// Call reads the whole request, then lets the egress make the call in the background.
func (d *Direct) Call(ctx context.Context, r *exchange.Request, wait time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	id := r.Exchange
	if id == uuid.Nil {
		id = uuid.Must(uuid.NewV7())
	}
	out := *r
	out.Exchange, out.Peer, out.Attempt = id, d.Self, 1
	if out.Body = nil; out.Length != 0 {
		out.Body = bytes.NewReader(body)
	}
	d.add(&out, int64(len(body)))
	accepted(id)

	done := make(chan outcome, 1)
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.update(id, func(w *row) { w.cancel = stop })
	go func() { done <- d.run(runCtx, &out) }()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case o := <-done:
		return o.resp, o.err
	case <-ctx.Done():
		go drain(done)
		return nil, ctx.Err()
	case <-timer.C:
		go drain(done)
		return nil, exchange.ErrWait
	}
}

// drain keeps the answer that nobody waits for.
func drain(done <-chan outcome) {
	if o := <-done; o.resp != nil {
		_, _ = io.Copy(io.Discard, o.resp.Body)
		_ = o.resp.Body.Close()
	}
}

func (d *Direct) run(ctx context.Context, r *exchange.Request) outcome {
	if d.Before != nil {
		if err := d.Before(r); err != nil {
			return outcome{err: d.fail(r.Exchange, err)}
		}
	}
	d.update(r.Exchange, func(w *row) { w.state.Stage = "calling" })
	resp, _, p := d.Upstreams.Do(ctx, r)
	if p != nil {
		return outcome{err: d.fail(r.Exchange, p)}
	}
	resp.PeerName, resp.Exchange = d.PeerName, r.Exchange
	d.update(r.Exchange, func(w *row) {
		head := *resp
		w.answer, w.state.Stage, w.state.Status = &head, "answered", resp.Status
	})
	if d.Forget {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.rows, r.Exchange)
		return outcome{resp: resp}
	}
	resp.Body = &recorder{d: d, id: r.Exchange, rc: resp.Body, trailers: resp.Trailers}
	return outcome{resp: resp}
}

func (d *Direct) fail(id exchange.ID, err error) error {
	d.update(id, func(w *row) {
		w.state.State = "failed"
		errors.As(err, &w.state.Problem)
		w.end()
	})
	return err
}

func (d *Direct) add(r *exchange.Request, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rows == nil {
		d.rows = make(map[exchange.ID]*row)
	}
	d.rows[r.Exchange] = &row{ended: make(chan struct{}), state: exchange.State{ID: r.Exchange, Peer: d.PeerName, Upstream: r.Upstream, Method: r.Method,
		Target: r.Target, Stage: "accepted", State: "running", Created: time.Now(), ReqBytes: bytes}}
}

func (d *Direct) update(id exchange.ID, f func(*row)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d.rows[id])
}

// State gives a copy of what is known.
func (d *Direct) State(_ context.Context, id exchange.ID) (*exchange.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.rows[id]
	if w == nil {
		return nil, exchange.ErrUnknown
	}
	s := w.state
	return &s, nil
}

// Result gives the answer as it was.
func (d *Direct) Result(_ context.Context, id exchange.ID) (*exchange.Response, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.rows[id]
	switch {
	case w == nil:
		return nil, exchange.ErrUnknown
	case w.state.Problem != nil:
		return nil, w.state.Problem
	case !w.over:
		return nil, exchange.ErrPending
	}
	head := *w.answer
	head.Body = io.NopCloser(bytes.NewReader(w.body.Bytes()))
	head.Trailers = func() exchange.Fields { return w.trail }
	return &head, nil
}

func (w *row) end() {
	if !w.over {
		w.over = true
		close(w.ended)
	}
}

func (d *Direct) row(id exchange.ID) *row {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows[id]
}

// Await waits for the end.
func (d *Direct) Await(ctx context.Context, id exchange.ID, wait time.Duration) error {
	w := d.row(id)
	if w == nil {
		return exchange.ErrUnknown
	}
	select {
	case <-w.ended:
		return nil
	case <-time.After(wait):
		return exchange.ErrWait
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cancel ends the call to the callee.
func (d *Direct) Cancel(_ context.Context, id exchange.ID) error {
	w := d.row(id)
	if w == nil {
		return exchange.ErrUnknown
	}
	w.cancel()
	return nil
}

// List gives what is known, in no order and whatever is asked for.
func (d *Direct) List(context.Context, exchange.Filter) (out []*exchange.State, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.rows {
		s := w.state
		out = append(out, &s)
	}
	return out, nil
}

// RetryAfter is always a second.
func (d *Direct) RetryAfter(string, time.Duration) int { return 1 }

// Watch tells nothing: there are no events without a pipe.
func (d *Direct) Watch(context.Context, exchange.ID) (*exchange.Watch, error) {
	return exchange.NewWatch(nil), nil
}

// Events gives none.
func (d *Direct) Events(context.Context, exchange.ID, int64, int) ([]exchange.Event, error) {
	return nil, nil
}

// recorder keeps what is read of an answer.
type recorder struct {
	d        *Direct
	id       exchange.ID
	rc       io.ReadCloser
	trailers func() exchange.Fields
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.rc.Read(p)
	r.d.update(r.id, func(w *row) {
		w.body.Write(p[:n])
		w.state.ResBytes += int64(n)
		if err == io.EOF {
			w.trail = r.trailers()
			w.state.State, w.state.Stage, w.state.Ended = "succeeded", "returned", time.Now()
			w.end()
		}
	})
	return n, err
}

func (r *recorder) Close() error { return r.rc.Close() }
