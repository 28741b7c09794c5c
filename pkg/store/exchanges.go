package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

const exColumns = `id, side, peer, upstream, route, method, target, caller, stage, state, attempt, oep, key, created, deadline,
 stages, status, problem, detail, req_bytes, res_bytes, ended, owner, callback, notify, replay_of, transient`

const (
	sqlNewExchange = `INSERT INTO exchanges (` + exColumns + `, expired) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)
 ON CONFLICT (id, side) DO NOTHING`
	sqlRewriteExchange = `UPDATE exchanges SET peer = ?, upstream = ?, route = ?, method = ?, target = ?, caller = ?, stage = ?,
 state = ?, attempt = ?, oep = ?, key = ?, created = ?, deadline = ?, stages = ?, status = ?, problem = ?, detail = ?,
 req_bytes = ?, res_bytes = ?, ended = ?, owner = ?, callback = ?, notify = ?, replay_of = ?, transient = ? WHERE id = ? AND side = ? AND peer = ?`

	// What a caller said goes with the content; what is left says that there was a call, and how it ended.
	// The signs keep SQLite from walking through all that has ended and not expired (exchanges_ended) for each id.
	sqlExpireRows    = `UPDATE exchanges SET expired = 1, held = NULL, target = '', caller = '', key = '', callback = '', detail = '' WHERE id = ? AND +ended > 0 AND +expired = 0`
	sqlHeld          = `SELECT coalesce(sum(held), 0) FROM exchanges WHERE id = ? AND ended > 0`
	sqlPurgeExchange = `DELETE FROM exchanges WHERE id = ?`
	sqlContent       = `SELECT (SELECT coalesce(sum(size), 0) FROM inbox WHERE exchange = ?)
 + (SELECT coalesce(sum(size), 0) FROM outbox WHERE exchange = ? AND keep = 1)`
	sqlCount    = `UPDATE exchanges SET held = ? WHERE id = ? AND side = ? AND ended > 0 AND expired = 0 AND held IS NULL`
	sqlReopened = `SELECT held FROM exchanges WHERE id = ? AND side = ? AND ended = 0 AND held IS NOT NULL`
	sqlUncount  = `UPDATE exchanges SET held = NULL WHERE id = ? AND side = ?`

	sqlExchange   = `SELECT ` + exColumns + `, expired FROM exchanges WHERE id = ? AND side = ?`
	sqlListPlace  = `SELECT coalesce(min(created), ?) FROM exchanges WHERE id = ?`
	sqlEndedParts = `SELECT id, side, ended FROM exchanges INDEXED BY exchanges_ended WHERE expired = %d AND ended > 0 AND ended < ?
 ORDER BY ended, id, side LIMIT ?`
	// sqlToldParts leaves out what still has a callback to send, or one that was given up not long ago.
	sqlToldParts = `SELECT id, side, ended FROM exchanges INDEXED BY exchanges_ended WHERE expired = %d AND ended > 0 AND ended < ?
 AND NOT EXISTS (SELECT 1 FROM callbacks c INDEXED BY callbacks_exchange WHERE c.exchange = exchanges.id AND (c.state = 0 OR c.state = 2 AND c.next >= ?))
 ORDER BY ended, id, side LIMIT ?`
)

var (
	sqlResultsBefore = fmt.Sprintf(sqlEndedParts, 0)
	sqlTransient     = `SELECT id, side, ended FROM exchanges INDEXED BY exchanges_transient
 WHERE transient = 1 AND expired = 0 AND ended > 0 AND ended < ? ORDER BY ended, id, side LIMIT ?`
	sqlEndedBefore = `SELECT id, side, ended FROM (SELECT * FROM (` + fmt.Sprintf(sqlToldParts, 0) + `) UNION ALL SELECT * FROM (` +
		fmt.Sprintf(sqlToldParts, 1) + `)) ORDER BY ended, id, side LIMIT ?`
)

// exKey names one row of exchanges.
type exKey struct {
	id   [16]byte
	side Side
}

func (t *tx) putExchange(e *Exchange) error {
	k := exKey{e.ID, e.Side}
	rest := []any{e.Peer[:], e.Upstream, e.Route, e.Method, e.Target, e.Caller, e.Stage, e.State, int64(e.Attempt), int64(e.Oep),
		e.Key, toMilli(e.Created), toMilli(e.Deadline), orNil(e.Stages), int64(e.Status), e.Problem, e.Detail, e.ReqBytes,
		e.ResBytes, toMilli(e.Ended), e.Owner, e.Callback, toBool(e.Notify), idOrNil(&e.ReplayOf), toBool(e.Transient)}
	n, err := t.s.exec(sqlNewExchange, append([]any{e.ID[:], int64(e.Side)}, rest...)...)
	if err != nil {
		return err
	}
	if n == 0 {
		// A row stays its peer's: another one may have learned the id.
		if n, err = t.s.exec(sqlRewriteExchange, append(rest, e.ID[:], int64(e.Side), e.Peer[:])...); err != nil || n == 0 {
			return err
		}
		return t.endChanged(k, e.Ended)
	}
	return t.noteEnd(k, e.Ended)
}

