package store

import (
	"context"
	"fmt"

	"github.com/hoft/hoft/pkg/chunk"
)

var (
	_ chunk.Index = (*SQLite)(nil)
	_ chunk.Index = (*Mem)(nil)
)

type changeChunks struct{ chunk.Change }

func (changeChunks) isOp() {}

// Chunks makes a change to the chunk store's index part of the batch: pins of an exchange that is stored in it, above all.
func (b *Batch) Chunks(c chunk.Change) { b.ops = append(b.ops, changeChunks{c}) }

const (
	sqlPutChunkFile = `INSERT INTO chunk_files (id, size, live) VALUES (?,?,0) ON CONFLICT (id) DO UPDATE SET size = max(size, excluded.size)`
	sqlAddChunk     = `INSERT INTO chunks (name, hsh, len, file, at, used, pins) VALUES (?1,?,?,?,?,?,(SELECT count(*) FROM chunk_pins WHERE name = ?1))
 ON CONFLICT (name, hsh) DO UPDATE SET len = excluded.len, file = excluded.file, at = excluded.at`
	sqlDropChunk     = `DELETE FROM chunks WHERE name = ? AND hsh = ? AND file = ? AND at = ? AND pins = 0`
	sqlForgetChunk   = `DELETE FROM chunks WHERE name = ? AND hsh = ? AND file = ? AND at = ?`
	sqlPinChunk      = `INSERT INTO chunk_pins (owner, name) VALUES (?,?) ON CONFLICT (owner, name) DO NOTHING`
	sqlUsePinned     = `UPDATE chunks SET used = max(used, ?) WHERE name IN (SELECT name FROM chunk_pins WHERE owner = ?)`
	sqlUnpinChunks   = `DELETE FROM chunk_pins WHERE owner = ?`
	sqlTouchChunk    = `UPDATE chunks SET used = max(used, ?) WHERE name = ?`
	sqlDropChunkFile = `DELETE FROM chunk_files WHERE id = ? AND live = 0`

	chunkColumns  = `name, hsh, len, file, at`
	sqlFindChunk  = `SELECT ` + chunkColumns + ` FROM chunks WHERE name = ?`
	sqlChunksIn   = `SELECT ` + chunkColumns + ` FROM chunks WHERE file = ? ORDER BY at, name, hsh`
	sqlIdleChunks = `SELECT ` + chunkColumns + ` FROM chunks INDEXED BY chunks_idle WHERE pins = 0 ORDER BY used, file, at, name, hsh LIMIT ? OFFSET ?`
	sqlChunkFiles = `SELECT id, size, live FROM chunk_files ORDER BY id`
	sqlChunkPins  = `SELECT name FROM chunk_pins WHERE owner = ?`
	sqlChunkStats = `SELECT n FROM counters WHERE name = ?`
)

