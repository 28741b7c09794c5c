package dataapi

import (
	"context"
	"io"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
)

// sendFor is how long data that is being sent is kept here for it.
const sendFor = 24 * time.Hour

// send has a peer take the data of a map. It stays here until the peer has it, for a day at most.
func (c *call) send() *exchange.Problem {
	m, p := c.needMap()
	if p != nil {
		return p
	}
	to := c.params["to"]
	if to == "" {
		return exchange.Problemf(exchange.CodeBadRequest, "say to which site: ?to=NAME")
	}
	if c.r.ContentLength != 0 {
		return exchange.Problemf(exchange.CodeBadRequest, "send takes no body")
	}
	if c.s.o.Mover == nil {
		return exchange.Problemf(exchange.CodeNoPeer, "no peer %q", to)
	}
	if p := c.stay(m); p != nil {
		return p
	}
	c.sending = true
	_ = c.sent.ctl.SetWriteDeadline(time.Time{}) // waiting is no stall; the next write sets another
	wait, applied := c.s.o.Exchanges.Wait(c.r.Header, usualWait)
	var id exchange.ID
	resp, err := c.s.o.Mover.Send(c.r.Context(), m, to, c.party(), c.client(), wait, func(x exchange.ID) { id = x })
	if err != nil {
		return c.notYet(id, applied, err)
	}
	defer resp.Body.Close()
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Hoft-Exchange", id.String())
	c.w.WriteHeader(resp.Status)
	_, _ = io.Copy(c.w, resp.Body) // the client left; the peer has the data
	return nil
}

// stay sees to it that all of the data is here and stays for the time of sending it.
func (c *call) stay(m *chunk.Map) *exchange.Problem {
	if len(m.Entries) == 0 {
		return nil
	}
	ctx := c.r.Context()
	kept, err := c.s.kept(ctx, m)
	if err != nil {
		return storeProblem(err)
	}
	if kept {
		return nil
	}
	k := c.s.keeper(sendKeeper)
	defer k.release()
	if p := c.here(m, 0, m.Size(), k); p != nil {
		return p
	}
	return k.done(ctx, m, c.s.now().Add(sendFor))
}

// Names under which data is kept that no token keeps: what is being sent, and what peers sent. No token can have them.
const (
	sendKeeper = "/send"
	fromKeeper = "/from/"
)

// KeepFor implements datapipe.Keeper: what a peer sent is kept as data of data.ttl is, for a day where that is without end.
func (s *Server) KeepFor(ctx context.Context, m *chunk.Map, peer string) (time.Time, *exchange.Problem) {
	ttl := s.o.Config.TTL
	if ttl <= 0 {
		ttl = sentFor
	}
	until := s.now().Add(ttl).Truncate(time.Second)
	if len(m.Entries) == 0 {
		return until, nil
	}
	k := s.keeper(fromKeeper + peer)
	defer k.release()
	if err := k.all(ctx, m); err != nil {
		return time.Time{}, storeProblem(err)
	}
	return until, k.done(ctx, m, until)
}

// sentFor is how long data that a peer sent is kept where data.ttl is without end.
const sentFor = 24 * time.Hour
