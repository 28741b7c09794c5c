package chunk

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// rowsOnly is an Index of rows alone, which counts what it is asked.
type rowsOnly struct {
	Index
	rows   map[key]Row
	asked  int
	failed bool         // the next commit fails
	during func(Change) // called in the middle of a commit; nil: nothing
}

func (x *rowsOnly) FindChunks(_ context.Context, names []Name) (out []Row, err error) {
	x.asked += len(names)
	for _, r := range x.rows {
		if slices.Contains(names, r.Name) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (x *rowsOnly) CommitChunks(_ context.Context, c Change) error {
	if x.failed {
		return errors.New("failed")
	}
	if x.during != nil {
		x.during(c)
	}
	for _, r := range c.Add {
		x.rows[keyOf(r.Record)] = r
	}
	for _, r := range slices.Concat(c.Drop, c.Forget) {
		if x.rows[keyOf(r.Record)] == r {
			delete(x.rows, keyOf(r.Record))
		}
	}
	return nil
}

func rowOf(n, hsh byte, at int64) Row {
	return Row{Record: Record{Name: Name{n}, Hsh: Sum{hsh}, Len: 100}, File: 1, At: at}
}

func rowsAt(t *testing.T, x Index, names ...Name) []Row {
	t.Helper()
	out, err := x.FindChunks(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(out, func(a, b Row) int {
		return slices.Compare(append(a.Name[:], a.Hsh[:]...), append(b.Name[:], b.Hsh[:]...))
	})
	return out
}

// What a memo says is what the index says, whatever comes, goes, moves and fails.
func TestMemoSaysWhatTheIndexSays(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 7))
		x := &rowsOnly{rows: map[key]Row{}}
		m := newMemo(x)
		x.during = func(Change) { // what is read now may be old when the commit has ended
			rowsAt(t, m, Name{byte(r.IntN(8))}, Name{byte(r.IntN(8))})
		}
		for range 400 {
			var c Change
			for range r.IntN(3) {
				c.Add = append(c.Add, rowOf(byte(r.IntN(8)), byte(r.IntN(6)), r.Int64N(4)))
			}
			for _, old := range x.rows {
				if r.IntN(6) == 0 {
					c.Drop = append(c.Drop, old)
				} else if r.IntN(20) == 0 {
					old.At++ // it lies elsewhere by now
					c.Forget = append(c.Forget, old)
				}
			}
			x.failed = r.IntN(10) == 0
			if err := m.CommitChunks(t.Context(), c); (err != nil) != x.failed {
				t.Fatal(err)
			}
			names := []Name{{byte(r.IntN(8))}, {byte(8 + r.IntN(2))}}
			if got, want := rowsAt(t, m, names...), rowsAt(t, x, names...); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %v is %v, not %v", seed, names, got, want)
			}
		}
	}
}

// A chunk that comes, travels and is read costs one question.
func TestMemoAsksOnce(t *testing.T) {
	x := &rowsOnly{rows: map[key]Row{}}
	m := newMemo(x)
	for n := range byte(100) {
		r := rowOf(n, 1, int64(n))
		rowsAt(t, m, r.Name)
		rowsAt(t, m, r.Name)
		if err := m.CommitChunks(t.Context(), Change{Now: time.Unix(0, 0), Add: []Row{r}}); err != nil {
			t.Fatal(err)
		}
		if got := rowsAt(t, m, r.Name); !slices.Equal(got, []Row{r}) {
			t.Fatalf("%v", got)
		}
	}
	if x.asked != 100 {
		t.Errorf("%d questions", x.asked)
	}
	for n := range 3 * memoNames { // what is remembered is bounded
		rowsAt(t, m, Name{byte(n), byte(n >> 8), 1})
	}
	if n := len(m.known) + len(m.older); n > memoNames {
		t.Errorf("%d names are remembered", n)
	}
}
