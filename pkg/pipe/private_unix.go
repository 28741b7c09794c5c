//go:build unix

package pipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownedHere says whether a file belongs to the user that this process runs as.
func ownedHere(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// linkNew gives the file at path a further name in a folder: ErrExists when the name is taken.
func linkNew(path string, dst *folder, to string) error {
	c, err := dst.self.SyscallConn()
	if err != nil {
		return err
	}
	var lerr error
	if err := c.Control(func(fd uintptr) { lerr = unix.Linkat(unix.AT_FDCWD, path, int(fd), to, 0) }); err != nil {
		return err
	}
	return nameError(lerr)
}

// moveOut gives a file of a folder a name elsewhere, where there must be none yet, and takes its old one.
func moveOut(src *folder, from, path string) error {
	c, err := src.self.SyscallConn()
	if err != nil {
		return err
	}
	// First the new name, which overwrites nothing, then the old one goes, if it has not gone by itself.
	var lerr error
	err = c.Control(func(fd uintptr) { lerr = unix.Linkat(int(fd), from, unix.AT_FDCWD, path, 0) })
	if err = errors.Join(err, nameError(lerr)); err != nil {
		return err
	}
	if err := src.root.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%w: %w", ErrNoLink, err), os.Remove(path))
	}
	return nil
}

// nameError tells where copying helps.
func nameError(err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EPERM), errors.Is(err, unix.EMLINK), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	return err
}