func (t *tx) patchExchange(o *patchExchange) error {
	query, args := o.p.statement()
	if query == "" {
		return nil
	}
	n, err := t.s.exec(query, append(args, o.id[:], int64(o.side))...)
	switch {
	case err != nil || o.p.Ended == nil:
		return err
	case o.p.Content != nil:
		t.resultBytes += n * *o.p.Content
		return nil
	}
	return t.endChanged(exKey{o.id, o.side}, *o.p.Ended)
}

// statement gives the update for the fields that are set, "" for none. Only columns that change are
// named: naming one costs the upkeep of every index it is in.
func (p *Patch) statement() (query string, args []any) {
	var set []string
	add := func(column string, v any) {
		set = append(set, column+" = ?")
		args = append(args, v)
	}
	if p.Stage != nil {
		add("stage", *p.Stage)
	}
	if p.State != nil {
		add("state", *p.State)
	}
	if p.Attempt != nil {
		add("attempt", int64(*p.Attempt))
	}
	if p.Status != nil {
		add("status", int64(*p.Status))
	}
	if p.Stages != nil {
		add("stages", orNil(p.Stages))
	}
	if p.Problem != nil {
		add("problem", *p.Problem)
	}
	if p.Detail != nil {
		add("detail", *p.Detail)
	}
	if p.ReqBytes != nil {
		add("req_bytes", *p.ReqBytes)
	}
	if p.ResBytes != nil {
		add("res_bytes", *p.ResBytes)
	}
	if p.Deadline != nil {
		add("deadline", toMilli(*p.Deadline))
	}
	if p.Ended != nil {
		add("ended", toMilli(*p.Ended))
		if p.Content != nil {
			add("held", *p.Content)
		}
	}
	if len(set) == 0 {
		return "", nil
	}
	return "UPDATE exchanges SET " + strings.Join(set, ", ") + " WHERE id = ? AND side = ?", args
}

// endChanged follows what a change did to the end of a row that was there before.
func (t *tx) endChanged(k exKey, ended time.Time) error {
	if toMilli(ended) == 0 {
		return t.uncountReopened(k)
	}
	return t.noteEnd(k, ended)
}

// noteEnd remembers that a row may have ended: its body parts are wanted no more, and countEnded
// counts its content when the batch is through.
func (t *tx) noteEnd(k exKey, ended time.Time) error {
	if toMilli(ended) == 0 {
		return nil
	}
	t.ended = append(t.ended, k)
	_, err := t.s.exec(sqlPartsDone, k.id[:])
	return err
}

// countEnded counts the content of the rows that ended in this batch.
func (t *tx) countEnded() error {
	for i := range t.ended {
		k := &t.ended[i]
		var held int64
		if _, err := t.s.one([]any{&held}, sqlContent, k.id[:], k.id[:]); err != nil {
			return err
		}
		n, err := t.s.exec(sqlCount, held, k.id[:], int64(k.side))
		if err != nil {
			return err
		}
		t.resultBytes += n * held
	}
	t.ended = t.ended[:0]
	return nil
}

// uncountReopened takes back what countEnded counted, for a row that has no end any more.
func (t *tx) uncountReopened(k exKey) error {
	var held int64
	found, err := t.s.one([]any{&held}, sqlReopened, k.id[:], int64(k.side))
	if err != nil || !found {
		return err
	}
	t.resultBytes -= held
	_, err = t.s.exec(sqlUncount, k.id[:], int64(k.side))
	return err
}

func (t *tx) expireExchange(id *[16]byte) error { return t.giveUp(id, sqlExpireRows) }

func (t *tx) purgeExchange(id *[16]byte) error {
	if _, err := t.s.exec(sqlDropCallbacks, id[:]); err != nil {
		return err
	}
	return t.giveUp(id, sqlPurgeExchange)
}

// giveUp deletes the content of an exchange and runs a statement on its rows, which count no more.
// (RETURNING would save a statement, but costs more: it fills a temporary table.)
func (t *tx) giveUp(id *[16]byte, rows string) error {
	if err := t.expireContent(id); err != nil {
		return err
	}
	var held int64
	if _, err := t.s.one([]any{&held}, sqlHeld, id[:]); err != nil {
		return err
	}
	t.resultBytes -= held
	_, err := t.s.exec(rows, id[:])
	return err
}

func (t *tx) expireContent(id *[16]byte) error {
	for _, query := range []string{sqlExpireInbox, sqlDropEvents, sqlDropDelivered} {
		if _, err := t.s.exec(query, id[:]); err != nil {
			return err
		}
	}
	return t.expireOutbox(id)
}

