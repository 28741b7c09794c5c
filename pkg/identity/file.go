package identity

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// readPrivate reads a file that only its owner may open. What is missing gives fs.ErrNotExist.
func readPrivate(path string) ([]byte, error) { return readChecked(path, checkPrivate) }

// readChecked reads a regular file of at most maxFile+1 bytes (so that a reader sees when there is too much). The check
// looks at the opened file, not at the name, which may change in between.
func readChecked(path string, check func(path string, info fs.FileInfo) error) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileErr(path, err)
	}
	if !info.Mode().IsRegular() { // opening a FIFO would wait for ever
		return nil, &FileError{File: path, Err: ErrFormat, Detail: "not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileErr(path, err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, fileErr(path, err)
	}
	if check != nil {
		if err := check(path, info); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fileErr(path, err)
	}
	return data, nil
}

// fileErr keeps the reason of a failed file operation and names the file once.
func fileErr(path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	mend := ""
	if errors.Is(err, fs.ErrPermission) {
		mend = "run hoft as the user that this file is for"
	}
	return &FileError{File: path, Err: err, Mend: mend}
}

// ownFolder makes a state folder (0700) or takes an existing one that nobody else can look into. An empty open folder
// is closed; one with content is left alone, since it may be the user's home or the working folder.
func ownFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileErr(dir, err)
	}
	open, err := openToOthers(dir)
	if err != nil || !open {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fileErr(dir, err)
	}
	if len(entries) > 0 {
		return &FileError{File: dir, Err: ErrMode, Detail: "a folder with content that other users can look into",
			Mend: "run: chmod 700 " + dir + " , or name a folder of its own with --state-dir"}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fileErr(dir, err)
	}
	return nil
}

// CreateFile writes a new file that only this user can read, whole and durable before it has its name: a full disk or a crash
// leaves none. An existing one gives fs.ErrExist.
func CreateFile(path string, data []byte) error { return createFile(path, data, 0o600) }

// createFile writes a new file that is whole and durable before it has its name; an existing one gives fs.ErrExist.
func createFile(path string, data []byte, mode fs.FileMode) error {
	if _, err := os.Lstat(path); err == nil {
		return fileErr(path, fs.ErrExist)
	}
	tmp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	// A link never replaces a file, so of two that create at once one loses.
	if err := os.Link(tmp, path); errors.Is(err, fs.ErrExist) {
		return fileErr(path, fs.ErrExist)
	} else if err != nil { // a file system without links: the check above has to do
		if err := os.Rename(tmp, path); err != nil {
			return fileErr(path, err)
		}
	}
	return syncFolder(filepath.Dir(path))
}

// replaceFile writes a file by temporary name, sync and rename: readers see the old content or the new one, whole.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	tmp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return fileErr(path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// writeTemp writes and syncs a hidden file beside path and gives its name.
func writeTemp(path string, data []byte, mode fs.FileMode) (string, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("random file name: %w", err)
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+hex.EncodeToString(random[:])+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fileErr(tmp, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode) // whatever the umask; on Windows this only clears the read-only mark
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(tmp)
		return "", fileErr(tmp, err)
	}
	return tmp, nil
}
