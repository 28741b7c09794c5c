package exchange

import (
	"slices"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
)

// strays is the newest exchanges whose answer goes on although no call of that id is here: it was lost with the state, or has ended
// when the peer seemed to have lost its own. An answer without end would hold its slot there for ever.
type strays struct {
	ids  [64]ID
	next int
}

// stray takes a part of an answer that nobody waits for.
func (m *Manager) stray(s *node.Step, peer identity.ID, b *bodyData) {
	m.dropped.Add(1)
	m.unwanted(s, peer, b)
	if b.Total == nil {
		m.strays.end(s, peer, b.Exchange)
	}
}

// unwanted ends the offer of an answer's chunks that nobody waits for: else they would be kept until the exchange is forgotten.
func (m *Manager) unwanted(s *node.Step, peer identity.ID, b *bodyData) {
	if b.Map != nil {
		m.sendWin(s, peer, &winData{Exchange: b.Exchange, Attempt: b.Attempt, Done: true})
	}
}

// end has the far side end such a call. Of one exchange that is said once; where the outbox is full, with a later part.
func (x *strays) end(s *node.Step, peer identity.ID, id ID) {
	if slices.Contains(x.ids[:], id) {
		return
	}
	msg, err := cancelOf(id)
	if err != nil {
		return // not with an id alone
	}
	if s.Send(peer, msg) == nil {
		x.ids[x.next] = id
		x.next = (x.next + 1) % len(x.ids)
	}
}
