package ingress

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
)

// ServeHTTP answers below /.hoft/ itself and carries everything else.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 { // also for a body that is refused: net/http waits for the rest of a short one
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.stall))
	}
	target, p := s.check(r)
	if p != nil {
		s.problem(w, r, p, about{})
		return
	}
	path, _ := httptarget.Split(target.Raw)
	if code, ok := strings.CutPrefix(path, problemsPath); ok && readOnly(r) {
		extendWrite(w)
		if !httpproblem.Explain(w, r, code) { // for everybody: an answer of 407 refers to it
			s.problem(w, r, exchange.Problemf(exchange.CodeNoRoute, "there is no problem of this code"), about{})
		}
		return
	}
	name, p := s.identify(r)
	if p != nil {
		s.refuse(w, r, p)
		return
	}
	if reservedPath(path) {
		s.serveOwn(w, r, path, name)
		return
	}
	rt := s.find(r.Host, path)
	if rt == nil {
		s.problem(w, r, exchange.Problemf(exchange.CodeNoRoute, "no route covers this host and path"), about{})
		return
	}
	c := &call{s: s, w: w, r: r, rt: rt, name: name, about: about{peer: rt.peerName}, begun: time.Now()}
	c.serve(target)
}

// refuse answers a call of which it is not known who makes it. The log does not repeat what the call showed.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *exchange.Problem) {
	status := s.problem(w, r, p, about{})
	s.log.Info().Str("client", s.client(r)).Str("method", r.Method).Int("status", status).Str("code", p.Code).Msg("call refused")
}

// call is one proxied request.
type call struct {
	s        *Server
	w        http.ResponseWriter
	r        *http.Request
	rt       *route
	name     string // of the caller; "" if anonymous
	out      *exchange.Request
	body     *requestBody // nil without one
	begun    time.Time
	accepted atomic.Bool
	about    about
	patience patience
	written  int64
	keep     bool   // the answer is to be kept as data
	keepFor  string // for whom
}

func (c *call) serve(target httptarget.Target) {
	var p *exchange.Problem
	if c.rt.peer.IsZero() {
		p = exchange.Problemf(exchange.CodeNoPeer, "peer %q is not known here", c.rt.peerName)
	} else if p = c.rt.admits(c.name); p != nil {
		// told below
	} else if c.answeredHere(target) {
		return
	} else if c.out, p = c.s.build(c.r, c.rt, target); p == nil {
		if p = c.prefer(); p == nil {
			p = c.s.newBody(c.w, c.r, c.out, c.rt.maxBody)
			c.body, _ = c.out.Body.(*requestBody)
		}
		if p == nil {
			p = c.storedBody()
		}
		if p == nil {
			p = c.admit()
		}
	}
	if p != nil {
		c.end(c.s.problem(c.w, c.r, p, c.about), p.Code)
		return
	}
	c.carry()
}

// prefer reads how the caller wants to wait.
func (c *call) prefer() (p *exchange.Problem) {
	prefs := readPreferences(c.r.Header)
	if url := c.r.Header.Get(callbackField); url != "" {
		prefs.callback = url
	}
	c.out.Owner, c.out.Strict, c.out.Transient = c.name, prefs.strict, c.rt.transient
	if prefs.callback != "" {
		if c.rt.transient {
			return exchange.Problemf(exchange.CodeNotKept, "keep: none on this route; a callback needs a stored answer")
		}
		if p = c.s.checkCallback(prefs.callback); p != nil {
			return p
		}
		c.out.Callback, c.out.Notify = prefs.callback, c.r.Header.Get(notifyField) == "stages"
	}
	c.patience, c.keep = c.s.wait(prefs, c.rt), prefs.dataMap
	return nil
}

// carry makes the call and writes what comes of it.
func (c *call) carry() {
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	defer context.AfterFunc(c.s.stopped, cancel)()

	resp, err := c.s.caller.Call(ctx, c.out, c.patience.wait, func(id exchange.ID) {
		c.out.Exchange = id
		c.accepted.Store(true)
	})
	if c.accepted.Load() {
		c.about.id = c.out.Exchange.String()
	}
	switch {
	case err == nil:
		c.answer(resp)
	case c.patience.async && errors.Is(err, exchange.ErrWait):
		c.later()
	case c.r.Context().Err() != nil && (c.body == nil || !c.body.late): // net/http ends it at any error of reading
		c.left(err)
	default:
		p := c.problem(err)
		c.end(c.s.problem(c.w, c.r, p, c.about), p.Code)
	}
}

