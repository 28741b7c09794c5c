package chunk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

func openLinked(t *testing.T, dir string) (*chunk.Store, *store.SQLite) {
	t.Helper()
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := chunk.OpenStore(t.Context(), filepath.Join(dir, "chunks"), db, chunk.StoreOptions{MaxBytes: 8 << 20, Closed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); db.Close() })
	return s, db
}

func records(from, n, size int) (recs []chunk.Record, pack []byte) {
	for i := range n {
		r, ct := sample(from+i, size)
		recs = append(recs, r)
		pack = append(r.AppendHeader(pack), ct...)
	}
	return recs, pack
}

// What a run puts lies in a file of its own, whatever is put beside it, and that file is a pack of just this.
func TestRunLiesAlone(t *testing.T) {
	s, _ := openLinked(t, t.TempDir())
	recs, pack := records(0, 3, 5000)
	other, _ := records(10, 3, 5000)
	run, second := s.Begin(), s.Begin()
	put := func(r interface {
		Put(chunk.Record, []byte) error
	}, n int) {
		t.Helper()
		if err := r.Put(sample(n, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		put(run, i)
		put(second, 10+i)
		put(s, 20+i)
	}
	alone := func(recs []chunk.Record) (got []byte) {
		t.Helper()
		done, err := s.LinkAlone(t.Context(), recs, func(path string) (err error) {
			got, err = os.ReadFile(path)
			return err
		})
		if err != nil || done != (got != nil) {
			t.Fatalf("%v, %v", done, err)
		}
		return got
	}
	if alone(recs) != nil {
		t.Error("a file that may still grow is given out")
	}
	run.End()
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := alone(recs); !bytes.Equal(got, pack) {
		t.Errorf("%d bytes, want %d", len(got), len(pack))
	}
	common, _ := records(20, 3, 5000)
	for what, recs := range map[string][]chunk.Record{"a part": recs[:2], "another order": {recs[1], recs[0], recs[2]}, "two files": {recs[0], recs[1], other[2]},
		"a run that goes on": other, "the common file": common, "nothing": nil} {
		if alone(recs) != nil {
			t.Errorf("%s is given out", what)
		}
	}
	failed := errors.New("no link")
	if done, err := s.LinkAlone(t.Context(), recs, func(string) error { return failed }); !done || !errors.Is(err, failed) {
		t.Errorf("%v, %v", done, err)
	}
	second.End()
	if alone(other) == nil { // not synced yet, but it will not grow
		t.Error("the second run does not lie alone")
	}
}

// A file that was adopted and synced is there after a restart; one that was not synced is neither known nor left over.
func TestAdopt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be renamed there, and pipe.private is refused")
	}
	dir := t.TempDir()
	s, db := openLinked(t, dir)
	adopt := func(recs []chunk.Record, pack []byte) error {
		from := filepath.Join(dir, "pack")
		if err := os.WriteFile(from, pack, 0o600); err != nil {
			t.Fatal(err)
		}
		return s.Adopt(recs, func(path string) error { return os.Rename(from, path) })
	}
	recs, pack := records(0, 3, 5000)
	if err := adopt(recs, pack); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	lost, pack := records(10, 3, 5000)
	if err := adopt(lost, pack); err != nil {
		t.Fatal(err)
	}
	whole := func(r chunk.Record, n int) bool {
		_, want := sample(n, 5000)
		got, err := s.Fill(t.Context(), r.Name, r.Hsh, nil)
		if err != nil && !errors.Is(err, chunk.ErrMissing) {
			t.Fatal(err)
		}
		return bytes.Equal(got, want)
	}
	for i := range 3 {
		if !whole(recs[i], i) || !whole(lost[i], 10+i) {
			t.Errorf("record %d is not there at once", i)
		}
	}
	failed := errors.New("no move")
	more, _ := records(20, 2, 5000)
	if err := s.Adopt(more, func(string) error { return failed }); !errors.Is(err, failed) || s.Holds(more[0]) {
		t.Errorf("%v", err)
	}
	// The power goes: a second store looks at what the first left.
	again, err := chunk.OpenStore(t.Context(), filepath.Join(dir, "chunks"), db, chunk.StoreOptions{MaxBytes: 8 << 20, Closed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	s = again
	for i := range 3 {
		if !whole(recs[i], i) || whole(lost[i], 10+i) {
			t.Errorf("record %d after the power cut", i)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "chunks"))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left: %v", len(entries), err)
	}
	if err := s.Put(sample(30, 5000)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "chunks", entries[0].Name())); err != nil || info.Size() != chunk.PackSize(recs) {
		t.Errorf("a file of an earlier run was added to: %v", err)
	}
}
