package chunk

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// resyncChunks is how many chunks behind a change are cut anew at most, while no cut falls where an old one was. Content
// that repeats itself, and data that was cut under another secret, would never come to one.
const resyncChunks = 32

// Edit writes data over that of m, from byte off on: the result is as long as it needs to be, and what lies between the
// end of m and off is zeros. Chunks before the change are kept as they are, and those behind it from where the new
// cuts meet the old ones, so the map is that of the same bytes written at once, as far as cuts follow from content. The sink
// gets the chunks that are new; those that are kept are not looked at. Without any data the map stays what it is. src
// has to hold the chunks around the change and the nodes of the map.
//
// An error of data is returned as it is; what the sink has had then belongs to no map. ErrRange for a negative off.
func Edit(ctx context.Context, m Map, src Source, s *Sealer, o WriterOptions, sink Sink, off int64, data io.Reader) (Map, error) {
	return newEditor(ctx, m, src, NewWriter(ctx, s, o, sink)).edit(off, data)
}

// Truncate gives the map of the first size bytes of m; see Edit. ErrRange unless size is from 0 to m.Size().
func Truncate(ctx context.Context, m Map, src Source, s *Sealer, o WriterOptions, sink Sink, size int64) (Map, error) {
	return newEditor(ctx, m, src, NewWriter(ctx, s, o, sink)).truncate(size)
}

// editor makes a map from one that is there.
type editor struct {
	ctx context.Context
	m   Map
	src Source
	w   *Writer
}

func newEditor(ctx context.Context, m Map, src Source, w *Writer) *editor {
	return &editor{ctx, m, src, w}
}

func (e *editor) edit(off int64, data io.Reader) (Map, error) {
	defer e.w.Abort()
	size := e.m.Size()
	if off < 0 || off > MaxSize {
		return Map{}, fmt.Errorf("%w: byte %d", ErrRange, off)
	}
	var first [1]byte
	if _, err := io.ReadFull(data, first[:]); err == io.EOF {
		return e.m, nil
	} else if err != nil {
		return Map{}, err
	}
	if err := e.begin(min(off, size)); err != nil {
		return Map{}, err
	}
	if err := e.w.zeros(off - size); err != nil {
		return Map{}, err
	}
	if _, err := e.w.ReadFrom(io.MultiReader(bytes.NewReader(first[:]), data)); err != nil {
		return Map{}, err
	}
	if e.w.total > MaxSize {
		return Map{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, e.w.total)
	}
	if err := e.rest(); err != nil {
		return Map{}, err
	}
	return e.w.Close()
}

func (e *editor) truncate(size int64) (Map, error) {
	defer e.w.Abort()
	if size < 0 || size > e.m.Size() {
		return Map{}, fmt.Errorf("%w: the first %d bytes of %d", ErrRange, size, e.m.Size())
	}
	if size == e.m.Size() {
		return e.m, nil
	}
	if size <= MaxInline {
		if err := e.copy(0, size); err != nil {
			return Map{}, err
		}
		return e.w.Close()
	}
	if err := e.begin(size); err != nil {
		return Map{}, err
	}
	return e.w.Close()
}

// copy writes the old bytes from off to end.
func (e *editor) copy(off, end int64) error {
	r, err := NewRange(e.ctx, e.m, e.src, off, end-off)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = e.w.ReadFrom(r)
	return err
}

// begin takes over the old data up to byte end: whole chunks as they are, and the beginning of the one that end lies in,
// or of the last one, which ends where it does only because the data did.
func (e *editor) begin(end int64) error {
	if end == 0 || len(e.m.Entries) == 0 {
		return e.copy(0, end)
	}
	stop, err := e.chunkAt(min(end, e.m.Size()-1))
	if err != nil {
		return err
	}
	if err := e.before(e.m.Entries, 0, stop); err != nil {
		return err
	}
	return e.copy(stop, end)
}

// chunkAt gives where the chunk of a byte begins.
func (e *editor) chunkAt(off int64) (int64, error) {
	_, skip, err := newCursor(e.ctx, &e.m, e.src, off)
	return off - skip, err
}

// before takes what lies before byte stop, where a chunk begins, of a node whose data begins at byte at.
func (e *editor) before(entries []Entry, at, stop int64) error {
	for i := range entries {
		x := &entries[i]
		end := at + x.Len
		switch {
		case at >= stop:
			return nil
		case end <= stop && e.w.nodes.aligned(x.Lvl):
			if err := e.w.take(*x); err != nil {
				return err
			}
		default: // a node: chunks lie on one side of stop
			below, err := openBelow(e.ctx, e.src, x, x.Name())
			if err != nil {
				return err
			}
			if err := e.before(below, at, stop); err != nil {
				return err
			}
		}
		at = end
	}
	return nil
}

// rest goes on with the old bytes behind what was written: cut anew until a cut falls on an old one, then as they are.
func (e *editor) rest() error {
	size := e.m.Size()
	if e.w.total >= size {
		return nil
	}
	if len(e.m.Entries) == 0 {
		return e.copy(e.w.total, size)
	}
	for n := 0; e.w.total < size; n++ {
		cur, skip, err := newCursor(e.ctx, &e.m, e.src, e.w.total)
		if err != nil {
			return err
		}
		if len(e.w.buf) == 0 && skip == 0 {
			if err := e.w.drain(); err != nil { // the lines are the sink's until then
				return err
			}
			return e.after(e.m.Entries, 0)
		}
		x, err := cur.next()
		if err != nil {
			return err
		}
		if err := e.copy(e.w.total, e.w.total-skip+x.Len); err != nil {
			return err
		}
		if n >= resyncChunks {
			if err := e.w.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// after takes what begins at or behind the byte that comes next, of a node whose data begins at byte at.
func (e *editor) after(entries []Entry, at int64) error {
	for i := range entries {
		x := &entries[i]
		begin := at
		at += x.Len
		if at <= e.w.total {
			continue
		}
		if begin == e.w.total && e.w.nodes.aligned(x.Lvl) {
			if err := e.w.take(*x); err != nil {
				return err
			}
			continue
		}
		below, err := openBelow(e.ctx, e.src, x, x.Name())
		if err != nil {
			return err
		}
		if err := e.after(below, begin); err != nil {
			return err
		}
	}
	return nil
}
