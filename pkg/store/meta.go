package store

import (
	"context"
	"fmt"
)

const (
	sqlSetMeta = `INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)`
	sqlMeta    = `SELECT value FROM meta WHERE key = ?`

	sqlAddResultBytes = `UPDATE counters SET n = n + ? WHERE name = 'result_bytes'`
	sqlResultBytes    = `SELECT n FROM counters WHERE name = 'result_bytes'`
)

func (t *tx) setMeta(key string, value []byte) error {
	_, err := t.s.exec(sqlSetMeta, key, orNil(value))
	return err
}

// Meta gives the value under key, or ErrNotFound.
func (r *reader) Meta(ctx context.Context, key string) (value []byte, err error) {
	var found bool
	err = r.with(ctx, func(s *session) (err error) {
		found, err = s.one([]any{&value}, sqlMeta, key)
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: read %q: %w", key, err)
	}
	return value, nil
}

// ResultBytes gives the bytes stored for exchanges that ended and are not expired.
func (r *reader) ResultBytes(ctx context.Context) (n int64, err error) {
	err = r.with(ctx, func(s *session) error {
		_, err := s.one([]any{&n}, sqlResultBytes)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: read result bytes: %w", err)
	}
	return n, nil
}
