// Package egress is the callees' face: it lets peers reach the listed upstreams, and nothing else, and makes the calls.
package egress

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

// Egress makes calls to the upstreams of its configuration. Safe for concurrent use.
type Egress struct {
	site      string
	peers     map[identity.ID]string
	upstreams map[string]*upstream
	order     []*upstream // as configured
	log       zerolog.Logger
}

var _ exchange.Upstreams = (*Egress)(nil)

// New checks the upstreams and reads their CA files. site is this site's name, as Via shows it; peers
// gives the names by which upstreams list them; blocked are hoft's own listeners, which no call may
// reach (an unspecified address stands for every address of this host).
func New(cfg config.Egress, site string, peers map[identity.ID]string, blocked []netip.AddrPort, secrets Secrets, log zerolog.Logger) (*Egress, error) {
	e := &Egress{site: site, peers: peers, upstreams: make(map[string]*upstream), log: log}
	for _, c := range cfg.Upstreams {
		if e.upstreams[c.Name] != nil {
			return nil, fmt.Errorf("egress: two upstreams are called %q: give each its own name", c.Name)
		}
		u, err := newUpstream(c, blocked)
		if err == nil {
			err = u.logIn(c, blocked, secrets, log)
		}
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("egress: upstream %q: %w", c.Name, err)
		}
		e.upstreams[c.Name] = u
		e.order = append(e.order, u)
	}
	return e, nil
}

// Slots is how many calls may run at once against the upstream; 0: there is no such upstream.
func (e *Egress) Slots(name string) int {
	u := e.upstreams[name]
	if u == nil {
		return 0
	}
	return u.slots
}

// Close drops idle connections and ends requests for tokens. Calls that run are not touched: their contexts end them.
func (e *Egress) Close() {
	for _, u := range e.upstreams {
		u.transport.CloseIdleConnections()
		u.keeper.Close()
	}
}

// Do makes the call. r.Body is read until the callee has it all or has answered and its answer's body was
// closed; it is not touched after Do returned a problem. Where it has a method Within(context.Context), that is called before it is read: no
// read may take longer than that context lasts. Where r.Body is short or an io.Seeker, a call of which nothing was written
// yet (the callee had closed an idle connection) starts over on a new connection. Beyond that a request is
// sent once; only GET, HEAD, OPTIONS and TRACE may be sent again by net/http when an idle connection turns
// out dead (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
//
// ctx bounds the call and the response's body; closing the body ends the callee's request.
func (e *Egress) Do(ctx context.Context, r *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	if p := e.Admit(r); p != nil {
		return nil, false, p
	}
	u := e.upstreams[r.Upstream]
	done, p := u.breaker.begin(u.name)
	if p != nil {
		return nil, false, p
	}
	c := newCall(ctx, e, u, r)
	resp, sent, p := c.run()
	done(p)
	if p != nil {
		e.log.Debug().Stringer("exchange", r.Exchange).Str("peer", e.peers[r.Peer]).Str("upstream", r.Upstream).
			Str("method", r.Method).Str("code", p.Code).Bool("sent", sent).Str("err", c.cause()).Msg("call failed")
	}
	return resp, sent, p
}
