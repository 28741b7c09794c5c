package chunk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Sync makes durable what was put before the call: first the bytes, then the rows that list them. Calls at the same time
// share the work. After an error everything is still pending, and the next Sync tries again.
func (s *Store) Sync(ctx context.Context) error {
	select {
	case s.syncing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.syncing }()
	return s.flush(ctx)
}

// flush is Sync by whoever holds syncing.
func (s *Store) flush(ctx context.Context) error {
	rows, tails := s.written()
	if err := s.syncFiles(tails); err != nil {
		s.rescue()
		return err
	}
	if len(rows) == 0 {
		s.settle(nil)
		return nil
	}
	c := Change{Now: s.o.Now(), Add: rows}
	ends := map[int64]int64{}
	for _, r := range rows {
		ends[r.File] = max(ends[r.File], r.End())
	}
	for id, end := range ends {
		c.Files = append(c.Files, File{ID: id, Size: end})
	}
	if err := s.idx.CommitChunks(ctx, c); err != nil {
		return fmt.Errorf("chunk store: %w", err)
	}
	s.settle(rows)
	return nil
}

// written gives the records that lie in files and are pending, and the files to sync.
func (s *Store) written() (rows []Row, tails []*tail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.pending {
		select {
		case <-w.done:
			rows = append(rows, w.row)
		default:
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.At, b.At)) })
	for _, t := range s.tails() {
		if t.dirty {
			t.dirty = false
			tails = append(tails, t)
		}
	}
	return rows, tails
}

// syncFiles syncs the files and, where one is new, the folder.
func (s *Store) syncFiles(tails []*tail) error {
	fresh := false
	for _, t := range tails {
		if err := t.file.Sync(); err != nil {
			return s.diskError(fmt.Errorf("sync: %w", err))
		}
		fresh = fresh || t.fresh
	}
	if !fresh {
		return nil
	}
	if err := s.d.sync(); err != nil {
		return s.diskError(fmt.Errorf("sync the folder: %w", err))
	}
	for _, t := range tails {
		t.fresh = false // only looked at by whoever holds syncing
	}
	return nil
}

// settle takes rows that the index has out of the pending ones, and closes files that get no more.
func (s *Store) settle(rows []Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rows {
		if w := s.pending[keyOf(r.Record)]; w != nil && w.row == r {
			delete(s.pending, keyOf(r.Record))
		}
	}
	waiting := map[int64]bool{}
	for _, w := range s.pending {
		waiting[w.row.File] = true
	}
	s.old = slices.DeleteFunc(s.old, func(t *tail) bool {
		if !waiting[t.id] {
			_ = t.file.Close() // everything in it is synced
		}
		return !waiting[t.id]
	})
}

// rescue writes what is pending anew after a sync failed: what that leaves on the disk is unknown, and another sync of
// the same file may say that all is well. What cannot be read back whole is no longer here, and is asked for again.
// Called by whoever holds syncing.
func (s *Store) rescue() {
	s.mu.Lock()
	s.roll(&s.cur)
	for r := range s.runs {
		s.roll(&r.cur)
	}
	bad := s.old
	s.old = nil
	var waiting []*write
	for _, w := range s.pending {
		waiting = append(waiting, w)
	}
	s.mu.Unlock()
	buf := make([]byte, HeaderLen+MaxSealed)
	for _, w := range waiting {
		<-w.done
		i := slices.IndexFunc(bad, func(t *tail) bool { return t.id == w.row.File })
		if i < 0 || w.err != nil {
			continue // written into a new file meanwhile, or not at all
		}
		s.mu.Lock()
		delete(s.pending, keyOf(w.row.Record))
		s.mu.Unlock()
		raw := buf[:w.row.Size()]
		if _, err := bad[i].file.ReadAt(raw, w.row.At); err == nil && w.row.Verify(raw[HeaderLen:]) == nil {
			_ = s.append(&s.cur, w.row.Record, raw[HeaderLen:]) // an error means: not here
		}
	}
	for _, t := range bad {
		_ = t.file.Close() // whatever it says, the file is not trusted
		if t.fresh {       // the index does not list it
			s.removeFile(t.id)
		}
	}
}

// removeFile deletes a file that the index does not list. One that cannot be deleted now goes at the next start.
func (s *Store) removeFile(id int64) {
	s.places.Lock()
	s.files.forget(id)
	err := s.d.remove(id)
	s.places.Unlock()
	if err == nil {
		s.mu.Lock()
		s.size -= s.sizes[id]
		delete(s.sizes, id)
		s.mu.Unlock()
	}
}
