package pipe

import (
	"errors"

	"golang.org/x/sys/unix"
)

// renameExclusive renames by one system call that fails when the target exists.
func renameExclusive(fromFD int, from string, toFD int, to string) error {
	return unix.RenameatxNp(fromFD, from, toFD, to, unix.RENAME_EXCL)
}

// noExclusive says that this file system has no such rename.
func noExclusive(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP)
}
