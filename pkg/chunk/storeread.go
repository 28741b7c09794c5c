package chunk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"syscall"
)

var _ FillSource = (*Store)(nil)

// Holds says whether a chunk with this name and hash is here, put or durable.
func (s *Store) Holds(r Record) bool {
	s.mu.Lock()
	put := s.pending[keyOf(r)] != nil
	s.mu.Unlock()
	if put {
		return true
	}
	_, err := s.Find(s.ctx, r.Name, r.Hsh)
	return err == nil // else at worst it is stored or sent once more
}

// Find gives the record of the chunk with this name and hash, or ErrMissing. What is put and not durable is not found. What is
// found stays if it was pinned before.
func (s *Store) Find(ctx context.Context, n Name, hsh Sum) (Record, error) {
	for {
		round := s.evictions()
		rows, err := s.idx.FindChunks(ctx, []Name{n})
		if err != nil {
			return Record{}, fmt.Errorf("chunk store: %w", err)
		}
		i := slices.IndexFunc(rows, func(r Row) bool { return r.Hsh == hsh })
		if i < 0 {
			return Record{}, ErrMissing
		}
		s.mu.Lock()
		leaves, again := s.leaving[keyOf(rows[i].Record)], s.round != round
		s.mu.Unlock()
		switch {
		case again: // something went since the look
		case leaves:
			return Record{}, ErrMissing
		default:
			return rows[i].Record, nil
		}
	}
}

// evictions says which round of eviction it is.
func (s *Store) evictions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.round
}

// Chunk gives a whole ciphertext, which is the caller's, or ErrMissing. It is not verified: what opens it does that.
func (s *Store) Chunk(ctx context.Context, n Name) ([]byte, error) {
	return s.fill(ctx, n, nil, nil, false)
}

// Fill gives the ciphertext with this name and hash, in buf where its capacity suffices, or ErrMissing. It is not verified.
func (s *Store) Fill(ctx context.Context, n Name, hsh Sum, buf []byte) ([]byte, error) {
	return s.fill(ctx, n, &hsh, buf, false)
}

// Once gives the same chunks to who reads them once: the page cache does not keep them.
func (s *Store) Once() FillSource { return once{s} }

type once struct{ *Store }

func (o once) Fill(ctx context.Context, n Name, hsh Sum, buf []byte) ([]byte, error) {
	return o.fill(ctx, n, &hsh, buf, true)
}

func (s *Store) fill(ctx context.Context, n Name, hsh *Sum, buf []byte, last bool) ([]byte, error) {
	row, f, err := s.find(ctx, n, hsh)
	if err != nil {
		return nil, err
	}
	defer s.files.put(f)
	s.touch(n)
	if int64(cap(buf)) < row.Len {
		buf = make([]byte, row.Len)
	}
	buf = buf[:row.Len]
	if k, err := f.ReadAt(buf, row.At+HeaderLen); k < len(buf) {
		return nil, s.unreadable(ctx, row, err)
	}
	if last {
		cool(f.diskFile, row.At, row.Size())
	}
	return buf, nil
}

// find looks a chunk up and opens its file, which the caller gives back. ErrMissing if it is not here.
func (s *Store) find(ctx context.Context, n Name, hsh *Sum) (Row, *openFile, error) {
	s.places.RLock()
	defer s.places.RUnlock()
	row, ok, err := s.look(ctx, n, hsh)
	if err != nil {
		return Row{}, nil, fmt.Errorf("chunk store: %w", err)
	}
	if !ok {
		return Row{}, nil, ErrMissing
	}
	f, err := s.files.get(row.File)
	if err != nil {
		return Row{}, nil, s.unreadable(ctx, row, err)
	}
	return row, f, nil
}

func (s *Store) look(ctx context.Context, n Name, hsh *Sum) (Row, bool, error) {
	s.mu.Lock()
	var w *write
	for k, x := range s.pending {
		if k.name == n && (hsh == nil || k.hsh == *hsh) {
			w = x
		}
	}
	s.mu.Unlock()
	if w != nil {
		if <-w.done; w.err == nil {
			return w.row, true, nil
		}
	}
	rows, err := s.idx.FindChunks(ctx, []Name{n})
	for _, r := range rows {
		if hsh == nil || r.Hsh == *hsh {
			return r, true, nil
		}
	}
	return Row{}, false, err
}

// unreadable forgets a row whose bytes are not there, and gives the error: ErrMissing then, or what the disk said.
func (s *Store) unreadable(ctx context.Context, r Row, err error) error {
	if !lost(err) {
		return fmt.Errorf("chunk store: read: %w", err)
	}
	s.forget(ctx, r)
	return ErrMissing
}

// lost says whether the outcome of a short read means that the bytes are no longer there: the file ends before them, or
// the medium does not give them back (EIO).
func lost(err error) bool {
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EIO)
}

// forget drops a row whose bytes are lost.
func (s *Store) forget(ctx context.Context, r Row) {
	s.mu.Lock()
	s.damaged++
	s.mu.Unlock()
	// An error leaves the row, and the next reader comes here again.
	_ = s.idx.CommitChunks(context.WithoutCancel(ctx), Change{Now: s.o.Now(), Forget: []Row{r}})
}

// Suspect checks a stored chunk against its hash; one that does not fit is forgotten, so that a fresh copy can be stored.
func (s *Store) Suspect(ctx context.Context, n Name, hsh Sum) {
	row, f, err := s.find(ctx, n, &hsh)
	if err != nil {
		return
	}
	defer s.files.put(f)
	ct := make([]byte, row.Len)
	if k, err := f.ReadAt(ct, row.At+HeaderLen); k == len(ct) && row.Verify(ct) != nil || k < len(ct) && lost(err) {
		s.forget(ctx, row)
	}
}

// WriteRecord copies a record to w, header included. With verify the bytes are checked first, and what does not fit is
// forgotten and gives ErrDamaged: for bytes that were read or linked since
// they were written. ErrMissing if the chunk is not here. The page cache does not keep what was copied.
func (s *Store) WriteRecord(ctx context.Context, w io.Writer, r Record, verify bool) error {
	row, f, err := s.find(ctx, r.Name, &r.Hsh)
	if err != nil {
		return err
	}
	defer s.files.put(f)
	buf := memory.get(classOf(int(row.Len - Overhead)))
	defer memory.put(buf)
	raw := buf[:row.Size()]
	if k, err := f.ReadAt(raw, row.At); k < len(raw) {
		return s.unreadable(ctx, row, err)
	}
	if verify {
		var head [HeaderLen]byte
		if err := row.Verify(raw[HeaderLen:]); err != nil || string(raw[:HeaderLen]) != string(r.AppendHeader(head[:0])) {
			s.forget(ctx, row)
			return fmt.Errorf("chunk store: %w", ErrDamaged)
		}
	}
	_, err = w.Write(raw)
	cool(f.diskFile, row.At, row.Size())
	return err
}
