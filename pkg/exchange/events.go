package exchange

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// EventCompleted is the type of the last event of an exchange, however it ended; the others have the names of stages.
const EventCompleted = "completed"

// EventProgress is the type of what tells how far a long body is. It is made for who watches, and not stored.
const EventProgress = "progress"

// Event is one thing that happened to an exchange. N ascends over all exchanges and restarts.
type Event struct {
	N        int64
	Exchange ID
	Type     string    // a stage, or EventCompleted
	At       time.Time // by the clock of the site where it happened
}

// Noted is when this site learned of it.
func (e Event) Noted() time.Time { return time.UnixMicro(e.N) }

// Watch tells when something new may be read of one exchange, or of all. Close must be called.
type Watch struct {
	changed chan struct{}
	close   func()
}

// NewWatch makes a watch; close, if not nil, is called once by Close.
func NewWatch(close func()) *Watch { return &Watch{changed: make(chan struct{}, 1), close: close} }

// Changed gives a signal after new events, or an end, became durable. One pending signal is enough.
func (w *Watch) Changed() <-chan struct{} { return w.changed }

// Close ends the watching. It does not wait.
func (w *Watch) Close() {
	if w.close != nil {
		w.close()
	}
}

// Poke gives the signal.
func (w *Watch) Poke() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Watch begins to watch an exchange, all of them for the zero id. What happened before it returned can be read.
// Safe for concurrent use.
func (m *Manager) Watch(ctx context.Context, id ID) (*Watch, error) {
	var w *Watch
	w = NewWatch(func() { m.unwatch(id, w) })
	err := m.commit(ctx, func(s *node.Step) error {
		m.watches[id] = append(m.watches[id], w)
		if c := m.calls[id]; c != nil {
			m.record(s, c)
		}
		return nil
	})
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (m *Manager) unwatch(id ID, w *Watch) {
	_ = m.loop.Do(func(*node.Step) {
		left := slices.DeleteFunc(m.watches[id], func(x *Watch) bool { return x == w })
		if m.watches[id] = left; len(left) == 0 {
			delete(m.watches, id)
		}
	})
}

// watched says whether anybody waits for news of a call.
func (m *Manager) watched(id ID) bool {
	return len(m.watches) > 0 && (len(m.watches[id]) > 0 || len(m.watches[uuid.Nil]) > 0)
}

// tell has those who watch a call look again once this step is durable.
func (m *Manager) tell(s *node.Step, id ID) {
	if len(m.watches) == 0 {
		return
	}
	for _, list := range [][]*Watch{m.watches[id], m.watches[uuid.Nil]} {
		for _, w := range list {
			s.OnCommit(func(*node.Step) { w.Poke() })
		}
	}
}

// Events gives events with numbers above after, at most limit: of one exchange, or of all for the zero id.
// Safe for concurrent use.
func (m *Manager) Events(ctx context.Context, id ID, after int64, limit int) ([]Event, error) {
	rows, err := m.store.Events(ctx, id, after, limit)
	out := make([]Event, len(rows))
	for i, e := range rows {
		out[i] = Event{N: e.N, Exchange: e.Exchange, Type: e.Type, At: e.At}
	}
	return out, err
}

// reached notes how far a call got. Events of a call that is quick are not worth a row each: its end tells all. Those
// of a call that somebody watches, or that takes long, or whose caller does not wait, are stored as they come.
func (m *Manager) reached(s *node.Step, c *call, stage string, at time.Time) {
	if !c.reach(stage, at) {
		return
	}
	if c.recorded != 0 || m.watched(c.id) {
		m.record(s, c)
	} else if !c.slow {
		c.slow = true
		m.unsaved = append(m.unsaved, unsavedCall{c.id, s.Now.Add(tellAfter)})
		m.wantTick(s.Now)
	}
}

// unsavedCall is a call whose stages are stored if it still runs at a time.
type unsavedCall struct {
	id ID
	at time.Time
}

// saveStages stores the stages of calls that take long, so that they can be seen when this site is down.
func (m *Manager) saveStages(s *node.Step) {
	for len(m.unsaved) > 0 && !s.Now.Before(m.unsaved[0].at) {
		if c := m.calls[m.unsaved[0].id]; c != nil {
			m.record(s, c)
		}
		m.unsaved = m.unsaved[1:]
	}
	if len(m.unsaved) == 0 {
		m.unsaved = nil
	}
}

// record stores the events of the stages that were reached since the last time, and the row's stages.
func (m *Manager) record(s *node.Step, c *call) {
	news := false
	for i, ms := range c.stages {
		if ms == 0 || c.recorded&(1<<i) != 0 {
			continue
		}
		c.recorded |= 1 << i
		news = true
		m.event(s, c, stageNames[i], time.UnixMilli(ms), c.hook != nil && c.hook.notify)
	}
	if !news {
		return
	}
	stage := c.stage()
	s.Store().PatchExchange(c.id, store.SideIngress, store.Patch{Stage: &stage, Stages: c.stages.json()})
	m.tell(s, c.id)
}

// event stores one event and, where the caller wants it, the callback that tells of it.
func (m *Manager) event(s *node.Step, c *call, kind string, at time.Time, callback bool) {
	m.lastEvent = max(m.lastEvent+1, s.Now.UnixMicro())
	s.Store().AddEvent(store.Event{N: m.lastEvent, Exchange: c.id, Type: kind, At: at})
	if callback {
		s.Store().PutCallback(store.Callback{ID: c.id.String() + "." + kind, Exchange: c.id, Type: kind, URL: c.hook.url, At: at, Next: s.Now})
		if m.cfg.CallbackDue != nil {
			s.OnCommit(func(*node.Step) { m.cfg.CallbackDue() })
		}
	}
}

// recordEnd stores the last event of a call.
func (m *Manager) recordEnd(s *node.Step, c *call) {
	if c.recorded != 0 || m.watched(c.id) {
		m.record(s, c)
	}
	m.event(s, c, EventCompleted, s.Now, c.hook != nil)
	m.tell(s, c.id)
}
