package chunk

import (
	"context"
	"fmt"
)

// evictAtOnce is how many chunks go in one commit.
const evictAtOnce = 64

// makeRoom sees to it that n more bytes may be written: the longest unused chunks go that nobody needs.
func (s *Store) makeRoom(n int64) error {
	s.lookAtDisk(n)
	if s.fits(n) {
		return nil
	}
	select {
	case s.freeing <- struct{}{}:
	case <-s.ctx.Done():
		return errStoreClosed
	}
	defer func() { <-s.freeing }()
	if err := s.noteUse(s.ctx); err != nil {
		return fmt.Errorf("chunk store: %w", err)
	}
	// A sixteenth more than needed, so that this is not done for every chunk.
	for goal := n + s.o.MaxBytes/16; !s.fits(goal); {
		freed, err := s.evict(s.ctx, s.excess(goal))
		if err != nil {
			return fmt.Errorf("chunk store: make room: %w", err)
		}
		s.lookAtDisk(looksEvery)
		if !freed {
			break
		}
	}
	over, disk := s.over(n)
	if over > 0 || disk > 0 {
		s.mu.Lock()
		s.fullAt = s.o.Now()
		s.mu.Unlock()
	}
	switch {
	case disk > 0:
		return fmt.Errorf("%w: the disk of the state folder is nearly full, and all that lies in the store is needed; free some space there", ErrFull)
	case over > 0:
		return fmt.Errorf("%w: all of it is needed; raise chunks.max_bytes, or wait until exchanges have ended", ErrFull)
	}
	return nil
}

const (
	// keepFree and keepShare: this much of the disk is left to others, of a small disk a share. A full one stops the
	// database, and with it every call.
	keepFree  = 512 << 20
	keepShare = 20
	// looksEvery is after how many bytes written the free space is looked at again.
	looksEvery = 4 << 20
)

// lookAtDisk looks at the free space now and then; n bytes are about to be written.
func (s *Store) lookAtDisk(n int64) {
	s.mu.Lock()
	s.unseen += n
	due := s.unseen >= looksEvery || s.short == 0
	s.mu.Unlock()
	if !due {
		return
	}
	total, free := s.d.space()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unseen, s.short = 0, min(keepFree, total/keepShare)-free; total == 0 || s.short == 0 {
		s.short = -1 // there is no telling, or it is enough
	}
}

func (s *Store) fits(n int64) bool { return s.excess(n) <= 0 }

// excess is how much must go when n bytes are to be written.
func (s *Store) excess(n int64) int64 {
	over, disk := s.over(n)
	return max(over, disk)
}

// over says by how much n bytes more would pass the cap, and what must stay free of the disk.
func (s *Store) over(n int64) (over, disk int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size + n - s.o.MaxBytes, s.short
}

// evict drops chunks of about n bytes, and removes or rewrites files that became mostly dead. freed says whether
// anything changed.
func (s *Store) evict(ctx context.Context, n int64) (freed bool, err error) {
	rows, err := s.choose(ctx, n)
	if err == nil && len(rows) == 0 { // what is pending cannot go; what is durable can
		if err = s.Sync(ctx); err == nil {
			rows, err = s.choose(ctx, n)
		}
	}
	if err != nil {
		return false, err
	}
	if len(rows) > 0 {
		err := s.idx.CommitChunks(ctx, Change{Now: s.o.Now(), Drop: rows})
		s.mu.Lock()
		s.leaving = nil
		s.round++
		if err == nil {
			s.evicted += int64(len(rows))
		}
		s.mu.Unlock()
		if err != nil {
			return false, err
		}
	}
	swept, err := s.sweep(ctx, len(rows) == 0)
	return len(rows) > 0 || swept, err
}

