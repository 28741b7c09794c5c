package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
)

// killed gives the state folder of a process that was killed: the last commits are in the write-ahead log alone.
func killed(t *testing.T) (dir string) {
	t.Helper()
	from := t.TempDir()
	s := open(t, from)
	defer s.Close()
	setMeta(t, s, "k")
	dir = t.TempDir()
	for _, name := range []string{"hoft.db", "hoft.db-wal"} {
		if err := os.WriteFile(filepath.Join(dir, name), must(os.ReadFile(filepath.Join(from, name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestLogWithoutItsDatabase: SQLite deletes a write-ahead log whose database is empty or not there, and with it what somebody
// who puts the database back would have found.
func TestLogWithoutItsDatabase(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"gone":  os.Remove,
		"empty": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := killed(t)
			path := filepath.Join(dir, "hoft.db")
			db, wal := must(os.ReadFile(path)), must(os.ReadFile(path+"-wal"))
			if err := lose(path); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrUnusable) || !strings.Contains(err.Error(), "hoft.db-wal") {
				t.Fatalf("open: %v", err)
			}
			if _, err := store.OpenReadOnly(dir); name == "empty" && !errors.Is(err, store.ErrUnusable) || err == nil {
				t.Errorf("open to read: %v", err)
			}
			if got, err := os.ReadFile(path + "-wal"); !bytes.Equal(got, wal) {
				t.Errorf("the log was changed: %d bytes, %v", len(got), err)
			}
			if err := os.WriteFile(path, db, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir)
			defer s.Close()
			if _, err := s.Meta(context.Background(), "k"); err != nil {
				t.Errorf("with the database put back: %v", err)
			}
		})
	}
}

// TestCutDatabase: a database that lost its end is told as such, and left as it is.
func TestCutDatabase(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "hoft.db")
	whole := must(os.ReadFile(path))
	for _, n := range []int{50, 100, 4095, 4096, len(whole) / 2, len(whole) - 4096} {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(dir, store.Options{})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, store.ErrUnusable) && !errors.Is(err, store.ErrForeign) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
		if got := must(os.ReadFile(path)); !bytes.Equal(got, whole[:n]) {
			t.Errorf("%d of %d bytes: the file was changed", n, len(whole))
		}
	}
}

// TestDamageThatShowsLater: what was damaged behind the list of tables is told with what to do when it is read or written.
func TestDamageThatShowsLater(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := open(t, dir)
	for id := uint64(1); id < 600; id += 3 {
		if err := s.Commit(ctx, three(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "hoft.db")
	whole := must(os.ReadFile(path))
	for i := len(whole) / 2; i < len(whole); i++ {
		whole[i] = 0xff
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	_, read := s.Outbox(ctx, [16]byte{1}, 0, 1000)
	var b store.Batch
	b.AckOutbox([16]byte{1}, frame.Ranges{{1, 600}}, when)
	for _, err := range []error{read, s.Commit(ctx, &b)} {
		if !errors.Is(err, store.ErrUnusable) || !strings.Contains(err.Error(), "put back a copy") {
			t.Errorf("got %v", err)
		}
	}
}

// TestCopyThatFails: a copy before a migration that cannot be finished takes no room.
func TestCopyThatFails(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	files := fstest.MapFS{}
	for _, path := range must(filepath.Glob("migrations/*.sql")) {
		files[filepath.Base(path)] = &fstest.MapFile{Data: must(os.ReadFile(path))}
	}
	n := len(files)
	files[fmt.Sprintf("%03d_more.sql", n+1)] = &fstest.MapFile{Data: []byte("CREATE TABLE more (x);")}
	if err := os.MkdirAll(filepath.Join(dir, fmt.Sprintf("hoft.db.v%03d.backup", n), "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(dir, files); err == nil || !strings.Contains(err.Error(), "copy before migration") {
		t.Fatalf("got %v", err)
	}
	if left := must(filepath.Glob(filepath.Join(dir, "*.part"))); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
