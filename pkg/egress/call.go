package egress

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
)

// Causes with which a call is canceled.
var (
	errHeadLate = errors.New("no response head within the upstream's timeout")
	errBodyLate = errors.New("no more of the response body within the upstream's timeout")
	errTooLong  = errors.New("the call took longer than the upstream's max_time")
	errClosed   = errors.New("the response body was closed")
)

// call is one request to a callee, from the dial to the end of the response body.
type call struct {
	egress  *Egress
	u       *upstream
	r       *exchange.Request
	body    *source
	ctx     context.Context
	cancel  context.CancelCauseFunc
	limit   *time.Timer // of the whole call; nil: none
	witness *witness    // of the current try
	err     error       // why it failed, with addresses; for the log alone
}

func newCall(ctx context.Context, e *Egress, u *upstream, r *exchange.Request) *call {
	c := &call{egress: e, u: u, r: r}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	if u.total > 0 {
		c.limit = time.AfterFunc(u.total, func() { c.cancel(errTooLong) })
	}
	if b, ok := r.Body.(interface{ Within(context.Context) }); ok {
		b.Within(c.ctx) // what it waits for may never come
	}
	if r.Body != nil && r.Length != 0 {
		c.body = newSource(r.Body, r.Length)
	}
	return c
}

// run waits for the response head. The upstream's timeout starts again whenever the callee takes more of the
// request, so a long upload is no late answer.
func (c *call) run() (*exchange.Response, bool, *exchange.Problem) {
	if err := c.body.failed(); err != nil {
		c.err = err
		c.close()
		return nil, false, exchange.Problemf(exchange.CodeInternal, "the request's body could not be read")
	}
	late := time.AfterFunc(c.u.timeout, func() { c.cancel(errHeadLate) })
	c.body.watch(func() { late.Reset(c.u.timeout) })
	called := time.Now()
	resp, err := c.roundTrip()
	for err != nil && c.startsOver() {
		resp, err = c.roundTrip()
	}
	answered := time.Now()
	if err == nil {
		c.u.protocol.Store(int32(resp.ProtoMajor))
	}
	if err != nil {
		c.err = err
		sent := c.witness.sent()
		p := c.problem(err, sent)
		c.end(late)
		return nil, sent, p
	}
	c.body.watch(func() {})
	var out *exchange.Response
	var p *exchange.Problem
	if late.Stop() {
		out, p = c.response(resp)
	} else {
		p = c.problem(errHeadLate, true)
	}
	if p != nil {
		c.end(late)
		_ = resp.Body.Close()
		return nil, true, p
	}
	out.Callee = exchange.Callee{Addr: c.witness.remote(), Called: called, Answered: answered, Duration: answered.Sub(called)}
	return out, true, nil
}

// roundTrip makes one request, or two where the first was refused for what it showed.
func (c *call) roundTrip() (*http.Response, error) {
	for second := false; ; second = true {
		c.witness = new(witness)
		req := c.u.request(httptrace.WithClientTrace(c.ctx, c.witness.trace()), c.r, c.egress.site, c.body)
		shown, err := c.show(req)
		if err != nil {
			return nil, err
		}
		resp, err := c.u.transport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if second || !c.refused(resp, shown) {
			c.keepCookies(resp)
			return resp, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, refusalRead) // so that the connection can serve the second
		_ = resp.Body.Close()
	}
}

// refusalRead is how much of a refusal's body is read before the call is made again, in bytes.
const refusalRead = 16 << 10

// startsOver says whether a failed try may be made again: the callee had closed a kept connection before a byte of the
// request was written to it. net/http does this for some of the errors that it can mean, not for all.
func (c *call) startsOver() bool {
	return !c.witness.sent() && c.witness.reused() && c.whyCanceled() == nil && c.body.failed() == nil && c.body.rewind()
}

// end stops everything that the call started.
func (c *call) end(late *time.Timer) {
	late.Stop()
	c.close() // first: a reader of the body may be waiting
	c.body.stop()
}

// close ends the callee's request if it still runs.
func (c *call) close() {
	if c.limit != nil {
		c.limit.Stop()
	}
	c.cancel(errClosed)
}

// cause is the whole reason of a failure, for the log of this site.
func (c *call) cause() string {
	if c.err == nil {
		return ""
	}
	return c.err.Error()
}

// hasBody says whether a response to the method may have a body (RFC 9110 section 6.4.1).
func hasBody(method string, status int) bool {
	return method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
}