// applyChunks makes the changes in the order of the fields, see chunk.Change.
func (t *tx) applyChunks(c *chunk.Change) error {
	now := toMilli(c.Now)
	for _, f := range c.Files {
		if _, err := t.s.exec(sqlPutChunkFile, f.ID, f.Size); err != nil {
			return err
		}
	}
	for i := range c.Add {
		r := &c.Add[i]
		if _, err := t.s.exec(sqlAddChunk, r.Name[:], r.Hsh[:], r.Len, r.File, r.At, now); err != nil {
			return err
		}
	}
	if err := t.deleteChunks(sqlDropChunk, c.Drop); err != nil {
		return err
	}
	if err := t.deleteChunks(sqlForgetChunk, c.Forget); err != nil {
		return err
	}
	if err := t.pinChunks(c, now); err != nil {
		return err
	}
	for i := range c.Touch {
		if _, err := t.s.exec(sqlTouchChunk, now, c.Touch[i][:]); err != nil {
			return err
		}
	}
	for _, id := range c.DropFiles {
		if _, err := t.s.exec(sqlDropChunkFile, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) deleteChunks(query string, rows []chunk.Row) error {
	for i := range rows {
		r := &rows[i]
		if _, err := t.s.exec(query, r.Name[:], r.Hsh[:], r.File, r.At); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) pinChunks(c *chunk.Change, now int64) error {
	for i := range c.Pin {
		for j := range c.Pin[i].Names {
			if _, err := t.s.exec(sqlPinChunk, c.Pin[i].Owner[:], c.Pin[i].Names[j][:]); err != nil {
				return err
			}
		}
	}
	for i := range c.Unpin {
		if _, err := t.s.exec(sqlUsePinned, now, c.Unpin[i][:]); err != nil {
			return err
		}
		if _, err := t.s.exec(sqlUnpinChunks, c.Unpin[i][:]); err != nil {
			return err
		}
	}
	return nil
}

// CommitChunks implements chunk.Index.
func (s *SQLite) CommitChunks(ctx context.Context, c chunk.Change) error {
	var b Batch
	b.Chunks(c)
	return s.Commit(ctx, &b)
}

// FindChunks implements chunk.Index.
func (r *reader) FindChunks(ctx context.Context, names []chunk.Name) (out []chunk.Row, err error) {
	err = r.with(ctx, func(s *session) error {
		for i := range names {
			if err := s.query(ctx, scanChunks(&out), sqlFindChunk, names[i][:]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, chunkError(err)
}

// ChunksIn implements chunk.Index.
func (r *reader) ChunksIn(ctx context.Context, file int64) (out []chunk.Row, err error) {
	err = r.with(ctx, func(s *session) error { return s.query(ctx, scanChunks(&out), sqlChunksIn, file) })
	return out, chunkError(err)
}

// IdleChunks implements chunk.Index.
func (r *reader) IdleChunks(ctx context.Context, skip, limit int) (out []chunk.Row, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, scanChunks(&out), sqlIdleChunks, int64(max(limit, 0)), int64(max(skip, 0)))
	})
	return out, chunkError(err)
}

func chunkError(err error) error {
	if err != nil {
		return fmt.Errorf("store: read chunks: %w", err)
	}
	return nil
}

func scanChunks(out *[]chunk.Row) func(row) error {
	return func(row row) error {
		var c chunk.Row
		var name, hsh []byte
		if err := row.Scan(&name, &hsh, &c.Len, &c.File, &c.At); err != nil {
			return err
		}
		if len(name) != len(c.Name) || len(hsh) != len(c.Hsh) {
			return fmt.Errorf("stored chunk has a name of %d bytes and a hash of %d", len(name), len(hsh))
		}
		c.Name, c.Hsh = chunk.Name(name), chunk.Sum(hsh)
		*out = append(*out, c)
		return nil
	}
}

// ChunkFiles implements chunk.Index.
func (r *reader) ChunkFiles(ctx context.Context) (out []chunk.File, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var f chunk.File
			err := row.Scan(&f.ID, &f.Size, &f.Live)
			out = append(out, f)
			return err
		}, sqlChunkFiles)
	})
	return out, chunkError(err)
}

// ChunkPins implements chunk.Index.
func (r *reader) ChunkPins(ctx context.Context, owner chunk.Owner) (out []chunk.Name, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var name []byte
			if err := row.Scan(&name); err != nil {
				return err
			}
			out = append(out, chunk.Name{})
			return setID((*[16]byte)(&out[len(out)-1]), name)
		}, sqlChunkPins, owner[:])
	})
	return out, chunkError(err)
}

// ChunkStats implements chunk.Index. Three rows are read, whatever is stored.
func (r *reader) ChunkStats(ctx context.Context) (st chunk.IndexStats, err error) {
	err = r.with(ctx, func(s *session) error {
		for name, n := range map[string]*int64{"chunks": &st.Chunks, "chunk_bytes": &st.Bytes, "chunk_bytes_pinned": &st.Pinned} {
			if _, err := s.one([]any{n}, sqlChunkStats, name); err != nil {
				return err
			}
		}
		return nil
	})
	return st, chunkError(err)
}
