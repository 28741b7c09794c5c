package ingress

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
)

// later answers 202: the call is accepted, and here is where its state can be asked for. Pollers of Azure look into
// Operation-Location, others into Location (RFC 9110 section 15.3.3).
func (c *call) later() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), 5*time.Second)
	defer cancel()
	state, err := c.s.caller.State(ctx, c.out.Exchange)
	if err != nil { // it is accepted all the same, and must not look refused
		c.s.log.Warn().Err(err).Stringer("exchange", c.out.Exchange).Msg("the state of an accepted call could not be read in time")
		state = &exchange.State{ID: c.out.Exchange, Peer: c.rt.peerName, Upstream: c.out.Upstream, Method: c.out.Method,
			Stage: exchange.StageAccepted, State: exchange.StateRunning, Created: c.begun, Deadline: c.out.Deadline}
	}
	h := c.w.Header()
	h.Set("Location", c.about.statusURL())
	h.Set("Operation-Location", c.about.statusURL())
	h.Set("Link", "<"+c.about.statusURL()+`>; rel="status"`)
	h.Set("Proxy-Status", item(c.s.site)+"; next-hop="+sfString(c.rt.peerName))
	c.setApplied(h)
	c.s.pending(c.w, c.r.Context(), http.StatusAccepted, state)
	c.end(http.StatusAccepted, "")
}

// setApplied says which of the caller's preferences counted, beside those that the callee says it applied.
func (c *call) setApplied(h http.Header) {
	if len(c.patience.applied) > 0 {
		h.Add("Preference-Applied", strings.Join(c.patience.applied, ", "))
	}
}

// pending answers with the state of an exchange.
func (s *Server) pending(w http.ResponseWriter, ctx context.Context, status int, state *exchange.State) {
	body := s.describeState(ctx, state)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Hoft-Exchange", body.ID)
	if !body.Done {
		h.Set("Retry-After", strconv.Itoa(s.caller.RetryAfter(state.Peer, time.Since(state.Created))))
	}
	writeJSON(w, status, body)
}

// longPoll waits for the end of an exchange as long as the caller prefers (RFC 7240 section 4.3).
func (s *Server) longPoll(w http.ResponseWriter, r *http.Request, id exchange.ID) error {
	p := readPreferences(r.Header)
	if !p.hasWait {
		return nil
	}
	wait := min(p.wait, s.waitMax)
	w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopped, cancel)()
	err := s.caller.Await(ctx, id, wait)
	if errors.Is(err, exchange.ErrWait) || s.stopped.Err() != nil {
		return nil // what is known is told
	}
	return err
}
