package store

import (
	"context"
	"fmt"
	"math"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

const (
	sqlAddSent   = `INSERT OR REPLACE INTO sent (peer, seq, nonce, at, ids, size, state) VALUES (?,?,?,?,?,?,?)`
	sqlMarkSent  = `UPDATE sent SET state = ? WHERE peer = ? AND seq BETWEEN ? AND ?`
	sqlMarkSent1 = `UPDATE sent SET state = ? WHERE peer = ? AND seq = ?`
	sqlPruneSent = `DELETE FROM sent WHERE peer = ? AND seq < ? AND state <> 0`

	sqlSentOpen = `SELECT peer, seq, nonce, at, ids, size, state FROM sent WHERE peer = ? AND state = 0 ORDER BY seq`
	sqlSentLast = `SELECT peer, seq, nonce, at, ids, size, state FROM sent WHERE peer = ? ORDER BY seq DESC LIMIT ?`
)

func (t *tx) addSent(s *Sent) error {
	_, err := t.s.exec(sqlAddSent, s.Peer[:], int64(s.Seq), s.Nonce, toMilli(s.At), rangesText(s.IDs), s.Size, int64(s.State))
	return err
}

func (t *tx) markSent(peer *identity.ID, seqs frame.Ranges, state SentState) error {
	for _, r := range seqs {
		lo, hi, ok := bounded(r)
		if !ok {
			continue
		}
		var err error
		if lo == hi { // as in ackKept
			_, err = t.s.exec(sqlMarkSent1, int64(state), peer[:], lo)
		} else {
			_, err = t.s.exec(sqlMarkSent, int64(state), peer[:], lo, hi)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) pruneSent(peer *identity.ID, before uint64) error {
	_, err := t.s.exec(sqlPruneSent, peer[:], int64(min(before, math.MaxInt64)))
	return err
}

// SentOpen gives the files in transit to peer, ascending.
func (r *reader) SentOpen(ctx context.Context, peer identity.ID) ([]Sent, error) {
	return r.sentRows(ctx, sqlSentOpen, peer[:])
}

// SentLast gives the newest n files to peer in any state, newest first.
func (r *reader) SentLast(ctx context.Context, peer identity.ID, n int) ([]Sent, error) {
	return r.sentRows(ctx, sqlSentLast, peer[:], int64(max(n, 0)))
}

func (r *reader) sentRows(ctx context.Context, query string, args ...any) (out []Sent, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			x, err := scanSent(row)
			out = append(out, x)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read sent files: %w", err)
	}
	return out, nil
}

func scanSent(row row) (s Sent, err error) {
	var peer []byte
	var at int64
	var ids string
	if err := row.Scan(&peer, &s.Seq, &s.Nonce, &at, &ids, &s.Size, &s.State); err != nil {
		return s, err
	}
	s.At = fromMilli(at)
	if err := setID((*[16]byte)(&s.Peer), peer); err != nil {
		return s, err
	}
	s.IDs, err = parseRanges(ids)
	return s, err
}
