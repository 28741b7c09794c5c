package store

import (
	"context"
	"io/fs"
	"path/filepath"
	"runtime"

	"maps"
	"slices"
	"strings"
)

// Wipe empties all tables, for tests that use one database many times. The database itself says which there are: one that
// were left out would carry rows from one run into the next.
func (s *SQLite) Wipe() error {
	return s.onWriter(func(w *session) error {
		var script strings.Builder
		err := w.query(context.Background(), func(r row) error {
			var table string
			if err := r.Scan(&table); err != nil {
				return err
			}
			if table != "counters" && !strings.HasPrefix(table, "sqlite_") {
				script.WriteString("DELETE FROM " + table + ";")
			}
			return nil
		}, "SELECT name FROM sqlite_master WHERE type = 'table'")
		if err != nil {
			return err
		}
		return w.script("PRAGMA defer_foreign_keys = ON; BEGIN; " + script.String() + "UPDATE counters SET n = 0; COMMIT;") // triggers count down
	})
}

// onWriter runs f on the writer's connection while the writer rests: nothing may be queued meanwhile.
func (s *SQLite) onWriter(f func(*session) error) error { return f(s.w.s) }

// Pragma sets a pragma of the writer's connection.
func (s *SQLite) Pragma(text string) error {
	return s.onWriter(func(w *session) error { return w.script("PRAGMA " + text) })
}

// Int reads one number on the writer's connection.
func (s *SQLite) Int(query string) (n int64, err error) {
	err = s.onWriter(func(w *session) error {
		_, err := w.one([]any{&n}, query)
		return err
	})
	return n, err
}

// CommitGroup commits batches as one group, as if all were queued at once.
func (s *SQLite) CommitGroup(batches ...*Batch) []error {
	var group []*request
	for _, b := range batches {
		group = append(group, &request{b: b, done: make(chan error, 1)})
	}
	all := slices.Clone(group)
	s.w.commit(group)
	var errs []error
	for _, r := range all {
		errs = append(errs, <-r.done)
	}
	return errs
}

// Statements gives the text of all statements that were used so far on tables.
func (s *SQLite) Statements() []string {
	used := map[string]bool{}
	for q := range maps.Keys(s.w.s.stmts) {
		used[q] = true
	}
	for range cap(s.free) {
		r := <-s.free
		for q := range maps.Keys(r.stmts) {
			used[q] = true
		}
		s.free <- r
	}
	for _, q := range []string{"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"} {
		delete(used, q)
	}
	maps.DeleteFunc(used, func(q string, _ bool) bool { return strings.HasPrefix(q, "PRAGMA") })
	return slices.Sorted(maps.Keys(used))
}

// Plan gives the lines of a statement's query plan.
func (s *SQLite) Plan(query string) (lines []string, err error) {
	args := make([]any, strings.Count(query, "?"))
	err = s.onWriter(func(w *session) error {
		rows, err := w.conn.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var line string
			if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
				return err
			}
			lines = append(lines, line)
		}
		return rows.Err()
	})
	return lines, err
}

// NamedSQL is every statement that has a name.
var NamedSQL = []string{sqlPutLink, sqlLinks, sqlAddOutbox, sqlAckKept, sqlAckKept1, sqlAckOthers, sqlDropOut, sqlExpireAcked, sqlExpireOpen, sqlOutbox, sqlOutboxBefore, sqlOutboxExchange, sqlOutboxSum, sqlOutboxOldest, sqlAddSent, sqlMarkSent, sqlMarkSent1, sqlPruneSent, sqlSentOpen, sqlSentLast, sqlAddInbox, sqlSetInbox, sqlDropInbox, sqlDropAttempts, sqlExpireInbox, sqlPartsDone, sqlInboxNew, sqlInboxExchange, sqlInboxPart, sqlInboxParts, sqlInboxFailed, sqlNewExchange, sqlRewriteExchange, sqlExpireRows, sqlHeld, sqlPurgeExchange, sqlContent, sqlCount, sqlReopened, sqlUncount, sqlExchange, sqlListPlace, sqlResultsBefore, sqlEndedBefore, sqlSetMeta, sqlMeta, sqlAddResultBytes, sqlResultBytes, sqlPutPack, sqlDropPack, sqlAddOffer, sqlDropOffers, sqlAddHeld, sqlClearHeld, sqlPacks, sqlOffers, sqlHeldBy, sqlPutChunkFile, sqlAddChunk, sqlDropChunk, sqlForgetChunk, sqlPinChunk, sqlUsePinned, sqlUnpinChunks, sqlTouchChunk, sqlDropChunkFile, sqlFindChunk, sqlChunksIn, sqlIdleChunks, sqlChunkFiles, sqlChunkPins, sqlChunkStats, sqlPutCredential, sqlDropCredential, sqlPruneCredentials, sqlCredential, sqlPutFetch, sqlDropFetch, sqlFetches,
	sqlPutDataPin, sqlDropDataPin, sqlPutDataUpload, sqlDropDataUpload, sqlDataPins, sqlDataPinsDue, sqlDataUpload, sqlDataUploadsDue, sqlDataStats}

// Migrate runs the migrations in files on the database in dir.
func (s *SQLite) Migrate(dir string, files fs.FS) (version int, err error) {
	err = s.onWriter(func(w *session) error {
		found, err := identify(w)
		if err != nil {
			return err
		}
		version, err = migrate(w, filepath.Join(dir, dbName), found, files)
		return err
	})
	return version, err
}

// Hold keeps the writer busy in a transaction that cannot begin, because another connection has the
// database locked, until release is called (SQLite gives up after busy_timeout, 5 s).
func (s *SQLite) Hold(path string) (release func(), err error) {
	other, err := openSession(path)
	if err != nil {
		return nil, err
	}
	if err := other.script("BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	r := &request{b: &Batch{ops: []op{setMeta{"hold", nil}}}, done: make(chan error, 1)}
	s.w.mu.Lock()
	s.w.queue = append(s.w.queue, r)
	s.w.mu.Unlock()
	s.w.ring()
	s.WaitQueued(0)
	return func() { _ = other.close() }, nil // closing rolls back
}

// WaitQueued returns when n batches wait.
func (s *SQLite) WaitQueued(n int) {
	for {
		s.w.mu.Lock()
		queued := len(s.w.queue)
		s.w.mu.Unlock()
		if queued == n {
			return
		}
		runtime.Gosched()
	}
}
