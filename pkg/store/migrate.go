package store

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	sqlite3 "modernc.org/sqlite/lib"
)

// applicationID marks hoft's databases: "hoft" in ASCII.
const applicationID = 0x686f6674

//go:embed migrations/*.sql
var migrationFiles embed.FS

// embedded gives the migrations that this version knows.
func embedded() fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the name is a constant
	}
	return sub
}

// identify gives the layout number of a database, 0 for an empty one, or ErrForeign. It only reads.
func identify(s *session) (version int, err error) {
	var app, objects int
	if _, err := s.one([]any{&app}, "PRAGMA application_id"); err != nil {
		return 0, err
	}
	if _, err := s.one([]any{&version}, "PRAGMA user_version"); err != nil {
		return 0, err
	}
	if _, err := s.one([]any{&objects}, "SELECT count(*) FROM sqlite_master"); err != nil {
		return 0, err
	}
	if app == 0 && version == 0 && objects == 0 {
		return 0, nil
	}
	if app != applicationID {
		return 0, fmt.Errorf("%w (application id %#x): point state_dir at another folder, or move the file away", ErrForeign, app)
	}
	return version, nil
}

// asRefusal names the cases in which the file, or the folder around it, is at fault.
func asRefusal(err error) error {
	switch {
	case hasCode(err, sqlite3.SQLITE_NOTADB):
		return fmt.Errorf("%w (%w): point state_dir at another folder, or move the file away", ErrForeign, err)
	case hasCode(err, sqlite3.SQLITE_CORRUPT):
		return asDamage(err)
	case hasCode(err, sqlite3.SQLITE_READONLY), hasCode(err, sqlite3.SQLITE_CANTOPEN), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (%w): the state folder and all files in it must belong to the user that hoft runs as", ErrUnusable, err)
	}
	return err
}

// asDamage says what to do about a database that turns out to be damaged, at the start or later.
func asDamage(err error) error {
	if !hasCode(err, sqlite3.SQLITE_CORRUPT) {
		return err
	}
	return fmt.Errorf("%w (%w): put back a copy, or move hoft.db and its companions away; what was under way then ends as uncertain", ErrUnusable, err)
}

// migrations gives the texts in dir, in order: NNN_name.sql, from 001 without a gap.
func migrations(dir fs.FS) ([]string, error) {
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var texts []string
	for i, name := range names {
		if len(name) < 4 || name[3] != '_' {
			return nil, fmt.Errorf("migration %s: the name is not NNN_name.sql", name)
		}
		if n, err := strconv.Atoi(name[:3]); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s: want number %03d", name, i+1)
		}
		b, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(b))
	}
	return texts, nil
}

// migrate brings the database from layout version to the last in dir, one transaction each. A database
// that holds something is copied first.
func migrate(s *session, path string, version int, dir fs.FS) (int, error) {
	texts, err := migrations(dir)
	if err != nil {
		return 0, err
	}
	if version > len(texts) {
		return 0, tooNew(version, len(texts))
	}
	if version > 0 && version < len(texts) {
		if err := backup(s, fmt.Sprintf("%s.v%03d.backup", path, version)); err != nil {
			return 0, fmt.Errorf("copy before migration: %w", err)
		}
	}
	for v := version; v < len(texts); v++ {
		text := fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA user_version = %d;\nCOMMIT;", texts[v], v+1)
		if err := s.script(text); err != nil {
			_ = s.script("ROLLBACK") // the error of the migration says more
			return 0, fmt.Errorf("migration %03d: %w", v+1, err)
		}
	}
	return len(texts), nil
}

func tooNew(version, known int) error {
	return fmt.Errorf("%w (layout %d, this version knows %d): run the newer version, or put back the copy hoft.db.v%03d.backup",
		ErrNewer, version, known, known)
}

// backup writes a copy of the database that is whole and on disk when it returns.
func backup(s *session, to string) (err error) {
	tmp := to + ".part"
	if err := os.Remove(tmp); err != nil && !os.IsNotExist(err) {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp) // the disk may be full
		}
	}()
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // VACUUM INTO takes an empty file
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := s.exec("VACUUM INTO ?", tmp); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}
