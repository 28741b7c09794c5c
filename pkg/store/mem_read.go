package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// read runs f on the state, unless ctx has ended or the store is closed.
func (m *Mem) read(ctx context.Context, f func(*memState)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	f(&m.s)
	return nil
}

func compareIDs(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }

// firstN gives at most n elements, nil for none.
func firstN[T any](s []T, n int) []T {
	s = s[:min(len(s), max(n, 0))]
	if len(s) == 0 {
		return nil
	}
	return s
}

func copyOut(x *memOut) Out {
	o := x.Out
	o.Data = slices.Clone(o.Data)
	return o
}

func copyIn(x *memIn) In {
	i := x.In
	i.Data, i.Body = slices.Clone(i.Data), slices.Clone(i.Body)
	return i
}

func copySent(x *Sent) Sent {
	s := *x
	s.IDs = s.IDs.Clone()
	return s
}

func copyExchange(x *memExchange) Exchange {
	e := x.Exchange
	e.Stages = slices.Clone(e.Stages)
	return e
}

// Links implements Reader.
func (m *Mem) Links(ctx context.Context) (out []Link, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, l := range s.links {
			out = append(out, storedLink(*l))
		}
	})
	slices.SortFunc(out, func(a, b Link) int { return compareIDs(a.Peer, b.Peer) })
	return out, err
}

// Outbox implements Reader.
func (m *Mem) Outbox(ctx context.Context, peer identity.ID, after uint64, limit int) ([]Out, error) {
	return m.outbox(ctx, peer, after, limit, func(*memOut) bool { return true })
}

// OutboxBefore implements Reader.
func (m *Mem) OutboxBefore(ctx context.Context, peer identity.ID, prio uint8, after uint64, limit int) ([]Out, error) {
	return m.outbox(ctx, peer, after, limit, func(x *memOut) bool { return x.Prio < prio })
}

func (m *Mem) outbox(ctx context.Context, peer identity.ID, after uint64, limit int, of func(*memOut) bool) (out []Out, err error) {
	err = m.read(ctx, func(s *memState) {
		var rows []*memOut
		for k, x := range s.open {
			if k.peer == peer && k.id > after && of(x) {
				rows = append(rows, x)
			}
		}
		slices.SortFunc(rows, func(a, b *memOut) int { return cmp.Compare(a.ID, b.ID) })
		for _, x := range firstN(rows, limit) {
			out = append(out, copyOut(x))
		}
	})
	return out, err
}

// OutboxExchange implements Reader.
func (m *Mem) OutboxExchange(ctx context.Context, exchange [16]byte) (out []Out, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, x := range s.byEx[exchange] {
			out = append(out, copyOut(x))
		}
	})
	slices.SortStableFunc(out, func(a, b Out) int { return cmp.Compare(a.ID, b.ID) })
	return out, err
}

// SentOpen implements Reader.
func (m *Mem) SentOpen(ctx context.Context, peer identity.ID) ([]Sent, error) {
	out, err := m.sentRows(ctx, peer, func(x *Sent) bool { return x.State == SentInTransit })
	slices.SortFunc(out, func(a, b Sent) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, err
}

// SentLast implements Reader.
func (m *Mem) SentLast(ctx context.Context, peer identity.ID, n int) ([]Sent, error) {
	out, err := m.sentRows(ctx, peer, func(*Sent) bool { return true })
	slices.SortFunc(out, func(a, b Sent) int { return cmp.Compare(b.Seq, a.Seq) })
	return firstN(out, n), err
}

func (m *Mem) sentRows(ctx context.Context, peer identity.ID, keep func(*Sent) bool) (out []Sent, err error) {
	err = m.read(ctx, func(s *memState) {
		for k, x := range s.sent {
			if k.peer == peer && keep(x) {
				out = append(out, copySent(x))
			}
		}
	})
	return out, err
}

// InboxNew implements Reader.
func (m *Mem) InboxNew(ctx context.Context, limit int) (out []In, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, x := range firstN(s.fresh, limit) {
			out = append(out, copyIn(x))
		}
	})
	return out, err
}

// inOfExchange gives the rows of an exchange, ordered by attempt, kind, offset and arrival.
func (s *memState) inOfExchange(exchange [16]byte) (rows []*memIn) {
	for k := range s.inEx[exchange] {
		rows = append(rows, s.inbox[k])
	}
	slices.SortFunc(rows, func(a, b *memIn) int {
		return cmp.Or(cmp.Compare(a.Attempt, b.Attempt), strings.Compare(string(a.Kind), string(b.Kind)),
			cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.n, b.n))
	})
	return rows
}

// InboxExchange implements Reader.
func (m *Mem) InboxExchange(ctx context.Context, exchange [16]byte) (out []In, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, x := range s.inOfExchange(exchange) {
			out = append(out, copyIn(x))
		}
	})
	return out, err
}

// InboxPart implements Reader.
func (m *Mem) InboxPart(ctx context.Context, exchange [16]byte, attempt int, offset int64) (In, error) {
	var found *memIn
	err := m.read(ctx, func(s *memState) {
		for _, x := range s.inOfExchange(exchange) {
			if x.Kind == frame.KindBody && x.Attempt == attempt && x.Offset == offset {
				found = x
				return
			}
		}
	})
	if err != nil {
		return In{}, err
	}
	if found == nil {
		return In{}, fmt.Errorf("store: body part at %d: %w", offset, ErrNotFound)
	}
	return copyIn(found), nil
}

