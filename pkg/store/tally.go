package store

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hoft/hoft/pkg/identity"
)

const (
	sqlRunning = `SELECT side, stage, count(*) FROM exchanges INDEXED BY exchanges_state
 WHERE state = 'running' AND state <> 'succeeded' GROUP BY side, stage`
	sqlWentWrong = `SELECT side, state, count(*) FROM exchanges INDEXED BY exchanges_state
 WHERE state <> 'succeeded' AND state IN ('failed', 'canceled', 'uncertain') AND created >= ? GROUP BY side, state`
)

// Count is how many exchanges of one side have one word: a stage or a state.
type Count struct {
	Side Side
	Word string
	N    int64
}

// Running counts the exchanges that have not ended, by side and stage.
func (r *reader) Running(ctx context.Context) ([]Count, error) { return r.counts(ctx, sqlRunning) }

// WentWrong counts the exchanges begun since a time that failed, were canceled or ended uncertain, by
// side and state. It reads an index, and of it the rows counted.
func (r *reader) WentWrong(ctx context.Context, since time.Time) ([]Count, error) {
	return r.counts(ctx, sqlWentWrong, toMilli(since))
}

func (r *reader) counts(ctx context.Context, query string, args ...any) (out []Count, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var c Count
			err := row.Scan(&c.Side, &c.Word, &c.N)
			out = append(out, c)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: count exchanges: %w", err)
	}
	return out, nil
}

// SetAside counts the messages of a peer that were set aside because they could not be handled.
func (r *reader) SetAside(ctx context.Context, peer identity.ID) (n int64, err error) {
	err = r.with(ctx, func(s *session) error {
		_, err := s.one([]any{&n}, sqlInboxFailed, peer[:])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: count set-aside messages: %w", err)
	}
	return n, nil
}

// Size gives the bytes on disk of the database of a state folder, write-ahead log included; 0 without one.
func Size(dir string) (bytes int64) {
	for _, name := range []string{dbName, dbName + "-wal"} {
		if fi, err := os.Stat(dir + string(os.PathSeparator) + name); err == nil {
			bytes += fi.Size()
		}
	}
	return bytes
}
