package exchange

import (
	"github.com/hoft/hoft/pkg/node"
)

// forgetContent deletes what is stored for a call whose answers are not kept, as soon as nobody reads it any more. Where
// the site stops before that, Expire does it.
func (m *Manager) forgetContent(s *node.Step, c *call) {
	id := c.id
	var forget func(s *node.Step)
	later := func() { _ = m.loop.Do(forget) }
	forget = func(s *node.Step) {
		if !m.reading.whenDone(id, later) { // else a call that was joined to it by its key reads it too
			m.expireContent(s, id)
		}
	}
	if w := c.waiter; w != nil && w.whenRead(later) {
		return
	}
	// In a step of its own: the row of the message at hand is added to this one after its handling.
	s.OnCommit(forget)
}

// whenRead has fn called when the caller has closed the body; false: there is nobody who reads.
func (w *waiter) whenRead(fn func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone || w.head == nil || w.problem != nil {
		return false
	}
	w.closed = fn
	return true
}
