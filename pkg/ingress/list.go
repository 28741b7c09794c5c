package ingress

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/exchange"
)

const (
	listDefault = 50
	listMax     = 500
)

// listJSON is a page of exchanges, the newest first.
type listJSON struct {
	Exchanges []stateJSON `json:"exchanges"`
	Next      string      `json:"next,omitzero"` // the next page
}

// serveList gives a caller its own exchanges. Who has no name has no list: it would be everybody's.
func (s *Server) serveList(w http.ResponseWriter, r *http.Request, name string) {
	if name == "" {
		s.problem(w, r, exchange.Problemf(exchange.CodeNameless, "exchanges of anonymous callers are not listed"), about{})
		return
	}
	f, p := readFilter(r.URL.Query())
	if p != nil {
		s.problem(w, r, p, about{})
		return
	}
	f.Owner = name
	limit := f.Limit
	f.Limit++ // one more tells whether there is a next page
	states, err := s.caller.List(r.Context(), f)
	if err != nil {
		s.problem(w, r, s.ownFailure(err), about{})
		return
	}
	out := listJSON{Exchanges: []stateJSON{}}
	for _, st := range states[:min(limit, len(states))] {
		out.Exchanges = append(out.Exchanges, s.describeState(r.Context(), st))
	}
	h := w.Header()
	if len(states) > limit {
		q := r.URL.Query()
		q.Set("after", states[limit-1].ID.String())
		out.Next = exchangesRoot + "?" + q.Encode()
		h.Set("Link", "<"+out.Next+`>; rel="next"`)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, out)
}

// readFilter reads the query of a list.
func readFilter(q url.Values) (f exchange.Filter, p *exchange.Problem) {
	f = exchange.Filter{Peer: q.Get("peer"), State: q.Get("state"), Route: q.Get("route"), Limit: listDefault}
	known := []string{"peer", "state", "route", "since", "after", "limit"}
	for name := range q {
		if !slices.Contains(known, name) {
			return f, exchange.Problemf(exchange.CodeBadRequest, "there is no filter %q; there are peer, state, route, since, after and limit", name)
		}
	}
	states := []string{"", exchange.StateRunning, exchange.StateSucceeded, exchange.StateFailed, exchange.StateCanceled, exchange.StateUncertain}
	if !slices.Contains(states, f.State) {
		return f, exchange.Problemf(exchange.CodeBadRequest, "state: write running, succeeded, failed, canceled or uncertain")
	}
	if v := q.Get("since"); v != "" {
		d, derr := time.ParseDuration(v)
		at, err := time.Parse(time.RFC3339, v)
		switch {
		case derr == nil && d > 0:
			f.Since = time.Now().Add(-d)
		case err == nil:
			f.Since = at
		default:
			return f, exchange.Problemf(exchange.CodeBadRequest, "since: write a time as in 2026-11-22T08:15:00Z, or how long ago, as in 2h")
		}
	}
	if v := q.Get("after"); v != "" {
		id, err := uuid.Parse(v)
		if err != nil {
			return f, exchange.Problemf(exchange.CodeBadRequest, "after: write the id of an exchange")
		}
		f.After = id
	}
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > listMax {
			return f, exchange.Problemf(exchange.CodeBadRequest, "limit: write a number from 1 to %d", listMax)
		}
		f.Limit = n
	}
	return f, nil
}
