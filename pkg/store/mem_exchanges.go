package store

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// sides gives the keys that an exchange may have rows under.
func sides(id [16]byte) [2]exKey { return [2]exKey{{id, SideIngress}, {id, SideEgress}} }

func (s *memState) putExchange(e Exchange, ended *[]exKey) {
	k := exKey{e.ID, e.Side}
	x := &memExchange{Exchange: e}
	x.Created, x.Deadline, x.Ended, x.Stages = stored(e.Created), stored(e.Deadline), stored(e.Ended), storedBytes(e.Stages)
	x.Expired = false
	if old := s.ex[k]; old != nil {
		if old.Peer != e.Peer {
			return
		}
		x.Expired, x.held, x.counted = old.Expired, old.held, old.counted
	}
	s.ex[k] = x
	s.endChanged(k, x, ended)
}

func (s *memState) patchExchange(o *patchExchange, ended *[]exKey) {
	k := exKey{o.id, o.side}
	old := s.ex[k]
	if old == nil {
		if o.p.Ended != nil && o.p.Content == nil && toMilli(*o.p.Ended) > 0 {
			s.partsDone(o.id)
		}
		return
	}
	x := *old
	p := &o.p
	set(&x.Stage, p.Stage)
	set(&x.State, p.State)
	set(&x.Attempt, p.Attempt)
	set(&x.Status, p.Status)
	set(&x.Problem, p.Problem)
	set(&x.Detail, p.Detail)
	set(&x.ReqBytes, p.ReqBytes)
	set(&x.ResBytes, p.ResBytes)
	if p.Stages != nil {
		x.Stages = storedBytes(p.Stages)
	}
	if p.Deadline != nil {
		x.Deadline = stored(*p.Deadline)
	}
	if p.Ended != nil {
		x.Ended = stored(*p.Ended)
	}
	s.ex[k] = &x
	switch {
	case p.Ended != nil && p.Content != nil:
		x.held, x.counted = *p.Content, true
		s.resultBytes += x.held
	case p.Ended != nil:
		s.endChanged(k, &x, ended)
	}
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

// endChanged follows a new end, or the loss of one, of the row x that was just stored.
func (s *memState) endChanged(k exKey, x *memExchange, ended *[]exKey) {
	if !x.Ended.IsZero() {
		*ended = append(*ended, k)
		s.partsDone(k.id)
		return
	}
	if x.counted {
		s.resultBytes -= x.held
		x.held, x.counted = 0, false
	}
}

func (s *memState) countEnded(ended []exKey) {
	for _, k := range ended {
		old := s.ex[k]
		if old == nil || old.Ended.IsZero() || old.Expired || old.counted {
			continue
		}
		x := *old
		x.held, x.counted = s.content(k.id), true
		s.resultBytes += x.held
		s.ex[k] = &x
	}
}

// content gives the bytes stored for an exchange.
func (s *memState) content(id [16]byte) (n int64) {
	for k := range s.inEx[id] {
		n += int64(len(s.inbox[k].Data)+len(s.inbox[k].Body)) + s.inbox[k].beside
	}
	for _, o := range s.byEx[id] {
		if o.Keep {
			n += int64(len(o.Data))
		}
	}
	return n
}

func (s *memState) expireContent(id [16]byte) {
	s.dropInboxExchange(id, -1)
	maps.DeleteFunc(s.events, func(_ int64, e Event) bool { return e.Exchange == id })
	maps.DeleteFunc(s.callbacks, func(_ string, c Callback) bool { return c.Exchange == id && c.State == CallbackDelivered })
	for _, old := range slices.Clone(s.byEx[id]) {
		if old.acked {
			s.removeOut(old)
			continue
		}
		x := *old
		x.Keep = false
		s.open[outKey{x.Peer, x.ID}] = &x
		s.replaceOut(old, &x)
	}
}

func (s *memState) expireExchange(id [16]byte) {
	s.expireContent(id)
	for _, k := range sides(id) {
		old := s.ex[k]
		if old == nil || old.Ended.IsZero() || old.Expired {
			continue
		}
		x := *old
		s.resultBytes -= x.held
		x.Expired, x.held, x.counted = true, 0, false
		x.Target, x.Caller, x.Key, x.Callback, x.Detail = "", "", "", "", ""
		s.ex[k] = &x
	}
}

func (s *memState) purgeExchange(id [16]byte) {
	s.expireContent(id)
	maps.DeleteFunc(s.callbacks, func(_ string, c Callback) bool { return c.Exchange == id })
	for _, k := range sides(id) {
		if x := s.ex[k]; x != nil {
			s.resultBytes -= x.held
			delete(s.ex, k)
		}
	}
}

// endedBefore gives the keys of rows that ended before t and pass keep, the earliest first.
func (s *memState) endedBefore(t time.Time, limit int, keep func(*memExchange) bool) []ExchangeKey {
	t = stored(t)
	var out []ExchangeKey
	for x := range maps.Values(s.ex) {
		if !x.Ended.IsZero() && x.Ended.Before(t) && keep(x) {
			out = append(out, ExchangeKey{ID: x.ID, Side: x.Side, Ended: x.Ended})
		}
	}
	slices.SortFunc(out, func(a, b ExchangeKey) int {
		return cmp.Or(a.Ended.Compare(b.Ended), compareIDs(a.ID, b.ID), int(a.Side)-int(b.Side))
	})
	return firstN(out, limit)
}
