package admin

import (
	"github.com/hoft/hoft/pkg/egress"
	"github.com/hoft/hoft/pkg/exchange"
)

// Callees is what is needed of an egress; *egress.Egress has it.
type Callees interface{ Health() []egress.Health }

// Upstream is how the server behind one upstream fares.
type Upstream struct {
	Name string `json:"name"`
	// State is that of the circuit breaker: closed (calls are made), open (none is), half-open (one tries), off.
	State    string  `json:"state"`
	Failures int     `json:"failures"` // in a row
	Last     string  `json:"last,omitempty"`
	RetryInS float64 `json:"retry_in_s,omitempty"`
	Login    string  `json:"login,omitempty"` // why there is nothing valid to show it
}

// upstreams asks the egress; nil without one.
func (s *Site) upstreams() []Upstream {
	if s.Callees == nil {
		return nil
	}
	var out []Upstream
	for _, h := range s.Callees.Health() {
		out = append(out, Upstream{Name: h.Name, State: h.State, Failures: h.Failures, Last: h.Last, RetryInS: h.RetryIn.Seconds(), Login: h.Login})
	}
	return out
}

func (s *Status) diagnoseUpstreams() {
	for _, u := range s.Upstreams {
		if u.State == "open" || u.State == "half-open" {
			s.add("upstream-away", LevelWarn, "", "hoft explain "+u.Last, "upstream %s failed %s and is left alone; last: %s", u.Name,
				count(uint64(u.Failures), "time in a row", "times in a row"), u.Last)
		}
		if u.Login != "" {
			s.add("upstream-login", LevelWarn, "", "hoft explain "+exchange.CodeCalleeLogin, "no token for upstream %s: %s", u.Name, u.Login)
		}
	}
}
