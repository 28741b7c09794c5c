package exchange

import (
	"time"
	"unique"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// FetchUpstream stands for the upstream in exchanges that fetch stored data from a peer. No upstream can have this name.
const FetchUpstream = ".fetch"

// Local is work of this site that is shown as an exchange, with its states, events and end, although no request of it
// goes to a peer: the fetching of stored data. Begin, Finish and Locals belong to the loop.
type Local struct {
	ID     ID
	Peer   identity.ID // who is asked first
	Owner  string      // the client's name, "" if anonymous
	Client string      // its address
	Target string      // what it is about, for people; no secret
	// Stop is called in the loop when it was canceled.
	Stop func()
}

// Begin shows work that begins; it is durable with the step. A problem says why there is no room for it.
func (m *Manager) Begin(s *node.Step, l *Local) *Problem {
	r := Request{Owner: l.Owner, Client: l.Client}
	c := &call{id: l.ID, peer: l.Peer, method: "GET", total: -1, local: true, stop: l.Stop, client: unique.Make(r.party())}
	if p := m.refusal(s, c); p != nil {
		return p
	}
	c.stages.set(StageAccepted, s.Now)
	c.stages.set(StageQueued, s.Now)
	m.enter(c)
	s.Store().PutExchange(store.Exchange{ID: l.ID, Side: store.SideIngress, Peer: l.Peer, Upstream: FetchUpstream, Method: c.method, Target: l.Target,
		Caller: l.Client, Owner: l.Owner, Stage: c.stage(), State: StateRunning, Created: s.Now, Stages: c.stages.json()})
	m.record(s, c)
	return nil
}

// Resume gives the Stop of work that an earlier run began; false: no such work is under way.
func (m *Manager) Resume(id ID, stop func()) bool {
	c := m.calls[id]
	if c == nil || !c.local {
		return false
	}
	c.stop = stop
	return true
}

// Asked notes that a peer was asked for what the work needs.
func (m *Manager) Asked(s *node.Step, id ID, at time.Time) {
	if c := m.calls[id]; c != nil && c.local {
		m.reached(s, c, StageWritten, at)
	}
}

// Reached notes how far the work is: what of its data is known to be there to be fetched, and what of it is here.
func (m *Manager) Reached(id ID, t Transfer) {
	if c := m.calls[id]; c != nil && c.local {
		c.have = nil
		c.add(0, t.ThereBytes)
		t.Body = BodyData
		c.fetched = &t
	}
}

// Finish ends work: with a problem, or with chunks of size bytes that are kept as an answer is, until the exchange
// expires. KeptBy says under which owner they are pinned meanwhile.
func (m *Manager) Finish(s *node.Step, id ID, names []chunk.Name, size int64, p *Problem) {
	c := m.calls[id]
	if c == nil || !c.local {
		return
	}
	if p != nil {
		m.fail(s, c, p)
		return
	}
	c.names, c.content, c.have = names, size, nil
	c.add(0, size)
	m.reached(s, c, StageReturned, s.Now)
	m.end(s, c, StateSucceeded, nil)
}

// KeptBy is the owner of the chunks of an exchange's answer in the chunk store.
func KeptBy(id ID) chunk.Owner { return answerOwner(id) }

// Beside gives the id under which a call to this site has chunks fetched, and back: the same in every try of it.
func Beside(id ID) ID {
	id[15] ^= 1
	return id
}

// LetGo ends the keeping of what an exchange fetched: who asked for it has it.
func (m *Manager) LetGo(s *node.Step, id ID) { m.expireContent(s, id) }

// Locals lists local work under way.
func (m *Manager) Locals() (ids []ID) {
	for _, id := range idsInOrder(m.calls) {
		if m.calls[id].local {
			ids = append(ids, id)
		}
	}
	return ids
}

// Knows says whether an id is of an exchange under way.
func (m *Manager) Knows(id ID) bool { return m.calls[id] != nil || m.jobs[id] != nil }
