package dataapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/exchange"
)

// Mover moves stored data between sites: *datapipe.Pipe. Safe for concurrent use.
type Mover interface {
	// Bring has a range of data brought here; see datapipe.Pipe.
	Bring(ctx context.Context, r *datapipe.Request, wait time.Duration) (id exchange.ID, release func(), err error)
	// Send has a peer take data that is here, as an exchange.
	Send(ctx context.Context, m *chunk.Map, to, owner, client string, wait time.Duration, accepted func(exchange.ID)) (*exchange.Response, error)
}

// Exchanges shows what moves: *ingress.Resources. Safe for concurrent use.
type Exchanges interface {
	// Serve answers a request below /.hoft/v1/exchanges for a client.
	Serve(w http.ResponseWriter, r *http.Request, client string)
	// Accepted answers 202 with the state of an exchange that goes on.
	Accepted(w http.ResponseWriter, ctx context.Context, id exchange.ID, applied []string) *exchange.Problem
	// Wait says how long a request prefers to be waited for, and what to say of that.
	Wait(h http.Header, usual time.Duration) (wait time.Duration, applied []string)
}

// usualWait is how long a request is held for data of a peer, unless Prefer says otherwise.
const usualWait = 2 * time.Minute

// later ends a request that was answered with 202.
var later = &exchange.Problem{Code: "later"}

// party names a client of this API among those who make exchanges: its exchanges are no caller's of the ingress.
func (c *call) party() string {
	if c.who == "" {
		return ""
	}
	return "data/" + c.who
}

func (c *call) client() string {
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		return c.r.RemoteAddr
	}
	return host
}

// fetch has a range brought here by peers. The keeper has pinned what is seen of it.
func (c *call) fetch(m *chunk.Map, off, n int64) *exchange.Problem {
	wait, applied := c.s.o.Exchanges.Wait(c.r.Header, usualWait)
	r := &datapipe.Request{Map: *m, Off: off, N: n, Peer: c.params["peer"], Owner: c.party(), Client: c.client()}
	id, release, err := c.s.o.Mover.Bring(c.r.Context(), r, wait)
	if err == nil {
		c.held = append(c.held, release)
		return nil
	}
	return c.notYet(id, applied, err)
}

// notYet answers for an exchange that has not ended well, or not yet.
func (c *call) notYet(id exchange.ID, applied []string, err error) *exchange.Problem {
	var p *exchange.Problem
	switch {
	case errors.As(err, &p):
		return p
	case c.r.Context().Err() != nil:
		return exchange.Problemf(exchange.CodeCanceled, "the client left")
	case errors.Is(err, exchange.ErrWait) && c.r.Method == http.MethodPost && !c.sending: // 202 would say that it will be written
		c.w.Header().Add("Link", "<"+exchangesPath+id.String()+`>; rel="status"`)
		return &exchange.Problem{Code: exchange.CodeTimeoutResponse, RetryAfter: 5, Detail: "the data is still being fetched; nothing was written: send it again when that is done"}
	case errors.Is(err, exchange.ErrWait):
		h := c.w.Header()
		for _, name := range []string{"ETag", "Vary", "Repr-Digest"} {
			h.Del(name)
		}
		if p := c.s.o.Exchanges.Accepted(c.w, c.r.Context(), id, applied); p != nil {
			return p
		}
		return later
	}
	return storeProblem(err)
}

// exchange shows a fetch or a sending of this client: its state and events, as the ingress shows calls.
func (c *call) exchange() *exchange.Problem {
	if c.s.o.Exchanges == nil {
		return exchange.Problemf(exchange.CodeNotFound, "nothing moves between sites here")
	}
	_ = c.sent.ctl.SetWriteDeadline(time.Time{}) // waiting is no stall
	c.s.o.Exchanges.Serve(c.w, c.r, c.party())
	return nil
}

// letGo releases what was brought for this request.
func (c *call) letGo() {
	for _, release := range c.held {
		release()
	}
}

// missing says whether anything of a range is not here, as far as the nodes tell that are. With a keeper everything is
// pinned before it is looked for, so that what is here stays.
func (s *Server) missing(ctx context.Context, m *chunk.Map, off, n int64, k *keeper) (bool, error) {
	missing := false
	_, err := chunk.WalkRange(ctx, *m, s.o.Chunks, off, n, func(e chunk.Entry, name chunk.Name) error {
		if k != nil {
			if err := k.add(ctx, name); err != nil {
				return err
			}
		}
		missing = missing || !s.o.Chunks.Holds(chunk.Record{Name: name, Hsh: e.Hsh})
		return nil
	})
	return missing, err
}
