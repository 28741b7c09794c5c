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
	whole = true
	err = walk(ctx, m.Entries, src, &whole, visit)
	return whole, err
}

func walk(ctx context.Context, entries []Entry, src Source, whole *bool, visit func(Entry, Name) error) error {
	for i := range entries {
		e := &entries[i]
		name := e.Name()
		if err := visit(*e, name); err != nil {
			return err
		}
		if e.Lvl == 0 {
			continue
		}
		below, err := openBelow(ctx, src, e, name)
		if errors.Is(err, ErrMissing) {
			*whole = false
			continue
		}
		if err != nil {
			return err
		}
		if err := walk(ctx, below, src, whole, visit); err != nil {
			return err
		}
	}
	return nil
}
