package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
)

// edit runs SQL on a database by itself.
func edit(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
}

func setMeta(t *testing.T, s *store.SQLite, key string) {
	t.Helper()
	var b store.Batch
	b.SetMeta(key, []byte("v"))
	if err := s.Commit(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
}

// TestRefused shows the databases that are not opened, by either way, and that none of them is changed.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name     string
		make     func(t *testing.T, path string)
		want     error
		wantText string
	}{
		{"newer", func(t *testing.T, path string) { edit(t, path, "PRAGMA user_version = 99") }, store.ErrNewer, "layout 99"},
		{"another application", func(t *testing.T, path string) { edit(t, path, "PRAGMA application_id = 7") }, store.ErrForeign, "0x7"},
		{"no application", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			edit(t, path, "CREATE TABLE t (x)")
		}, store.ErrForeign, "another folder"},
		{"no database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("hello, I am a text\n", 99)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, store.ErrForeign, "another folder"},
		{"damaged", func(t *testing.T, path string) {
			// The header stays, the list of tables behind it is overwritten.
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 4000), 104); err != nil {
				t.Fatal(err)
			}
		}, store.ErrUnusable, "put back a copy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := open(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "hoft.db")
			tt.make(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err1 := store.Open(dir, store.Options{})
			_, err2 := store.OpenReadOnly(dir)
			for _, err := range []error{err1, err2} {
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.wantText) || !strings.Contains(err.Error(), path) {
					t.Errorf("got %v, want %v that names %s and %s", err, tt.want, path, tt.wantText)
				}
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "absent")
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: got %v", err)
	}
	if _, err := store.OpenReadOnly(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read only: got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was made")
	}
}

// TestOlder reads a database that was never migrated.
func TestOlder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hoft.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenReadOnly(dir); !errors.Is(err, store.ErrOlder) {
		t.Errorf("got %v, want ErrOlder", err)
	}
}

// TestModes shows that what lies in the state folder is its owner's alone, and that loose files are mended.
func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files on Windows have no mode bits")
	}
	dir := filepath.Join(t.TempDir(), "odd #name%20? with spaces")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		s := open(t, dir)
		defer s.Close()
		setMeta(t, s, "k")
		for _, name := range []string{"hoft.db", "hoft.db-wal", "hoft.db-shm", "hoft.lock"} {
			fi, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if fi.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o", name, fi.Mode().Perm())
			}
		}
	}
	check()
	if err := os.Chmod(filepath.Join(dir, "hoft.db"), 0o644); err != nil {
		t.Fatal(err)
	}
	check()
}

// TestSettings reads back what the promise of Commit rests on.
func TestSettings(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	for pragma, want := range map[string]int64{"synchronous": 2, "foreign_keys": 1, "user_version": int64(s.Schema()),
		"application_id": 0x686f6674, "busy_timeout": 5000, "fullfsync": 1} {
		if got, err := s.Int("PRAGMA " + pragma); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", pragma, got, err, want)
		}
	}
	if got, err := s.Int("SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"); err != nil || got != 1 {
		t.Errorf("journal mode is not wal (%v)", err)
	}
}

// TestMigrate brings a database forward, with a copy of the old one, and leaves it as it was when a
// migration fails.
func TestMigrate(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	setMeta(t, s, "k")
	files := fstest.MapFS{}
	for _, path := range must(filepath.Glob("migrations/*.sql")) {
		files[filepath.Base(path)] = &fstest.MapFile{Data: must(os.ReadFile(path))}
	}
	n := len(files)
	bad := fmt.Sprintf("%03d_bad.sql", n+2)
	files[fmt.Sprintf("%03d_more.sql", n+1)] = &fstest.MapFile{Data: []byte("CREATE TABLE more (x); INSERT INTO more VALUES (5);")}
	files[bad] = &fstest.MapFile{Data: []byte("CREATE TABLE worse (x); CREATE TABLE more (x);")}
	if _, err := s.Migrate(dir, files); err == nil || !strings.Contains(err.Error(), "migration "+bad[:3]) {
		t.Errorf("got %v, want a failure of %s", err, bad)
	}
	if v, err := s.Int("PRAGMA user_version"); err != nil || v != int64(n+1) {
		t.Errorf("version %d, %v; want %d", v, err, n+1)
	}
	if n, err := s.Int("SELECT count(*) FROM sqlite_master WHERE name = 'worse'"); err != nil || n != 0 {
		t.Errorf("half a migration is there: %d, %v", n, err)
	}
	files[bad].Data = []byte("UPDATE more SET x = 6;")
	if v, err := s.Migrate(dir, files); err != nil || v != n+2 {
		t.Errorf("got %d, %v", v, err)
	}
	setMeta(t, s, "goes on")

	restored := t.TempDir()
	b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("hoft.db.v%03d.backup", n)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(restored, "hoft.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	old := open(t, restored)
	defer old.Close()
	if v, err := old.Meta(context.Background(), "k"); err != nil || string(v) != "v" {
		t.Errorf("the copy gives %q, %v", v, err)
	}
}

// must gives the value of a call that cannot fail here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestMigrationNames(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	for _, name := range []string{"002_gap.sql", "1_short.sql", "001.sql", "x.sql"} {
		if _, err := s.Migrate(t.TempDir(), fstest.MapFS{name: {}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestReadOnly reads while a writer works, sees what was committed, and changes no file once it is down.
func TestReadOnly(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, dir)
	r, err := store.OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := uint64(1); n <= 50; n++ {
			if err := s.Commit(ctx, three(3*n-2)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 50 {
			rows, err := r.Outbox(ctx, [16]byte{1}, 0, 1000)
			if err != nil || len(rows)%3 != 0 {
				t.Errorf("%d rows, %v: a batch is seen in part", len(rows), err)
			}
		}
	})
	wg.Wait()
	setMeta(t, s, "last")
	if _, err := r.Meta(ctx, "last"); err != nil {
		t.Errorf("what was committed is not seen: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	before := snapshot(t, dir)
	r, err = store.OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := r.Stats(ctx, [16]byte{1}); err != nil || st.Messages != 150 {
		t.Errorf("stats of a site that is down: %+v, %v", st, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("reading changed the folder:\n%s\nafter:\n%s", before, after)
	}
}

// snapshot gives the names and contents of the files that hold something.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %d %x\n", e.Name(), len(data), data[:min(len(data), 100)])
	}
	return b.String()
}

// TestFull lets the database run out of room: every caller of the group hears it, nothing is applied,
// and it goes on when there is room again.
func TestFull(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir())
	defer s.Close()
	setMeta(t, s, "k")
	pages, err := s.Int("PRAGMA page_count")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Pragma(fmt.Sprintf("max_page_count = %d", pages+10)); err != nil {
		t.Fatal(err)
	}
	big := func(id uint64) *store.Batch {
		var b store.Batch
		b.AddOutbox(store.Out{ID: id, Kind: frame.KindReq, Data: make([]byte, 64<<10)})
		return &b
	}
	var small store.Batch
	small.SetMeta("small", nil)
	for i, err := range s.CommitGroup(&small, big(1), big(2)) {
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("batch %d: got %v, want ErrFull", i, err)
		}
	}
	if err := s.Commit(ctx, big(1)); !errors.Is(err, store.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if _, err := s.Meta(ctx, "small"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("part of the group was applied: %v", err)
	}
	setMeta(t, s, "fits")
	if err := s.Pragma("max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, big(1)); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if rows, err := s.Outbox(ctx, [16]byte{}, 0, 9); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v; want 1", len(rows), err)
	}
}
