package ingress

import (
	"net/http"
	"slices"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
)

// identify finds out who calls. The name is "" where callers are anonymous.
func (s *Server) identify(r *http.Request) (string, *exchange.Problem) {
	name, err := s.callers.Identify(r)
	switch {
	case err != nil && s.callers.Field() == config.DefaultAuthField:
		return "", exchange.Problemf(exchange.CodeProxyAuth, "%v", err)
	case err != nil:
		return "", exchange.Problemf(exchange.CodeAuth, "%v", err)
	case !s.conns.named(r, name):
		return "", exchange.Problemf(exchange.CodeConnections, "caller %q has %d connections with calls on them already", name, s.conns.perCaller)
	}
	return name, nil
}

// challenge says how to show who one is (RFC 9110 sections 11.6.1 and 11.7.1).
func (s *Server) challenge(h http.Header, p *exchange.Problem) {
	name := ""
	switch p.Code {
	case exchange.CodeProxyAuth:
		name = "Proxy-Authenticate"
	case exchange.CodeAuth:
		name = "Www-Authenticate"
	default:
		return
	}
	h[name] = []string{`Bearer realm="hoft"`, `Basic realm="hoft", charset="UTF-8"`}
}

// admits says whether the route is for this caller.
func (rt *route) admits(caller string) *exchange.Problem {
	if len(rt.callers) == 0 || slices.Contains(rt.callers, caller) {
		return nil
	}
	return exchange.Problemf(exchange.CodeCallerDenied, "caller %q may not use this route", caller)
}

// sameOrigin refuses what a page of another site sends to hoft's own resources by way of a caller's browser. Calls
// that are carried pass: their Origin is the callee's affair.
func sameOrigin(r *http.Request) *exchange.Problem {
	var check http.CrossOriginProtection
	if err := check.Check(r); err != nil {
		return exchange.Problemf(exchange.CodeCrossOrigin, "a page of another origin sent this request")
	}
	return nil
}

// mayAsk says whether a caller may see an exchange. What a caller made belongs to its name; what an anonymous caller made,
// to whoever knows the id.
func mayAsk(name string, st *exchange.State) bool { return st.Owner == name }
