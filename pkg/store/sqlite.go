package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names in the state folder.
const (
	dbName   = "hoft.db"
	lockName = "hoft.lock"
)

// Options are the choices of Open; zero values stand for the defaults.
type Options struct {
	// Readers is the number of connections for reading: 4.
	Readers int
	// WALPages is the length of the write-ahead log, in pages of 4 KiB, from which on a commit also
	// moves it into the database: 4000, some 16 MiB.
	WALPages int
	// SecureDelete has what is deleted overwritten with zeros (PRAGMA secure_delete).
	SecureDelete bool
}

// SQLite keeps a site's state in <dir>/hoft.db. It is a Reader and a Committer, safe for concurrent use.
type SQLite struct {
	*reader
	w      *writer
	lock   *os.File
	schema int
}

// Open opens the store of a state folder, which must exist; the database is made or migrated as needed
// and belongs to this process until Close. It fails with ErrLocked,
// ErrNewer, ErrForeign or ErrUnusable.
func Open(dir string, opts Options) (*SQLite, error) {
	if opts.Readers <= 0 {
		opts.Readers = 4
	}
	if opts.WALPages <= 0 {
		opts.WALPages = 4000
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s, err := openLocked(dir, opts)
	if err != nil {
		_ = lock.Close() // the error of opening says more
		return nil, fmt.Errorf("store: open %s: %w", filepath.Join(dir, dbName), err)
	}
	s.lock = lock
	return s, nil
}

func openLocked(dir string, opts Options) (*SQLite, error) {
	path := filepath.Join(dir, dbName)
	if err := ownFiles(path); err != nil {
		return nil, asRefusal(err)
	}
	ws, err := openSession(path, "_pragma=busy_timeout(5000)", "_pragma=foreign_keys(1)", "_pragma=temp_store(MEMORY)",
		"_pragma=cache_size(-8192)")
	if err != nil {
		return nil, asRefusal(err)
	}
	schema, err := prepareWriter(ws, path, opts)
	if err != nil {
		_ = ws.close() // the first error says more
		return nil, asRefusal(err)
	}
	rd, err := openReader(path, opts.Readers)
	if err != nil {
		_ = ws.close()
		return nil, err
	}
	return &SQLite{reader: rd, w: newWriter(ws), schema: schema}, nil
}

// ownFiles makes the database file if it is not there, and makes it and its companions private.
// SQLite gives the companions that it makes itself the mode of the database.
func ownFiles(path string) error {
	if err := logAlone(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(name, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make private: %w", err)
		}
	}
	return nil
}

// logAlone refuses a write-ahead log whose database is empty or not there. SQLite would delete it, and with it commits that
// are there again once somebody puts the database back.
func logAlone(path string) error {
	log, err := os.Stat(path + "-wal")
	if err != nil || log.Size() == 0 {
		return nil // what is the matter shows when it is opened
	}
	db, err := os.Stat(path)
	if err == nil && db.Size() > 1 || err != nil && !errors.Is(err, fs.ErrNotExist) { // a byte is what SQLite makes of nothing
		return nil
	}
	return fmt.Errorf("%w: it is not there, or empty, but its write-ahead log %s-wal holds %d bytes: put the database back beside it, or move both away; what was under way then ends as uncertain",
		ErrUnusable, path, log.Size())
}

// prepareWriter brings a writer's connection and its database to the state that hoft works with.
// Nothing is changed before the database is known to be hoft's.
func prepareWriter(s *session, path string, opts Options) (schema int, err error) {
	found, err := identify(s)
	if err != nil {
		return 0, err
	}
	var mode string
	if _, err := s.one([]any{&mode}, "PRAGMA journal_mode = WAL"); err != nil {
		return 0, err
	}
	if !strings.EqualFold(mode, "wal") {
		return 0, fmt.Errorf("no write-ahead log on this file system (journal mode %s): put state_dir on a local disk", mode)
	}
	// FULL: what Commit reported survives a power cut, for hoft acks on the strength of it. The
	// fullfsync pair is the same promise on macOS; elsewhere it means nothing.
	for _, p := range []string{"synchronous = FULL", "fullfsync = 1", "checkpoint_fullfsync = 1", "journal_size_limit = 67108864",
		fmt.Sprintf("wal_autocheckpoint = %d", opts.WALPages)} {
		if err := s.script("PRAGMA " + p); err != nil {
			return 0, fmt.Errorf("pragma %s: %w", p, err)
		}
	}
	if opts.SecureDelete {
		if err := s.script("PRAGMA secure_delete = 1"); err != nil {
			return 0, fmt.Errorf("pragma secure_delete: %w", err)
		}
	}
	return migrate(s, path, found, embedded())
}

// scrubPatience is how long Scrub waits for readers, in milliseconds: commits wait behind it.
const scrubPatience = 100

// Scrub empties the write-ahead log, which still holds what was deleted since its beginning. A reader at work puts
// that off: the error says so, and a later Scrub does it.
func (s *SQLite) Scrub(ctx context.Context) error {
	err := s.w.wait(ctx, &request{done: make(chan error, 1), work: func(w *session) error {
		if err := w.script(fmt.Sprintf("PRAGMA busy_timeout = %d", scrubPatience)); err != nil {
			return err
		}
		var busy, pages, moved int
		_, err := w.one([]any{&busy, &pages, &moved}, "PRAGMA wal_checkpoint(TRUNCATE)")
		if err == nil && busy != 0 {
			err = errors.New("the write-ahead log is being read")
		}
		return errors.Join(err, w.script("PRAGMA busy_timeout = 5000"))
	}})
	if err != nil {
		return fmt.Errorf("store: scrub: %w", err)
	}
	return nil
}

// Schema gives the number of the database's layout.
func (s *SQLite) Schema() int { return s.schema }

// Commit makes a batch durable; see Committer. A batch that fails with ErrExists fails alone; every
// other error (ErrFull, input and output) fails the whole group and the store goes on working.
func (s *SQLite) Commit(ctx context.Context, b *Batch) error {
	if b.Len() == 0 {
		return ctx.Err()
	}
	return s.w.submit(ctx, b)
}

// Close commits what is queued, waits for reads under way, and gives the state folder free. Later calls
// of the store fail with ErrClosed.
func (s *SQLite) Close() error {
	err := s.reader.close()
	// The lock goes last, so that no other process opens a database that is still being closed.
	return errors.Join(err, s.w.close(), unlock(s.lock))
}
