package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// applyWaiting makes the changes for callers who do not hold a connection; false: it is none of them.
func (s *memState) applyWaiting(o op) bool {
	switch o := o.(type) {
	case addEvent:
		if _, there := s.events[o.N]; !there {
			o.At = stored(o.At)
			s.events[o.N] = o.Event
		}
	case putKey:
		o.Created = stored(o.Created)
		s.keys[o.Scope] = o.Key
	case pruneKeys:
		maps.DeleteFunc(s.keys, func(_ [32]byte, k Key) bool { return toMilli(k.Created) < toMilli(o.before) })
	case putCallback:
		if _, there := s.callbacks[o.ID]; !there {
			o.At, o.Next = stored(o.At), stored(o.Next)
			s.callbacks[o.ID] = o.Callback
		}
	case setCallback:
		if c, there := s.callbacks[o.ID]; there {
			c.State, c.Tries, c.Next, c.Status, c.Error = o.State, o.Tries, stored(o.Next), o.Status, o.Error
			s.callbacks[o.ID] = c
		}
	case disable:
		if toMilli(o.at) == 0 {
			delete(s.disabled, o.url)
		} else if _, there := s.disabled[o.url]; !there {
			s.disabled[o.url] = stored(o.at)
		}
	default:
		return false
	}
	return true
}

// Events implements Reader.
func (m *Mem) Events(ctx context.Context, exchange [16]byte, after int64, limit int) (out []Event, err error) {
	err = m.read(ctx, func(s *memState) {
		for n, e := range s.events {
			if n > after && (exchange == [16]byte{} || e.Exchange == exchange) {
				out = append(out, e)
			}
		}
	})
	slices.SortFunc(out, func(a, b Event) int { return cmp.Compare(a.N, b.N) })
	return firstN(out, limit), err
}

// LastEvent implements Reader.
func (m *Mem) LastEvent(ctx context.Context) (last int64, err error) {
	err = m.read(ctx, func(s *memState) {
		for n := range s.events {
			last = max(last, n)
		}
	})
	return last, err
}

// Key implements Reader.
func (m *Mem) Key(ctx context.Context, scope [32]byte) (k Key, err error) {
	found := false
	err = m.read(ctx, func(s *memState) { k, found = s.keys[scope] })
	if err == nil && !found {
		err = fmt.Errorf("store: read key: %w", ErrNotFound)
	}
	return k, err
}

// Callback implements Reader.
func (m *Mem) Callback(ctx context.Context, id string) (c Callback, err error) {
	found := false
	err = m.read(ctx, func(s *memState) { c, found = s.callbacks[id] })
	if err == nil && !found {
		err = fmt.Errorf("store: read callback: %w", ErrNotFound)
	}
	return c, err
}

// CallbacksDue implements Reader.
func (m *Mem) CallbacksDue(ctx context.Context, at time.Time, limit int) ([]Callback, error) {
	out, err := m.selectCallbacks(ctx, func(c *Callback) bool {
		return c.State == CallbackDue && toMilli(c.Next) <= toMilli(at)
	})
	slices.SortFunc(out, func(a, b Callback) int { return cmp.Or(a.Next.Compare(b.Next), cmp.Compare(a.ID, b.ID)) })
	return firstN(out, limit), err
}

// Callbacks implements Reader.
func (m *Mem) Callbacks(ctx context.Context, f CallbackFilter) ([]Callback, error) {
	f = f.normal()
	out, err := m.selectCallbacks(ctx, func(c *Callback) bool {
		return f.Dead && c.State == CallbackDead || !f.Dead && c.Exchange == f.Exchange
	})
	slices.SortFunc(out, func(a, b Callback) int { return -cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return firstN(out, f.Limit), err
}

func (m *Mem) selectCallbacks(ctx context.Context, keep func(*Callback) bool) (out []Callback, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, c := range s.callbacks {
			if keep(&c) {
				out = append(out, c)
			}
		}
	})
	return out, err
}

// Disabled implements Reader.
func (m *Mem) Disabled(ctx context.Context, url string) (at time.Time, err error) {
	err = m.read(ctx, func(s *memState) { at = s.disabled[url] })
	return at, err
}