// choose gives the longest unused chunks that nobody needs, of n bytes in all or as many as go in one commit. From then on
// they are as good as gone: who pins one now finds it missing.
func (s *Store) choose(ctx context.Context, n int64) (out []Row, err error) {
	for skip := 0; ; skip += evictAtOnce {
		rows, err := s.idx.IdleChunks(ctx, skip, evictAtOnce)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		for _, r := range rows {
			if s.needed[r.Name] > 0 || n <= 0 || len(out) == evictAtOnce {
				continue
			}
			if s.leaving == nil {
				s.leaving = map[key]bool{}
			}
			s.leaving[keyOf(r.Record)] = true
			out = append(out, r)
			n -= r.Size()
		}
		s.mu.Unlock()
		if n <= 0 || len(out) == evictAtOnce || len(rows) < evictAtOnce {
			return out, nil
		}
	}
}

// sweep removes files in which nothing is live, and rewrites those that are mostly dead; with last also the file that
// takes records now, if it is so.
func (s *Store) sweep(ctx context.Context, last bool) (swept bool, err error) {
	if last {
		if err := s.endMostlyDead(ctx); err != nil {
			return false, err
		}
	}
	all, err := s.idx.ChunkFiles(ctx)
	if err != nil {
		return false, err
	}
	for _, f := range all {
		size, busy := s.measure(f.ID)
		if busy || f.Live >= size/2 {
			continue
		}
		if f.Live > 0 {
			if err := s.rewrite(ctx, f.ID); err != nil {
				return swept, err
			}
		}
		gone, err := s.discard(ctx, f.ID)
		if err != nil {
			return swept, err
		}
		swept = swept || gone
	}
	return swept, nil
}

// endMostlyDead lets no more records into the present file when most of it is dead, so that it can be swept.
func (s *Store) endMostlyDead(ctx context.Context) error {
	if err := s.Sync(ctx); err != nil { // what is pending is not dead
		return err
	}
	all, err := s.idx.ChunkFiles(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, f := range all {
		if s.cur != nil && f.ID == s.cur.id && f.Live < s.cur.size/2 {
			s.roll(&s.cur)
			break
		}
	}
	s.mu.Unlock()
	return s.Sync(ctx) // closes it
}

// measure gives the length of a file, and whether records are still written to it.
func (s *Store) measure(id int64) (size int64, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tails() {
		busy = busy || t.id == id
	}
	return s.sizes[id], busy
}

// rewrite moves what is live in a file behind the other records: copy, sync, commit.
func (s *Store) rewrite(ctx context.Context, id int64) error {
	rows, err := s.idx.ChunksIn(ctx, id)
	if err != nil {
		return err
	}
	f, err := s.files.get(id)
	if err != nil {
		return err
	}
	defer s.files.put(f)
	var gone []Row
	buf := make([]byte, HeaderLen+MaxSealed)
	for _, r := range rows {
		raw := buf[:r.Size()]
		if k, err := f.ReadAt(raw, r.At); k < len(raw) || r.Verify(raw[HeaderLen:]) != nil {
			if k < len(raw) && !lost(err) {
				return err
			}
			gone = append(gone, r)
			continue
		}
		if err := s.append(&s.cur, r.Record, raw[HeaderLen:]); err != nil {
			return err
		}
	}
	// The rows of append are added by Sync as any others: a name that is there gets the new place.
	if err := s.Sync(ctx); err != nil {
		return err
	}
	if len(gone) == 0 {
		return nil
	}
	s.mu.Lock()
	s.damaged += int64(len(gone))
	s.mu.Unlock()
	return s.idx.CommitChunks(ctx, Change{Now: s.o.Now(), Forget: gone})
}

// discard deletes a file in which nothing is live: first from the index, then from the disk.
func (s *Store) discard(ctx context.Context, id int64) (gone bool, err error) {
	if err := s.idx.CommitChunks(ctx, Change{Now: s.o.Now(), DropFiles: []int64{id}}); err != nil {
		return false, err
	}
	all, err := s.idx.ChunkFiles(ctx)
	if err != nil {
		return false, err
	}
	for _, f := range all {
		if f.ID == id { // something was moved there or is needed again
			return false, nil
		}
	}
	s.removeFile(id)
	return true, nil
}
