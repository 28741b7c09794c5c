package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// errBusy is what lockFile gives for a lock that another process holds.
var errBusy = errors.New("lock is held")

// lockDir takes the lock of a state folder, on <dir>/hoft.lock, and writes this process's id into the
// file. The system gives the lock free when the process ends, however it ends; the file stays.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("store: state folder %s: %w", dir, asRefusal(err))
	}
	if err != nil {
		return nil, fmt.Errorf("store: state folder %s: %w (hoft keys gen makes it)", dir, err)
	}
	if err = lockFile(f); err == nil {
		writePid(f)
		return f, nil
	}
	holder := readPid(f)
	_ = f.Close() // the error of locking says more
	if errors.Is(err, errBusy) {
		return nil, fmt.Errorf("store: %s: %w (process %s): stop it first, or give this one another state_dir", dir, ErrLocked, holder)
	}
	return nil, fmt.Errorf("store: lock %s: %w", path, err)
}

// writePid tells others who holds the lock. What is there is written over, for a full disk may have no block again that was
// given back; where there is no room at all, the lock holds as well without it.
func writePid(f *os.File) {
	text := strconv.Itoa(os.Getpid()) + "\n"
	_, err := f.WriteAt([]byte(text), 0)
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	if err != nil {
		_ = f.Truncate(0) // better nobody than somebody else
	}
}

// readPid gives what the holder of the lock wrote.
func readPid(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	pid := strings.TrimSpace(string(b))
	if _, e := strconv.Atoi(pid); err != nil || e != nil {
		return "unknown"
	}
	return pid
}

// unlock gives the folder free; a second call does nothing.
func unlock(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("store: unlock: %w", err)
	}
	return nil
}
