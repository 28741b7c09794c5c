package ingress

import (
	"fmt"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
	"github.com/hoft/hoft/pkg/identity"
)

// route is one configured route with the ingress's values where it has none.
type route struct {
	host     hostPattern
	pattern  string
	prefix   httptarget.Prefix
	strip    httptarget.Prefix
	stripped string // strip_prefix without its last slash; "": nothing is stripped
	peerName string
	peer     identity.ID // zero: unknown
	upstream string
	wait     time.Duration
	deadline time.Duration // 0: none
	maxBody  int64         // 0: no limit
	fresh    bool          // no chunk of this route's bodies equals any other
	fixed    bool          // bodies are cut at fixed places
	window   int64         // how far an answer may be ahead of its caller at first; 0: the site's default
	plain    bool          // bodies of this route are never compressed
	callers  []string      // who may use it; empty: everybody that is let in

	async     bool // callers are answered 202 at once
	transient bool // answers are not kept
}

// newRoutes gives the routes in the order in which they are tried: by host, then the longest path.
func newRoutes(cfg config.Ingress, peers map[string]identity.ID) ([]route, error) {
	routes := make([]route, 0, len(cfg.Routes))
	for i, c := range cfg.Routes {
		r, err := newRoute(cfg, c)
		if err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
		r.peer = peers[c.Peer]
		routes = append(routes, r)
	}
	slices.SortStableFunc(routes, func(a, b route) int {
		if d := b.host.rank() - a.host.rank(); d != 0 {
			return d
		}
		return b.prefix.Len() - a.prefix.Len()
	})
	return routes, nil
}

func newRoute(cfg config.Ingress, c config.Route) (route, error) {
	r := route{pattern: c.Path, peerName: c.Peer, upstream: c.Upstream,
		wait: c.Wait, deadline: c.Deadline, maxBody: int64(c.MaxBody), plain: c.Compress == "off", fresh: c.Dedupe == "off", fixed: c.Chunking == "fixed", window: int64(c.ResponseBuffer), callers: c.Callers,
		async: c.Mode == "async", transient: c.Keep == "none"}
	if c.Host != "" {
		r.host = newHostPattern(c.Host)
	}
	if r.pattern == "" {
		r.pattern = "/"
	}
	for _, d := range []time.Duration{cfg.Wait, defaultWait} {
		if r.wait <= 0 {
			r.wait = d
		}
	}
	if r.deadline <= 0 {
		r.deadline = cfg.Deadline
	}
	if r.maxBody <= 0 {
		r.maxBody = int64(cfg.MaxBody)
	}
	if r.window <= 0 {
		r.window = int64(cfg.ResponseBuffer)
	}
	var err error
	if r.prefix, err = httptarget.ParsePrefix(c.Path); err != nil {
		return route{}, fmt.Errorf("path %q: %w", c.Path, err)
	}
	if r.strip, err = httptarget.ParsePrefix(c.StripPrefix); err != nil {
		return route{}, fmt.Errorf("strip_prefix %q: %w", c.StripPrefix, err)
	}
	if r.strip.Len() > 0 {
		if _, ok := r.strip.Cut(c.Path); !ok {
			return route{}, fmt.Errorf("strip_prefix %q is no beginning of path %q: nothing could be stripped", c.StripPrefix, c.Path)
		}
		for r.stripped = c.StripPrefix; r.stripped[len(r.stripped)-1] == '/'; {
			r.stripped = r.stripped[:len(r.stripped)-1]
		}
	}
	return r, nil
}

// find gives the route for a host and raw path, nil if there is none.
func (s *Server) find(host, path string) *route {
	for i := range s.routes {
		r := &s.routes[i]
		if !r.host.covers(host) {
			continue
		}
		if _, ok := r.prefix.Cut(path); ok {
			return r
		}
	}
	return nil
}

// mapping is how the callee's references and the caller's belong together on a route that strips a prefix.
func (rt *route) mapping(scheme, host string) httptarget.Mapping {
	callee := httptarget.Origin{Scheme: scheme, Host: host}
	caller := callee
	caller.Path = rt.stripped
	return httptarget.Mapping{From: callee, To: caller}
}
