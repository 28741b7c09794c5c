package store

import (
	"context"
	"fmt"
	"time"
)

const (
	sqlAddEvent      = `INSERT INTO events (n, exchange, type, at) VALUES (?,?,?,?) ON CONFLICT (n) DO NOTHING`
	sqlDropEvents    = `DELETE FROM events WHERE exchange = ?`
	sqlEvents        = `SELECT n, exchange, type, at FROM events WHERE n > ? ORDER BY n LIMIT ?`
	sqlEventsOf      = `SELECT n, exchange, type, at FROM events WHERE exchange = ? AND n > ? ORDER BY n LIMIT ?`
	sqlLastEvent     = `SELECT coalesce(max(n), 0) FROM events`
	sqlPutKey        = `INSERT OR REPLACE INTO keys (scope, print, exchange, created) VALUES (?,?,?,?)`
	sqlPruneKeys     = `DELETE FROM keys WHERE created < ?`
	sqlKey           = `SELECT print, exchange, created FROM keys WHERE scope = ?`
	cbColumns        = `id, exchange, type, url, at, state, tries, next, status, error`
	sqlPutCallback   = `INSERT INTO callbacks (` + cbColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING`
	sqlSetCallback   = `UPDATE callbacks SET state = ?, tries = ?, next = ?, status = ?, error = ? WHERE id = ?`
	sqlDropDelivered = `DELETE FROM callbacks WHERE exchange = ? AND state = 1`
	sqlDropCallbacks = `DELETE FROM callbacks WHERE exchange = ?`
	sqlCallback      = `SELECT ` + cbColumns + ` FROM callbacks WHERE id = ?`
	sqlCallbacksDue  = `SELECT ` + cbColumns + ` FROM callbacks INDEXED BY callbacks_due WHERE state = 0 AND next <= ? ORDER BY next, id LIMIT ?`
	sqlCallbacksDead = `SELECT ` + cbColumns + ` FROM callbacks INDEXED BY callbacks_dead WHERE state = 2 ORDER BY at DESC, id DESC LIMIT ?`
	sqlCallbacksOf   = `SELECT ` + cbColumns + ` FROM callbacks INDEXED BY callbacks_exchange WHERE exchange = ? ORDER BY at DESC, id DESC LIMIT ?`
	sqlDisable       = `INSERT INTO disabled (url, at) VALUES (?,?) ON CONFLICT (url) DO NOTHING`
	sqlEnable        = `DELETE FROM disabled WHERE url = ?`
	sqlDisabled      = `SELECT at FROM disabled WHERE url = ?`
)

func (t *tx) addEvent(e *Event) error {
	_, err := t.s.exec(sqlAddEvent, e.N, e.Exchange[:], e.Type, toMilli(e.At))
	return err
}

func (t *tx) putKey(k *Key) error {
	_, err := t.s.exec(sqlPutKey, k.Scope[:], k.Print[:], k.Exchange[:], toMilli(k.Created))
	return err
}

func (t *tx) putCallback(c *Callback) error {
	_, err := t.s.exec(sqlPutCallback, c.ID, c.Exchange[:], c.Type, c.URL, toMilli(c.At), int64(c.State), int64(c.Tries), toMilli(c.Next), int64(c.Status), c.Error)
	return err
}

func (t *tx) setCallback(c *Callback) error {
	_, err := t.s.exec(sqlSetCallback, int64(c.State), int64(c.Tries), toMilli(c.Next), int64(c.Status), c.Error, c.ID)
	return err
}

func (t *tx) disable(d *disable) (err error) {
	if toMilli(d.at) == 0 {
		_, err = t.s.exec(sqlEnable, d.url)
	} else {
		_, err = t.s.exec(sqlDisable, d.url, toMilli(d.at))
	}
	return err
}

// Events gives events with numbers above after, ascending, at most limit: of one exchange, or of all for the zero id.
func (r *reader) Events(ctx context.Context, exchange [16]byte, after int64, limit int) (out []Event, err error) {
	query, args := sqlEvents, []any{after, int64(max(limit, 0))}
	if exchange != ([16]byte{}) {
		query, args = sqlEventsOf, append([]any{exchange[:]}, args...)
	}
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var e Event
			var id []byte
			var at int64
			if err := row.Scan(&e.N, &id, &e.Type, &at); err != nil {
				return err
			}
			e.At = fromMilli(at)
			err := setID(&e.Exchange, id)
			out = append(out, e)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read events: %w", err)
	}
	return out, nil
}

// LastEvent gives the highest number of an event, 0 without any.
func (r *reader) LastEvent(ctx context.Context) (n int64, err error) {
	return r.number(ctx, "last event", sqlLastEvent)
}

func (r *reader) number(ctx context.Context, what, query string, args ...any) (n int64, err error) {
	err = r.with(ctx, func(s *session) error {
		_, err := s.one([]any{&n}, query, args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: read %s: %w", what, err)
	}
	return n, nil
}

// Key gives what a key was used for, or ErrNotFound.
func (r *reader) Key(ctx context.Context, scope [32]byte) (k Key, err error) {
	var print, id []byte
	var created int64
	found := false
	err = r.with(ctx, func(s *session) (err error) {
		found, err = s.one([]any{&print, &id, &created}, sqlKey, scope[:])
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return Key{}, fmt.Errorf("store: read key: %w", err)
	}
	k = Key{Scope: scope, Created: fromMilli(created)}
	copy(k.Print[:], print)
	return k, setID(&k.Exchange, id)
}

// Callback gives one callback, or ErrNotFound.
func (r *reader) Callback(ctx context.Context, id string) (Callback, error) {
	rows, err := r.callbacks(ctx, sqlCallback, id)
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("store: read callback: %w", ErrNotFound)
	}
	if err != nil {
		return Callback{}, err
	}
	return rows[0], nil
}

// CallbacksDue gives callbacks whose next try is at or before a time, the earliest first.
func (r *reader) CallbacksDue(ctx context.Context, at time.Time, limit int) ([]Callback, error) {
	return r.callbacks(ctx, sqlCallbacksDue, toMilli(at), int64(max(limit, 0)))
}

// Callbacks gives the callbacks of one exchange, or those given up, the newest first.
func (r *reader) Callbacks(ctx context.Context, f CallbackFilter) ([]Callback, error) {
	f = f.normal()
	if f.Dead {
		return r.callbacks(ctx, sqlCallbacksDead, int64(f.Limit))
	}
	return r.callbacks(ctx, sqlCallbacksOf, f.Exchange[:], int64(f.Limit))
}

func (f CallbackFilter) normal() CallbackFilter {
	if f.Limit == 0 {
		f.Limit = 100
	}
	f.Limit = max(f.Limit, 0)
	return f
}

func (r *reader) callbacks(ctx context.Context, query string, args ...any) (out []Callback, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var c Callback
			var id []byte
			var at, next int64
			if err := row.Scan(&c.ID, &id, &c.Type, &c.URL, &at, &c.State, &c.Tries, &next, &c.Status, &c.Error); err != nil {
				return err
			}
			c.At, c.Next = fromMilli(at), fromMilli(next)
			err := setID(&c.Exchange, id)
			out = append(out, c)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read callbacks: %w", err)
	}
	return out, nil
}

// Disabled says since when a receiver wants nothing any more; the zero time: it does.
func (r *reader) Disabled(ctx context.Context, url string) (time.Time, error) {
	at, err := r.number(ctx, "disabled receiver", sqlDisabled, url)
	return fromMilli(at), err
}
