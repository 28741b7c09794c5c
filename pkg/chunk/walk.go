package chunk

import (
	"context"
	"errors"
)

// Walk visits every entry that a map needs, a node before what is below it, in the order of the data: what a receiver
// asks the store for, or pins. Nodes are opened from src; below a node that src does not have nothing can be known, and
// whole is then false. Memory: one node per level. An error of visit ends the walk and is returned.
//
// A damaged node gives ErrDamaged, one that breaks a rule ErrMap.
func Walk(ctx context.Context, m Map, src Source, visit func(e Entry, name Name) error) (whole bool, err error) {
	return WalkRange(ctx, m, src, 0, m.Size(), visit)
}

// WalkRange is Walk of what holds n bytes of the data from byte off on. An entry that is like the one before it is passed
// over: both are the same chunk.
func WalkRange(ctx context.Context, m Map, src Source, off, n int64, visit func(e Entry, name Name) error) (whole bool, err error) {
	w := walker{ctx: ctx, src: src, visit: visit, from: off, to: off + n, whole: true}
	err = w.walk(m.Entries, 0)
	return w.whole, err
}

type walker struct {
	ctx      context.Context
	src      Source
	visit    func(Entry, Name) error
	from, to int64
	whole    bool
}

// walk visits the entries of a node whose data begins at byte at.
func (w *walker) walk(entries []Entry, at int64) error {
	for i := range entries {
		e := &entries[i]
		begin, end := at, at+e.Len
		at = end
		if end <= w.from || begin >= w.to {
			continue
		}
		if i > 0 && e.same(&entries[i-1]) && begin-e.Len >= w.from && end <= w.to {
			continue
		}
		name := e.Name()
		if err := w.visit(*e, name); err != nil {
			return err
		}
		if e.Lvl == 0 {
			continue
		}
		below, err := openBelow(w.ctx, w.src, e, name)
		if errors.Is(err, ErrMissing) {
			w.whole = false
			continue
		}
		if err != nil {
			return err
		}
		if err := w.walk(below, begin); err != nil {
			return err
		}
	}
	return nil
}
