package store_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
	"github.com/hoft/hoft/pkg/store/storetest"
)

// TestSame compares SQLite with Mem, and Mem with its clones, after random batches. One database serves
// all runs: each run starts by emptying both.
func TestSame(t *testing.T) {
	disk := open(t, t.TempDir())
	defer disk.Close()
	rapid.Check(t, func(t *rapid.T) {
		empty(t, disk)
		mem := store.NewMem()
		batches := rapid.IntRange(1, 12).Draw(t, "batches")
		cloneAt := rapid.IntRange(0, batches-1).Draw(t, "clone before")
		var old *store.Mem
		var oldDump map[string]any
		for i := range batches {
			if i == cloneAt {
				old = mem.Clone()
				oldDump = storetest.Dump(old)
			}
			var a, b store.Batch
			for _, change := range storetest.Draw(t) {
				change(&a)
				change(&b)
			}
			errDisk, errMem := disk.Commit(context.Background(), &a), mem.Apply(&b)
			if errors.Is(errDisk, store.ErrExists) != errors.Is(errMem, store.ErrExists) || (errDisk == nil) != (errMem == nil) {
				t.Fatalf("sqlite: %v, mem: %v", errDisk, errMem)
			}
			if i%3 == 2 || i == batches-1 { // reading all costs far more than committing
				if got, want := storetest.Dump(disk), storetest.Dump(mem); !reflect.DeepEqual(got, want) {
					t.Fatalf("sqlite differs from mem (-mem +sqlite):\n%s", cmp.Diff(want, got))
				}
			}
		}
		if got := storetest.Dump(old); !reflect.DeepEqual(got, oldDump) {
			t.Fatalf("a clone changed with its original (-before +after):\n%s", cmp.Diff(oldDump, got))
		}
	})
}

// empty deletes what the tables hold, by the store's own means.
func empty(t *rapid.T, s *store.SQLite) {
	if err := s.Wipe(); err != nil {
		t.Fatal(err)
	}
}

// TestMemFaults shows a crash before a commit, one after it, and the restart on what is durable.
func TestMemFaults(t *testing.T) {
	ctx := context.Background()
	lost := errors.New("power cut")
	set := func(m *store.Mem, key string) error {
		var b store.Batch
		b.SetMeta(key, []byte{1})
		return m.Commit(ctx, &b)
	}
	m := store.NewMem()
	m.Fault(func(*store.Batch) error { return lost }, nil)
	if err := set(m, "before"); !errors.Is(err, lost) {
		t.Fatalf("got %v", err)
	}
	m.Fault(nil, func(*store.Batch) error { return lost })
	if err := set(m, "after"); !errors.Is(err, lost) {
		t.Fatalf("got %v", err)
	}
	next := m.Clone()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := set(m, "late"); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	if err := set(next, "next"); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]error{"before": store.ErrNotFound, "after": nil, "late": store.ErrNotFound, "next": nil} {
		if _, err := next.Meta(ctx, key); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", key, err, want)
		}
	}
}

// TestConflictAlone shows that a batch refused for its own content does not fail those it is committed with.
func TestConflictAlone(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	ctx := context.Background()
	add := func(id uint64) *store.Batch {
		var b store.Batch
		b.AddOutbox(store.Out{ID: id, Kind: frame.KindReq})
		return &b
	}
	if err := s.Commit(ctx, add(5)); err != nil {
		t.Fatal(err)
	}
	errs := s.CommitGroup(add(1), add(5), add(2), add(2), add(3))
	for i, want := range []error{nil, store.ErrExists, nil, store.ErrExists, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("batch %d: got %v, want %v", i, errs[i], want)
		}
	}
	st, err := s.Stats(ctx, [16]byte{})
	if err != nil || st.Messages != 4 {
		t.Errorf("messages: %d, %v; want 4", st.Messages, err)
	}
}