// InboxRequest implements Reader.
func (m *Mem) InboxRequest(ctx context.Context, exchange [16]byte, body bool) (In, error) {
	var found *memIn
	err := m.read(ctx, func(s *memState) {
		for _, x := range s.inOfExchange(exchange) {
			if x.Kind == frame.KindReq && x.Attempt == 0 && x.Offset == 0 {
				found = x
			}
		}
	})
	if err != nil {
		return In{}, err
	}
	if found == nil {
		return In{}, fmt.Errorf("store: request: %w", ErrNotFound)
	}
	i := copyIn(found)
	if !body {
		i.Body = nil
	}
	return i, nil
}

// InboxParts implements Reader.
func (m *Mem) InboxParts(ctx context.Context) (out []In, err error) {
	var rows []*memIn
	err = m.read(ctx, func(s *memState) {
		for _, x := range s.inbox {
			if x.Part && !s.hasEnded(x.Exchange) {
				rows = append(rows, x)
			}
		}
	})
	slices.SortFunc(rows, func(a, b *memIn) int {
		return cmp.Or(compareIDs(a.Exchange, b.Exchange), cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.Offset, b.Offset),
			cmp.Compare(a.n, b.n))
	})
	for _, x := range rows {
		i := copyIn(x)
		i.Body = nil
		out = append(out, i)
	}
	return out, err
}

// hasEnded says whether a row of the exchange has an end.
func (s *memState) hasEnded(id [16]byte) bool {
	for _, k := range sides(id) {
		if x := s.ex[k]; x != nil && !x.Ended.IsZero() {
			return true
		}
	}
	return false
}

// Exchange implements Reader.
func (m *Mem) Exchange(ctx context.Context, id [16]byte, side Side) (e Exchange, err error) {
	found := false
	err = m.read(ctx, func(s *memState) {
		if x := s.ex[exKey{id, side}]; x != nil {
			e, found = copyExchange(x), true
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("store: read exchange: %w", ErrNotFound)
	}
	return e, err
}

// Exchanges implements Reader.
func (m *Mem) Exchanges(ctx context.Context, f ExchangeFilter) (out []Exchange, err error) {
	f = f.normal()
	f.Since = stored(f.Since)
	err = m.read(ctx, func(s *memState) {
		after := s.placeAfter(f.Before)
		for _, x := range s.ex {
			if (f.Owner == "" || x.Owner == f.Owner) && (f.Route == "" || x.Route == f.Route) && (f.State == "" || x.State == f.State) && (f.Peer.IsZero() || x.Peer == f.Peer) &&
				toMilli(x.Created) >= toMilli(f.Since) && after(x) {
				out = append(out, copyExchange(x))
			}
		}
	})
	slices.SortFunc(out, func(a, b Exchange) int {
		return -cmp.Or(cmp.Compare(toMilli(a.Created), toMilli(b.Created)), compareIDs(a.ID, b.ID), int(a.Side)-int(b.Side))
	})
	return firstN(out, f.Limit), err
}

// placeAfter tells the rows that follow an exchange in a list; all of them for the zero id.
func (s *memState) placeAfter(before [16]byte) func(*memExchange) bool {
	if before == ([16]byte{}) {
		return func(*memExchange) bool { return true }
	}
	created, found := idMilli(before), false
	for _, k := range sides(before) {
		if x := s.ex[k]; x != nil && (!found || toMilli(x.Created) < created) {
			created, found = toMilli(x.Created), true
		}
	}
	return func(x *memExchange) bool {
		return cmp.Or(cmp.Compare(toMilli(x.Created), created), compareIDs(x.ID, before)) < 0
	}
}

// EndedBefore implements Reader.
func (m *Mem) EndedBefore(ctx context.Context, t time.Time, limit int) (out []ExchangeKey, err error) {
	err = m.read(ctx, func(s *memState) {
		untold := map[[16]byte]bool{}
		for _, c := range s.callbacks {
			if c.State == CallbackDue || c.State == CallbackDead && toMilli(c.Next) >= toMilli(t) {
				untold[c.Exchange] = true
			}
		}
		out = s.endedBefore(t, limit, func(x *memExchange) bool { return !untold[x.ID] })
	})
	return out, err
}

// ResultsBefore implements Reader.
func (m *Mem) ResultsBefore(ctx context.Context, t time.Time, limit int) (out []ExchangeKey, err error) {
	err = m.read(ctx, func(s *memState) {
		out = s.endedBefore(t, limit, func(x *memExchange) bool { return !x.Expired })
	})
	return out, err
}

// TransientBefore implements Reader.
func (m *Mem) TransientBefore(ctx context.Context, t time.Time, limit int) (out []ExchangeKey, err error) {
	err = m.read(ctx, func(s *memState) {
		out = s.endedBefore(t, limit, func(x *memExchange) bool { return x.Transient && !x.Expired })
	})
	return out, err
}

// ResultBytes implements Reader.
func (m *Mem) ResultBytes(ctx context.Context) (n int64, err error) {
	err = m.read(ctx, func(s *memState) { n = s.resultBytes })
	return n, err
}

// Stats implements Reader.
func (m *Mem) Stats(ctx context.Context, peer identity.ID) (st LinkStats, err error) {
	err = m.read(ctx, func(s *memState) {
		var lowest *memOut
		for k, x := range s.open {
			if k.peer != peer {
				continue
			}
			st.Messages++
			st.Bytes += int64(len(x.Data))
			if lowest == nil || x.ID < lowest.ID {
				lowest = x
			}
		}
		if lowest != nil {
			st.Oldest = lowest.Created
		}
		for k, x := range s.inbox {
			if k.peer == peer && x.State == InFailed {
				st.Failed++
			}
		}
	})
	return st, err
}

// Meta implements Reader.
func (m *Mem) Meta(ctx context.Context, key string) (value []byte, err error) {
	found := false
	err = m.read(ctx, func(s *memState) {
		var v []byte
		if v, found = s.meta[key]; found {
			value = slices.Clone(v)
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("store: read %q: %w", key, ErrNotFound)
	}
	return value, err
}
