package exchange

import (
	"unique"

	"github.com/hoft/hoft/pkg/identity"
)

// Flight bounds the unfinished exchanges that callers here made; 0: no limit.
type Flight struct {
	Caller int // of one caller: by its name, or its address if it has none
	Peer   int // to one peer
}

// flight counts unfinished exchanges. It belongs to the loop.
type flight struct {
	callers map[unique.Handle[string]]int
	peers   map[identity.ID]int
}

func newFlight() flight {
	return flight{callers: map[unique.Handle[string]]int{}, peers: map[identity.ID]int{}}
}

// enter adds an accepted call.
func (m *Manager) enter(c *call) {
	m.calls[c.id] = c
	m.flight.callers[c.client]++
	m.flight.peers[c.peer]++
}

// leave takes a call out that has ended.
func (m *Manager) leave(c *call) {
	if m.calls[c.id] != c {
		return
	}
	delete(m.calls, c.id)
	if m.flight.callers[c.client]--; m.flight.callers[c.client] <= 0 {
		delete(m.flight.callers, c.client)
	}
	m.flight.peers[c.peer]--
}

// refuse says that a call would be one too many.
func (f *flight) refuse(cfg *Config, c *call) *Problem {
	p := (*Problem)(nil)
	switch {
	case cfg.Flight.Caller > 0 && f.callers[c.client] >= cfg.Flight.Caller:
		p = Problemf(CodeRate, "%d calls of this caller are under way, the most that it may have", f.callers[c.client])
	case cfg.Flight.Peer > 0 && f.peers[c.peer] >= cfg.Flight.Peer:
		p = Problemf(CodeRate, "%d calls to site %s are under way, the most that it may have", f.peers[c.peer], cfg.Peers[c.peer])
	}
	if p != nil {
		p.RetryAfter = 5
	}
	return p
}
