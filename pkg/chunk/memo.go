package chunk

import (
	"context"
	"slices"
	"sync"
)

// memoNames and memoRows bound what a memo remembers: names, and rows of one name.
const (
	memoNames = 4 << 10
	memoRows  = 4
)

// memo is an Index that remembers what was found lately, and that nothing was: of each chunk that comes and goes on it is
// asked three times, and the database takes longer for an answer than for a megabyte of hash. Nobody else may add or
// delete rows of the Index behind it. Safe for concurrent use.
type memo struct {
	Index
	mu      sync.Mutex
	known   map[Name][]Row // all rows of a name
	older   map[Name][]Row // the same, and the next to be forgotten
	commits int            // under way; what is read meanwhile is not remembered
	ended   int            // commits that have ended
}

func newMemo(idx Index) *memo { return &memo{Index: idx, known: map[Name][]Row{}} }

// FindChunks implements Index.
func (m *memo) FindChunks(ctx context.Context, names []Name) (out []Row, err error) {
	m.mu.Lock()
	var ask []Name
	for _, n := range names {
		if rows, ok := m.recall(n); ok {
			out = append(out, rows...)
		} else {
			ask = append(ask, n)
		}
	}
	ended := m.ended
	m.mu.Unlock()
	if len(ask) == 0 {
		return out, nil
	}
	found, err := m.Index.FindChunks(ctx, ask)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.commits == 0 && m.ended == ended {
		for _, n := range ask {
			m.note(n, slices.DeleteFunc(slices.Clone(found), func(r Row) bool { return r.Name != n }))
		}
	}
	return append(out, found...), nil
}

// recall gives all rows of a name, if they are known. Called with the lock held.
func (m *memo) recall(n Name) (rows []Row, ok bool) {
	if rows, ok = m.known[n]; !ok {
		rows, ok = m.older[n]
	}
	return rows, ok
}

// note remembers all rows of a name. Called with the lock held.
func (m *memo) note(n Name, rows []Row) {
	delete(m.older, n)
	if delete(m.known, n); len(rows) > memoRows {
		return
	}
	if len(m.known) >= memoNames/2 {
		m.known, m.older = map[Name][]Row{}, m.known
	}
	m.known[n] = rows
}

// forget forgets a name. Called with the lock held.
func (m *memo) forget(n Name) {
	delete(m.known, n)
	delete(m.older, n)
}

// CommitChunks implements Index.
func (m *memo) CommitChunks(ctx context.Context, c Change) error {
	if len(c.Add)+len(c.Drop)+len(c.Forget) == 0 {
		return m.Index.CommitChunks(ctx, c)
	}
	m.mu.Lock()
	m.commits++
	m.mu.Unlock()
	err := m.Index.CommitChunks(ctx, c)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits--
	m.ended++
	for _, r := range c.Add {
		if rows, ok := m.recall(r.Name); ok && err == nil {
			others := slices.DeleteFunc(slices.Clone(rows), func(x Row) bool { return keyOf(x.Record) == keyOf(r.Record) })
			m.note(r.Name, append(others, r))
		} else {
			m.forget(r.Name)
		}
	}
	for _, r := range slices.Concat(c.Drop, c.Forget) { // whether it was there still, the change does not say
		m.forget(r.Name)
	}
	return err
}
