package chunk

import (
	"context"
	"fmt"
)

// Run puts records into a file of their own, in their order, so that the file is a pack of just these records and can be
// linked (LinkAlone). It must be ended. Not safe for concurrent use.
type Run struct {
	s   *Store
	cur *tail
}

// Begin begins a run.
func (s *Store) Begin() *Run {
	r := &Run{s: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.runs[r] = true
	}
	return r
}

// Put is Store.Put. A chunk that is here already is not put again, and then lies elsewhere.
func (r *Run) Put(rec Record, ct []byte) error { return r.s.put(&r.cur, rec, ct) }

// End lets no more records into the file. What was put is durable with the next Sync.
func (r *Run) End() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.roll(&r.cur)
	delete(r.s.runs, r)
}

// placed is a disk whose files have paths.
type placed interface{ path(id int64) string }

// LinkAlone calls link with the path of the file that holds just these records, in this order, and to which nothing is
// added any more; done is false when there is none, and link is not called. The file stays until link has returned.
func (s *Store) LinkAlone(ctx context.Context, recs []Record, link func(path string) error) (done bool, err error) {
	d, ok := s.d.(placed)
	if !ok || len(recs) == 0 {
		return false, nil
	}
	s.places.RLock()
	defer s.places.RUnlock()
	var file, at int64
	for i := range recs {
		row, found, err := s.look(ctx, recs[i].Name, &recs[i].Hsh)
		if err != nil {
			return false, fmt.Errorf("chunk store: %w", err)
		}
		if i == 0 {
			file = row.File
		}
		if !found || row.File != file || row.At != at || row.Len != recs[i].Len {
			return false, nil
		}
		at = row.End()
	}
	if size, growing := s.growing(file); growing || size != at {
		return false, nil
	}
	return true, link(d.path(file))
}

// growing gives the length of a file, and whether records may still be added to it.
func (s *Store) growing(id int64) (size int64, yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	yes = s.cur != nil && s.cur.id == id
	for r := range s.runs {
		yes = yes || r.cur != nil && r.cur.id == id
	}
	return s.sizes[id], yes
}

// Spare gives a path beside the store's files at which there is nothing; false: there are no paths. What is left there goes with
// the next start.
func (s *Store) Spare() (path string, ok bool) {
	d, ok := s.d.(placed)
	if !ok {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return d.path(s.next - 1), true
}

// Adopt makes a file that holds just these records, in this order, one of the store. move is given the path that it must
// be moved or cloned to; with an error of it nothing has changed. move has verified the records, and nobody may write to
// the file any more. It is durable after Sync.
func (s *Store) Adopt(recs []Record, move func(path string) error) error {
	d, ok := s.d.(placed)
	if !ok {
		return fmt.Errorf("chunk store: this one has no paths")
	}
	size := PackSize(recs)
	if err := s.makeRoom(size); err != nil {
		return err
	}
	s.mu.Lock()
	id := s.next
	s.next++
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errStoreClosed
	}
	if err := move(d.path(id)); err != nil {
		return err
	}
	f, err := s.d.open(id)
	if err != nil {
		return s.diskError(err)
	}
	done := make(chan struct{})
	close(done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.old = append(s.old, &tail{id: id, file: f, size: size, fresh: true, dirty: true})
	s.size += size
	s.sizes[id] = size
	at := int64(0)
	for _, r := range recs {
		if s.pending[keyOf(r)] == nil { // else another was quicker, and these bytes are dead
			s.pending[keyOf(r)] = &write{row: Row{Record: r, File: id, At: at}, done: done}
		}
		at += r.Size()
	}
	return nil
}
