package exchange

import (
	"context"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
)

const (
	// firstWindow is how far an answer's body may be ahead of its caller at first, maxWindow at last, in bytes.
	firstWindow = 1 << 20
	maxWindow   = 1 << 30
	// noWindow stands for an answer that nobody holds a connection for: it is stored as it comes.
	noWindow = maxOffset
)

// window is up to where an answer's body may be sent. The loop raises it, the sender waits for it.
type window struct {
	mu     sync.Mutex
	limit  int64
	raised chan struct{} // closed when the limit grows
}

// open sets the first limit; 0: none.
func (w *window) open(limit int64) {
	if limit <= 0 {
		limit = noWindow
	}
	w.mu.Lock()
	w.limit, w.raised = limit, make(chan struct{})
	w.mu.Unlock()
}

func (w *window) raise(limit int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if limit > w.limit && w.raised != nil {
		w.limit = limit
		close(w.raised)
		w.raised = make(chan struct{})
	}
}

// room says how many bytes may be sent behind offset; when it is none, more may be there once the channel is closed.
func (w *window) room(offset int64) (int64, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limit - offset, w.raised
}

// await waits until something may be sent behind offset.
func (w *window) await(ctx context.Context, offset int64) error {
	for {
		n, raised := w.room(offset)
		if n > 0 {
			return nil
		}
		select {
		case <-raised:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// onWin raises the window of an answer, or ends the offer of its chunks.
func (m *Manager) onWin(s *node.Step, d *node.Delivery) error {
	w, err := decode[winData](d.Data)
	if err != nil {
		return err
	}
	if m.calls[w.Exchange] != nil {
		return nil // only answers have a window
	}
	j := m.jobs[w.Exchange]
	if j != nil && j.peer != d.Peer {
		return nil
	}
	if w.Done {
		if b := s.Bulk(d.Peer); b == nil || !b.Offered(w.Exchange) {
			return nil // of nothing that it was offered
		}
		m.endOffer(s, d.Peer, w.Exchange, answerOwner(w.Exchange))
		return nil
	}
	if j != nil && j.run != nil && (w.Attempt == 0 || w.Attempt == j.attempt()) {
		j.window.raise(w.Offset)
	}
	return nil
}

// sendWin tells the far side how far it may send, or that all has come. Who gives an answer in chunks wants to hear of its
// end, even where the hello that says so was lost so far.
func (m *Manager) sendWin(s *node.Step, peer identity.ID, w *winData) {
	l := s.Link(peer)
	if l == nil || !w.Done && !l.Takes(frame.KindWin) {
		return
	}
	msg, err := encode(frame.KindWin, link.PrioControl, w.Exchange, w, nil, false)
	if err != nil {
		return
	}
	msg.Must = true
	_ = s.Send(peer, msg) // the peer is configured: there is a link
}

// unbound opens the window of an answer that nobody holds a connection for: it is stored as it comes. That is said
// once its head shows that there is more to come than the head itself, so most answers need no word of it.
func (m *Manager) unbound(s *node.Step, c *call) {
	if c.waiter == nil && c.head != nil && c.head.More && m.calls[c.id] == c {
		m.sendWin(s, c.peer, &winData{Exchange: c.id, Attempt: c.attempt, Offset: noWindow})
	}
}

// unboundAnswers opens the windows of answers under way to a peer when it, or this site, has begun anew: it may have forgotten
// how far they were open, take its word for that for acked, or have ended the call. What waits would hold up a slot, and a
// request that is asked for again.
func (m *Manager) unboundAnswers(peer identity.ID) {
	for _, j := range m.jobs {
		if j.peer == peer && j.run != nil {
			j.window.raise(noWindow)
		}
	}
}

// abandoned: nobody waits for the answer any more.
func (m *Manager) abandoned(s *node.Step, c *call) {
	c.waiter = nil
	m.unbound(s, c)
}

// credit is the callers' side of a window.
type credit struct {
	limit, size int64
	raised      time.Time
}

// take notes that all below offset was read; when half of the window is used up it gives the new limit. A window
// that is used up faster than a round trip is too small for this caller: it doubles.
func (c *credit) take(offset int64, now time.Time, trip time.Duration) (limit int64, ok bool) {
	if c.limit-offset > c.size/2 {
		return 0, false
	}
	if !c.raised.IsZero() && now.Sub(c.raised) < 2*trip {
		c.size = min(2*c.size, maxWindow)
	}
	c.raised, c.limit = now, offset+c.size
	return c.limit, true
}

// window is the first window of a call's answer.
func (m *Manager) window(r *Request) int64 {
	if r.Window > 0 {
		return r.Window
	}
	return m.cfg.Window
}

// raise tells the far side that more of an answer may come.
func (m *Manager) raise(c *call, limit int64) {
	_ = m.loop.Do(func(s *node.Step) {
		if m.calls[c.id] == c {
			m.sendWin(s, c.peer, &winData{Exchange: c.id, Attempt: c.attempt, Offset: limit})
		}
	})
}