// left answers a caller from whose connection no more can be read. Most have gone; but one that shut only its sending side
// still reads, and what net/http writes for a handler that says nothing, an empty 200, would be a lie.
func (c *call) left(err error) {
	var p *exchange.Problem
	switch {
	case errors.As(err, &p):
	case c.accepted.Load():
		p = exchange.Problemf(exchange.CodeTimeoutResponse, "the caller closed its side of the connection before an answer came; the call goes on")
		p.RetryAfter = c.s.caller.RetryAfter(c.rt.peerName, time.Since(c.begun))
	default:
		p = exchange.Problemf(exchange.CodeBadRequest, "the caller closed its side of the connection before the call was accepted")
	}
	c.s.problem(c.w, c.r, p, c.about)
	c.end(499, "caller-left")
}

// problem turns what Call returned into what the caller is told.
func (c *call) problem(err error) *exchange.Problem {
	var p *exchange.Problem
	switch {
	case errors.As(err, &p):
		if c.about.stage = p.Stage; p.Stage == "" {
			c.about.stage = c.stage()
		}
		return c.withRetry(p)
	case errors.Is(err, exchange.ErrWait), c.s.stopped.Err() != nil && c.accepted.Load():
		return c.overdue()
	case c.s.stopped.Err() != nil:
		return &exchange.Problem{Code: exchange.CodeStoreFailed, Detail: "the site is stopping", RetryAfter: 1}
	}
	c.s.log.Error().Str("peer", c.rt.peerName).Stringer("exchange", c.out.Exchange).Err(err).Msg("call failed in a way that has no code")
	return exchange.Problemf(exchange.CodeInternal, "the call failed; the site's log says why")
}

// overdue is the end of the wait: the exchange goes on, and its stage decides what is late.
func (c *call) overdue() *exchange.Problem {
	c.about.stage = c.stage()
	p := exchange.Problemf(exchange.CodeTimeoutResponse, "the request has arrived, no answer came within %s", c.patience.wait)
	switch c.about.stage {
	case "", "accepted", "queued", "written":
		p = exchange.Problemf(exchange.CodeTimeoutAck, "the request is stored here and waits for its way to %s", c.rt.peerName)
	}
	p.RetryAfter = c.s.caller.RetryAfter(c.rt.peerName, time.Since(c.begun))
	return p
}

// withRetry adds when to try again where the code speaks of a state that passes.
func (c *call) withRetry(p *exchange.Problem) *exchange.Problem {
	if p.RetryAfter > 0 || exchange.Kinds[p.Code].Status != http.StatusServiceUnavailable {
		return p
	}
	later := *p
	later.RetryAfter = c.s.caller.RetryAfter(c.rt.peerName, 0)
	return &later
}

// stage asks how far an accepted exchange came; "" if that cannot be told.
func (c *call) stage() string {
	if !c.accepted.Load() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), 5*time.Second)
	defer cancel()
	state, err := c.s.caller.State(ctx, c.out.Exchange)
	if err != nil {
		return ""
	}
	return state.Stage
}

// end writes the one line that the log has for each call. No target: its query may hold secrets.
func (c *call) end(status int, code string) {
	e := c.s.log.Info().Str("peer", c.rt.peerName).Str("upstream", c.rt.upstream).Str("method", c.r.Method).Int("status", status)
	if c.name != "" {
		e = e.Str("caller", c.name)
	}
	if c.about.id != "" {
		e = e.Str("exchange", c.about.id)
	}
	if code != "" {
		e = e.Str("code", code)
	}
	if c.out != nil {
		e = e.Str("trace_id", traceID(c.out.Fields))
		if c.body != nil {
			e = e.Int64("bytes_in", c.body.read)
		}
	}
	e.Int64("bytes_out", c.written).Dur("rtt_ms", time.Since(c.begun)).Msg("exchange done")
}
