package chunk

import (
	"context"
	"fmt"
	"io"
)

// cursor walks the data's chunks in order, from any offset. It holds one node per level.
type cursor struct {
	ctx   context.Context
	src   Source
	stack []place
}

// place is how far the cursor is in one node.
type place struct {
	entries []Entry
	next    int
}

// newCursor begins at byte off of the data, 0 <= off < size; skip is where that lies in the first chunk.
func newCursor(ctx context.Context, m *Map, src Source, off int64) (c *cursor, skip int64, err error) {
	c = &cursor{ctx: ctx, src: src}
	entries := m.Entries
	if _, err := checkEntries(entries); err != nil { // nobody has to come by ParseMap
		return nil, 0, err
	}
	for {
		i, before := find(entries, off)
		if i == len(entries) {
			return nil, 0, fmt.Errorf("%w: no byte %d", ErrMap, off)
		}
		off -= before
		if entries[i].Lvl == 0 {
			c.stack = append(c.stack, place{entries, i})
			return c, off, nil
		}
		c.stack = append(c.stack, place{entries, i + 1})
		if entries, err = c.open(&entries[i]); err != nil {
			return nil, 0, err
		}
	}
}

// find gives the entry that holds byte off, and the bytes of those before it.
func find(entries []Entry, off int64) (i int, before int64) {
	for i = range entries {
		if before+entries[i].Len > off {
			return i, before
		}
		before += entries[i].Len
	}
	return len(entries), before
}

func (c *cursor) open(e *Entry) ([]Entry, error) { return openBelow(c.ctx, c.src, e, e.Name()) }

// next gives the line of the next chunk of data, or io.EOF.
func (c *cursor) next() (*Entry, error) {
	for len(c.stack) > 0 {
		top := &c.stack[len(c.stack)-1]
		if top.next == len(top.entries) {
			c.stack = c.stack[:len(c.stack)-1]
			continue
		}
		e := &top.entries[top.next]
		top.next++
		if e.Lvl == 0 {
			return e, nil
		}
		below, err := c.open(e)
		if err != nil {
			return nil, err
		}
		c.stack = append(c.stack, place{below, 0})
	}
	return nil, io.EOF
}

// OpenNode fetches and opens the node of a map that an entry of level 1 or more stands for. ErrMissing says that src does
// not have it, ErrDamaged and ErrMap that it is not as it should be.
func OpenNode(ctx context.Context, src Source, e *Entry) ([]Entry, error) {
	return openBelow(ctx, src, e, e.Name())
}

// openBelow fetches and opens a map node.
func openBelow(ctx context.Context, src Source, e *Entry, name Name) ([]Entry, error) {
	ct, err := fetch(ctx, src, e, name, nil)
	var below []Entry
	if err == nil {
		below, err = e.openNode(ct, nil)
	}
	if err != nil {
		return nil, failed(ctx, src, e, name, err)
	}
	return below, nil
}
