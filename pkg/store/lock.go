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
	err = lockFile(f)
	if err == nil {
		err = writePid(f)
	}
	if err == nil {
		return f, nil
	}
	holder := readPid(f)
	_ = f.Close() // the error of locking says more
	if errors.Is(err, errBusy) {
		return nil, fmt.Errorf("store: %s: %w (process %s): stop it first, or give this one another state_dir", dir, ErrLocked, holder)
	}
	return nil, fmt.Errorf("store: lock %s: %w", path, err)
}

func writePid(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
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
