package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the database driver "sqlite"
)

// session is one connection with its prepared statements, by their text. Not safe for concurrent use.
//
// Statements run to their end whatever a caller's context says: each is short, and a context that can
// end costs a goroutine per statement.
type session struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// dsn gives the data source name of a database file; params are SQLite's and the driver's.
func dsn(path string, params ...string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/… on Windows
	}
	u := url.URL{Scheme: "file", Path: p, RawQuery: strings.Join(params, "&")}
	return u.String()
}

func openSession(path string, params ...string) (*session, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path, params...))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(context.Background())
	if err != nil {
		_ = db.Close() // the first error says more
		return nil, err
	}
	return &session{db: db, conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

func (s *session) close() error {
	for _, st := range s.stmts {
		_ = st.Close() // goes with its connection
	}
	err := s.conn.Close()
	if e := s.db.Close(); err == nil {
		err = e
	}
	return err
}

func (s *session) prepared(query string) (*sql.Stmt, error) {
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	s.stmts[query] = st
	return st, nil
}

// exec runs a statement and gives the number of rows changed.
func (s *session) exec(query string, args ...any) (int64, error) {
	st, err := s.prepared(query)
	if err != nil {
		return 0, err
	}
	r, err := st.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// query runs a statement that gives rows; each calls scan once per row.
func (s *session) query(ctx context.Context, scan func(row) error, query string, args ...any) error {
	st, err := s.prepared(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads the first row into dest; found is false if there is none.
func (s *session) one(dest []any, query string, args ...any) (found bool, err error) {
	err = s.query(context.Background(), func(r row) error {
		found = true
		return r.Scan(dest...)
	}, query, args...)
	return found, err
}

// script runs several statements, or one that is not worth keeping prepared.
func (s *session) script(text string) error {
	_, err := s.conn.ExecContext(context.Background(), text)
	return err
}

// row is what can be scanned: *sql.Rows.
type row interface{ Scan(dest ...any) error }