// Exchange gives one exchange, or ErrNotFound.
func (r *reader) Exchange(ctx context.Context, id [16]byte, side Side) (e Exchange, err error) {
	found := false
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) (err error) {
			found = true
			e, err = scanExchange(row)
			return err
		}, sqlExchange, id[:], int64(side))
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return Exchange{}, fmt.Errorf("store: read exchange: %w", err)
	}
	return e, nil
}

// Exchanges gives the exchanges that f selects, newest first.
func (r *reader) Exchanges(ctx context.Context, f ExchangeFilter) (out []Exchange, err error) {
	f = f.normal()
	err = r.with(ctx, func(s *session) error {
		query, args, err := f.statement(s)
		if err != nil {
			return err
		}
		return s.query(ctx, func(row row) error {
			e, err := scanExchange(row)
			out = append(out, e)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: list exchanges: %w", err)
	}
	return out, nil
}

// normal fills in the defaults.
func (f ExchangeFilter) normal() ExchangeFilter {
	if f.Running {
		f.State = StateRunning
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	f.Limit = max(f.Limit, 0)
	return f
}

// stateUsual is the state that most exchanges end in; the index by state leaves it out.
const stateUsual = "succeeded"

func (f *ExchangeFilter) statement(s *session) (query string, args []any, err error) {
	index, where := "exchanges_created", "created >= ?"
	args = append(args, toMilli(f.Since))
	switch f.State {
	case "":
	case stateUsual:
		where += " AND state = ?"
		args = append(args, f.State)
	default:
		index = "exchanges_state"
		where += " AND state = ? AND state <> '" + stateUsual + "'"
		args = append(args, f.State)
	}
	if f.Owner != "" {
		index = "exchanges_owner"
		where += " AND owner = ? AND owner <> ''"
		args = append(args, f.Owner)
	}
	if f.Route != "" {
		where += " AND route = ?"
		args = append(args, f.Route)
	}
	if !f.Peer.IsZero() {
		where += " AND peer = ?"
		args = append(args, f.Peer[:])
	}
	if f.Before != ([16]byte{}) {
		created := idMilli(f.Before)
		if _, err := s.one([]any{&created}, sqlListPlace, created, f.Before[:]); err != nil {
			return "", nil, err
		}
		where += " AND (created, id) < (?, ?)"
		args = append(args, created, f.Before[:])
	}
	return "SELECT " + exColumns + ", expired FROM exchanges INDEXED BY " + index + " WHERE " + where +
		" ORDER BY created DESC, id DESC, side DESC LIMIT ?", append(args, int64(f.Limit)), nil
}

// idMilli gives the time in a UUIDv7, unix milliseconds (RFC 9562 section 5.7).
func idMilli(id [16]byte) int64 { return int64(binary.BigEndian.Uint64(id[:8]) >> 16) }

func scanExchange(row row) (e Exchange, err error) {
	var id, peer, replayOf []byte
	var created, deadline, ended int64
	if err := row.Scan(&id, &e.Side, &peer, &e.Upstream, &e.Route, &e.Method, &e.Target, &e.Caller, &e.Stage, &e.State,
		&e.Attempt, &e.Oep, &e.Key, &created, &deadline, &e.Stages, &e.Status, &e.Problem, &e.Detail, &e.ReqBytes,
		&e.ResBytes, &ended, &e.Owner, &e.Callback, &e.Notify, &replayOf, &e.Transient, &e.Expired); err != nil {
		return e, err
	}
	e.Created, e.Deadline, e.Ended = fromMilli(created), fromMilli(deadline), fromMilli(ended)
	if err := errors.Join(setID(&e.ID, id), setID(&e.ReplayOf, replayOf)); err != nil {
		return e, err
	}
	return e, setID((*[16]byte)(&e.Peer), peer)
}

// EndedBefore implements Reader.
func (r *reader) EndedBefore(ctx context.Context, t time.Time, limit int) ([]ExchangeKey, error) {
	at, n := toMilli(t), int64(max(limit, 0))
	return r.keys(ctx, sqlEndedBefore, at, at, n, at, at, n, n)
}

// ResultsBefore gives exchanges that ended before t and are not expired, the earliest first.
func (r *reader) ResultsBefore(ctx context.Context, t time.Time, limit int) ([]ExchangeKey, error) {
	return r.keys(ctx, sqlResultsBefore, toMilli(t), int64(max(limit, 0)))
}

// TransientBefore gives exchanges that ended before t, are not expired, and should be at their end.
func (r *reader) TransientBefore(ctx context.Context, t time.Time, limit int) ([]ExchangeKey, error) {
	return r.keys(ctx, sqlTransient, toMilli(t), int64(max(limit, 0)))
}

func (r *reader) keys(ctx context.Context, query string, args ...any) (out []ExchangeKey, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var k ExchangeKey
			var id []byte
			var ended int64
			if err := row.Scan(&id, &k.Side, &ended); err != nil {
				return err
			}
			k.Ended = fromMilli(ended)
			out = append(out, k)
			return setID(&out[len(out)-1].ID, id)
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: list ended exchanges: %w", err)
	}
	return out, nil
}
