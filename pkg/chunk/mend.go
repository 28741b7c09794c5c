package chunk

import "context"

// mend compares index and folder after a start and takes both up: what only one of them knows goes.
func (s *Store) mend(ctx context.Context) error {
	have, err := s.d.list()
	if err != nil {
		return err
	}
	known, err := s.idx.ChunkFiles(ctx)
	if err != nil {
		return err
	}
	for _, f := range known {
		s.next = max(s.next, f.ID+1)
		size, there := have[f.ID]
		if there && size >= f.Size {
			continue
		}
		if err := s.forgetBehind(ctx, f.ID, size); err != nil {
			return err
		}
	}
	if known, err = s.dropEmpty(ctx); err != nil {
		return err
	}
	listed := map[int64]File{}
	for _, f := range known {
		listed[f.ID] = f
	}
	for id, size := range have {
		s.next = max(s.next, id+1)
		if _, ok := listed[id]; ok {
			s.sizes[id] = size
			s.size += size
			continue
		}
		if err := s.d.remove(id); err != nil {
			return err
		}
	}
	if len(known) > 0 {
		return s.takeUp(known[len(known)-1])
	}
	return nil
}

// forgetBehind drops the rows of a file whose bytes lie behind size.
func (s *Store) forgetBehind(ctx context.Context, id, size int64) error {
	rows, err := s.idx.ChunksIn(ctx, id)
	if err != nil {
		return err
	}
	var lost []Row
	for _, r := range rows {
		if r.End() > size {
			lost = append(lost, r)
		}
	}
	return s.idx.CommitChunks(ctx, Change{Now: s.o.Now(), Forget: lost})
}

// dropEmpty drops files in which nothing is live from the index, and gives those that stay.
func (s *Store) dropEmpty(ctx context.Context) ([]File, error) {
	known, err := s.idx.ChunkFiles(ctx)
	if err != nil {
		return nil, err
	}
	c := Change{Now: s.o.Now()}
	var stay []File
	for _, f := range known {
		if f.Live == 0 {
			c.DropFiles = append(c.DropFiles, f.ID)
		} else {
			stay = append(stay, f)
		}
	}
	if len(c.DropFiles) == 0 {
		return stay, nil
	}
	return stay, s.idx.CommitChunks(ctx, c)
}

// takeUp goes on writing to the newest file if it has much room left; what lies behind the rows was never told of.
func (s *Store) takeUp(f File) error {
	if s.o.Closed || f.Size > s.fileMax()/2 || s.sizes[f.ID] < f.Size {
		return nil
	}
	file, err := s.d.reopen(f.ID)
	if err != nil {
		return err
	}
	if err := file.Truncate(f.Size); err != nil {
		_ = file.Close() // the first error says more
		return err
	}
	s.size += f.Size - s.sizes[f.ID]
	s.sizes[f.ID] = f.Size
	s.cur = &tail{id: f.ID, file: file, size: f.Size}
	return nil
}
