package store

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/hoft/hoft/pkg/chunk"
)

// memChunks is the part of a memState that is about chunks.
type memChunks struct {
	rows  map[chunkKey]memChunk
	files map[int64]int64 // lengths
	pins  map[chunk.Owner]map[chunk.Name]bool
}

type (
	chunkKey struct {
		name chunk.Name
		hsh  chunk.Sum
	}
	memChunk struct {
		chunk.Row
		used int64
	}
)

func newMemChunks() memChunks {
	return memChunks{rows: map[chunkKey]memChunk{}, files: map[int64]int64{}, pins: map[chunk.Owner]map[chunk.Name]bool{}}
}

func (s *memChunks) clone() memChunks {
	c := memChunks{rows: maps.Clone(s.rows), files: maps.Clone(s.files), pins: maps.Clone(s.pins)}
	for k, v := range c.pins {
		c.pins[k] = maps.Clone(v)
	}
	return c
}

func (s *memChunks) apply(c *chunk.Change) {
	now := toMilli(c.Now)
	for _, f := range c.Files {
		s.files[f.ID] = max(s.files[f.ID], f.Size)
	}
	for _, r := range c.Add {
		k := chunkKey{r.Name, r.Hsh}
		used := now
		if old, ok := s.rows[k]; ok {
			used = old.used
		}
		s.rows[k] = memChunk{r, used}
	}
	for _, r := range c.Drop {
		if !s.pinned(r.Name) {
			s.forget(r)
		}
	}
	for _, r := range c.Forget {
		s.forget(r)
	}
	s.pin(c, now)
	for _, n := range c.Touch {
		s.touch(func(x chunk.Name) bool { return x == n }, now)
	}
	for _, id := range c.DropFiles {
		if s.live(id) == 0 {
			delete(s.files, id)
		}
	}
}

func (s *memChunks) pin(c *chunk.Change, now int64) {
	for _, p := range c.Pin {
		if s.pins[p.Owner] == nil && len(p.Names) > 0 {
			s.pins[p.Owner] = map[chunk.Name]bool{}
		}
		for _, n := range p.Names {
			s.pins[p.Owner][n] = true
		}
	}
	for _, o := range c.Unpin {
		s.touch(func(n chunk.Name) bool { return s.pins[o][n] }, now)
		delete(s.pins, o)
	}
}

func (s *memChunks) forget(r chunk.Row) {
	k := chunkKey{r.Name, r.Hsh}
	if x, ok := s.rows[k]; ok && x.File == r.File && x.At == r.At {
		delete(s.rows, k)
	}
}

func (s *memChunks) touch(which func(chunk.Name) bool, now int64) {
	for k, x := range s.rows {
		if which(k.name) {
			x.used = max(x.used, now)
			s.rows[k] = x
		}
	}
}

func (s *memChunks) pinned(n chunk.Name) bool {
	for _, names := range s.pins {
		if names[n] {
			return true
		}
	}
	return false
}

func (s *memChunks) live(file int64) (n int64) {
	for _, x := range s.rows {
		if x.File == file {
			n += x.Size()
		}
	}
	return n
}

// list gives rows that are meant, in an order.
func (s *memChunks) list(which func(memChunk) bool, order func(a, b memChunk) int) (out []chunk.Row) {
	var rows []memChunk
	for _, x := range s.rows {
		if which(x) {
			rows = append(rows, x)
		}
	}
	slices.SortFunc(rows, order)
	for _, x := range rows {
		out = append(out, x.Row)
	}
	return out
}

func byPlace(a, b memChunk) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.At, b.At), bytes.Compare(a.Name[:], b.Name[:]), bytes.Compare(a.Hsh[:], b.Hsh[:]))
}

func byUse(a, b memChunk) int { return cmp.Or(cmp.Compare(a.used, b.used), byPlace(a, b)) }

// CommitChunks implements chunk.Index.
func (m *Mem) CommitChunks(ctx context.Context, c chunk.Change) error {
	var b Batch
	b.Chunks(c)
	return m.Commit(ctx, &b)
}

// FindChunks implements chunk.Index.
func (m *Mem) FindChunks(ctx context.Context, names []chunk.Name) (out []chunk.Row, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, n := range names {
			out = append(out, s.chunks.list(func(x memChunk) bool { return x.Name == n }, byPlace)...)
		}
	})
	return out, err
}

// ChunksIn implements chunk.Index.
func (m *Mem) ChunksIn(ctx context.Context, file int64) (out []chunk.Row, err error) {
	err = m.read(ctx, func(s *memState) {
		out = s.chunks.list(func(x memChunk) bool { return x.File == file }, byPlace)
	})
	return out, err
}

// IdleChunks implements chunk.Index.
func (m *Mem) IdleChunks(ctx context.Context, skip, limit int) (out []chunk.Row, err error) {
	err = m.read(ctx, func(s *memState) {
		out = s.chunks.list(func(x memChunk) bool { return !s.chunks.pinned(x.Name) }, byUse)
		out = firstN(out[min(len(out), max(skip, 0)):], limit)
	})
	return out, err
}

// ChunkFiles implements chunk.Index.
func (m *Mem) ChunkFiles(ctx context.Context) (out []chunk.File, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, id := range slices.Sorted(maps.Keys(s.chunks.files)) {
			out = append(out, chunk.File{ID: id, Size: s.chunks.files[id], Live: s.chunks.live(id)})
		}
	})
	return out, err
}

// ChunkPins implements chunk.Index.
func (m *Mem) ChunkPins(ctx context.Context, owner chunk.Owner) (out []chunk.Name, err error) {
	err = m.read(ctx, func(s *memState) { out = slices.Collect(maps.Keys(s.chunks.pins[owner])) })
	return out, err
}

// ChunkStats implements chunk.Index.
func (m *Mem) ChunkStats(ctx context.Context) (st chunk.IndexStats, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, x := range s.chunks.rows {
			st.Chunks++
			st.Bytes += x.Size()
			if s.chunks.pinned(x.Name) {
				st.Pinned += x.Size()
			}
		}
	})
	return st, err
}
