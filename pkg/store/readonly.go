package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ReadOnly is a view of a state folder for commands that only look: it takes no lock and writes
// nothing, whether a site runs on the folder or not. It is a Reader, safe for concurrent use.
//
// Open one for each look: the view of a site that is down does not notice when it starts.
type ReadOnly struct{ *reader }

// OpenReadOnly opens the store of a state folder for reading. It fails with fs.ErrNotExist where there
// is no database, and with ErrNewer, ErrOlder, ErrForeign or ErrUnusable.
func OpenReadOnly(dir string) (*ReadOnly, error) {
	path := filepath.Join(dir, dbName)
	r, err := openExisting(path)
	if err != nil {
		return nil, fmt.Errorf("store: open %s for reading: %w", path, err)
	}
	return &ReadOnly{r}, nil
}

func openExisting(path string) (*reader, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if err := logAlone(path); err != nil {
		return nil, err
	}
	var params []string
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		// No write-ahead log: nobody has the database open. Without this SQLite would make the log
		// and its index, and leave them behind.
		params = []string{"immutable=1"}
	}
	r, err := openReader(path, 1, params...)
	if err != nil {
		return nil, asRefusal(err)
	}
	s := <-r.free
	err = current(s)
	r.free <- s
	if err != nil {
		r.closeFree()
		return nil, asRefusal(err)
	}
	return r, nil
}

// current checks that a database has the layout that this version reads.
func current(s *session) error {
	version, err := identify(s)
	if err != nil {
		return err
	}
	texts, err := migrations(embedded())
	if err != nil {
		return err
	}
	switch {
	case version > len(texts):
		return tooNew(version, len(texts))
	case version < len(texts):
		return fmt.Errorf("%w (layout %d, this version reads %d): start hoft serve once, it migrates", ErrOlder, version, len(texts))
	}
	return nil
}

// Close ends the view.
func (r *ReadOnly) Close() error { return r.close() }
