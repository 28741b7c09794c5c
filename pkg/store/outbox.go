package store

import (
	"context"
	"fmt"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

const outColumns = `peer, id, kind, prio, exchange, keep, created, acked, data`

const (
	sqlAddOutbox = `INSERT INTO outbox (peer, id, kind, prio, exchange, keep, created, acked, size, data) VALUES (?,?,?,?,?,?,?,?,?,?)`
	sqlAckKept   = `UPDATE outbox SET acked = ? WHERE peer = ? AND acked < 0 AND id BETWEEN ? AND ? AND keep = 1`
	sqlAckKept1  = `UPDATE outbox SET acked = ? WHERE peer = ? AND acked < 0 AND id = ? AND keep = 1`
	sqlAckOthers = `DELETE FROM outbox WHERE peer = ? AND acked < 0 AND id BETWEEN ? AND ? AND keep = 0`
	sqlDropOut   = `DELETE FROM outbox WHERE peer = ? AND acked < 0 AND id BETWEEN ? AND ?`

	sqlExpireAcked = `DELETE FROM outbox WHERE exchange = ? AND acked >= 0`
	sqlExpireOpen  = `UPDATE outbox SET keep = 0 WHERE exchange = ? AND keep = 1`

	sqlOutbox         = `SELECT ` + outColumns + ` FROM outbox WHERE peer = ? AND acked < 0 AND id > ? ORDER BY id LIMIT ?`
	sqlOutboxBefore   = `SELECT ` + outColumns + ` FROM outbox WHERE peer = ? AND acked < 0 AND id > ? AND prio < ? ORDER BY id LIMIT ?`
	sqlOutboxExchange = `SELECT ` + outColumns + ` FROM outbox WHERE exchange = ? ORDER BY id, n`
	sqlOutboxSum      = `SELECT count(*), coalesce(sum(size), 0) FROM outbox WHERE peer = ? AND acked < 0`
	sqlOutboxOldest   = `SELECT created FROM outbox WHERE peer = ? AND acked < 0 ORDER BY id LIMIT 1`
)

func (t *tx) addOutbox(o *Out) error {
	created := toMilli(o.Created)
	exchange := idOrNil(&o.Exchange)
	_, err := t.s.exec(sqlAddOutbox, o.Peer[:], int64(o.ID), string(o.Kind), int64(o.Prio), exchange,
		toBool(o.Keep && exchange != nil), created, openMark(created), int64(len(o.Data)), orNil(o.Data))
	if isUnique(err) {
		return fmt.Errorf("message %d to %s: %w", o.ID, o.Peer, ErrExists)
	}
	return err
}

func (t *tx) ackOutbox(a *ackOutbox) error {
	at := toMilli(a.at)
	for _, r := range a.ids {
		lo, hi, ok := bounded(r)
		if !ok {
			continue
		}
		if err := t.ackKept(at, &a.peer, lo, hi); err != nil {
			return err
		}
		if _, err := t.s.exec(sqlAckOthers, a.peer[:], lo, hi); err != nil {
			return err
		}
	}
	return nil
}

// ackKept has a statement of its own for one id: SQLite then changes the row as it finds it, instead of
// collecting rows first.
func (t *tx) ackKept(at int64, peer *identity.ID, lo, hi int64) (err error) {
	if lo == hi {
		_, err = t.s.exec(sqlAckKept1, at, peer[:], lo)
	} else {
		_, err = t.s.exec(sqlAckKept, at, peer[:], lo, hi)
	}
	return err
}

func (t *tx) dropOutbox(peer *identity.ID, ids frame.Ranges) error {
	for _, r := range ids {
		lo, hi, ok := bounded(r)
		if !ok {
			continue
		}
		if _, err := t.s.exec(sqlDropOut, peer[:], lo, hi); err != nil {
			return err
		}
	}
	return nil
}

// expireOutbox deletes what was acked of an exchange, and lets the rest go with its ack.
func (t *tx) expireOutbox(exchange *[16]byte) error {
	if _, err := t.s.exec(sqlExpireAcked, exchange[:]); err != nil {
		return err
	}
	_, err := t.s.exec(sqlExpireOpen, exchange[:])
	return err
}

// Outbox gives rows of peer that are not acked, with ids above after, ascending.
func (r *reader) Outbox(ctx context.Context, peer identity.ID, after uint64, limit int) ([]Out, error) {
	if after >= 1<<63-1 {
		return nil, nil
	}
	return r.outRows(ctx, sqlOutbox, peer[:], int64(after), int64(max(limit, 0)))
}

// OutboxBefore gives the same of rows whose Prio is below prio.
func (r *reader) OutboxBefore(ctx context.Context, peer identity.ID, prio uint8, after uint64, limit int) ([]Out, error) {
	if after >= 1<<63-1 {
		return nil, nil
	}
	return r.outRows(ctx, sqlOutboxBefore, peer[:], int64(after), int64(prio), int64(max(limit, 0)))
}

// OutboxExchange gives all rows of one exchange, acked or not, ascending by id.
func (r *reader) OutboxExchange(ctx context.Context, exchange [16]byte) ([]Out, error) {
	return r.outRows(ctx, sqlOutboxExchange, exchange[:])
}

func (r *reader) outRows(ctx context.Context, query string, args ...any) (out []Out, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			o, err := scanOut(row)
			out = append(out, o)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read outbox: %w", err)
	}
	return out, nil
}

func scanOut(row row) (o Out, err error) {
	var peer, exchange []byte
	var kind string
	var created, acked int64
	if err := row.Scan(&peer, &o.ID, &kind, &o.Prio, &exchange, &o.Keep, &created, &acked, &o.Data); err != nil {
		return o, err
	}
	o.Kind, o.Created, o.Acked = frame.Kind(kind), fromMilli(created), fromMilli(acked)
	if err := setID((*[16]byte)(&o.Peer), peer); err != nil {
		return o, err
	}
	return o, setID(&o.Exchange, exchange)
}

// Stats gives the outbox of peer in numbers. It reads every row that is not acked.
func (r *reader) Stats(ctx context.Context, peer identity.ID) (st LinkStats, err error) {
	err = r.with(ctx, func(s *session) error {
		if _, err := s.one([]any{&st.Messages, &st.Bytes}, sqlOutboxSum, peer[:]); err != nil {
			return err
		}
		var created int64
		if _, err := s.one([]any{&created}, sqlOutboxOldest, peer[:]); err != nil {
			return err
		}
		st.Oldest = fromMilli(created)
		_, err := s.one([]any{&st.Failed}, sqlInboxFailed, peer[:])
		return err
	})
	if err != nil {
		return LinkStats{}, fmt.Errorf("store: count outbox: %w", err)
	}
	return st, nil
}
