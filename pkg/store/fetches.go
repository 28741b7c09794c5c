package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hoft/hoft/pkg/identity"
)

// Fetch is a range of stored data that is being fetched from peers under an exchange.
type Fetch struct {
	Exchange [16]byte
	Map      []byte // JSON of the data map: a secret; opaque here
	Off, Len int64  // the range, in bytes
	Peers    []identity.ID
}

type (
	putFetch  struct{ Fetch }
	dropFetch struct{ exchange [16]byte }
)

func (putFetch) isOp()  {}
func (dropFetch) isOp() {}

// PutFetch stores a fetch that has begun, replacing what was there under its exchange.
func (b *Batch) PutFetch(f Fetch) { b.ops = append(b.ops, putFetch{f}) }

// DropFetch deletes a fetch that has ended; an unknown one is no error.
func (b *Batch) DropFetch(exchange [16]byte) { b.ops = append(b.ops, dropFetch{exchange}) }

const (
	sqlPutFetch  = `INSERT OR REPLACE INTO fetches (exchange, map, off, len, peers) VALUES (?,?,?,?,?)`
	sqlDropFetch = `DELETE FROM fetches WHERE exchange = ?`
	sqlFetches   = `SELECT exchange, map, off, len, peers FROM fetches ORDER BY exchange`
)

func packIDs(ids []identity.ID) []byte {
	var b []byte
	for i := range ids {
		b = append(b, ids[i][:]...)
	}
	return b
}

// applyFetch applies a change of the table of fetches; ok is false when it is another's.
func (t *tx) applyFetch(o op) (ok bool, err error) {
	switch o := o.(type) {
	case putFetch:
		_, err = t.s.exec(sqlPutFetch, o.Exchange[:], orNil(o.Map), o.Off, o.Len, orNil(packIDs(o.Peers)))
	case dropFetch:
		_, err = t.s.exec(sqlDropFetch, o.exchange[:])
	default:
		return false, nil
	}
	return true, err
}

// Fetches gives the fetches that have not ended, the oldest first.
func (r *reader) Fetches(ctx context.Context) (out []Fetch, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var f Fetch
			var exchange, peers []byte
			if err := row.Scan(&exchange, &f.Map, &f.Off, &f.Len, &peers); err != nil {
				return err
			}
			for id := range slices.Chunk(peers, 16) {
				f.Peers = append(f.Peers, identity.ID{})
				if err := setID((*[16]byte)(&f.Peers[len(f.Peers)-1]), id); err != nil {
					return err
				}
			}
			err := setID(&f.Exchange, exchange)
			out = append(out, f)
			return err
		}, sqlFetches)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read fetches: %w", err)
	}
	return out, nil
}

// memFetches is the part of a memState that is about fetches.
type memFetches map[[16]byte]Fetch

func (s memFetches) clone() memFetches { return maps.Clone(s) }

func (s memFetches) apply(o op) (ok bool) {
	switch o := o.(type) {
	case putFetch:
		f := o.Fetch
		f.Map, f.Peers = storedBytes(f.Map), slices.Clone(f.Peers)
		s[f.Exchange] = f
	case dropFetch:
		delete(s, o.exchange)
	default:
		return false
	}
	return true
}

// Fetches implements Reader.
func (m *Mem) Fetches(ctx context.Context) (out []Fetch, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, f := range s.fetches {
			f.Map, f.Peers = slices.Clone(f.Map), slices.Clone(f.Peers)
			out = append(out, f)
		}
	})
	slices.SortFunc(out, func(a, b Fetch) int { return slices.Compare(a.Exchange[:], b.Exchange[:]) })
	return out, err
}
