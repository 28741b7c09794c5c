package pipe

import (
	"errors"

	"golang.org/x/sys/unix"
)

// renameExclusive renames by one system call that fails when the target exists.
func renameExclusive(fromFD int, from string, toFD int, to string) error {
	return unix.Renameat2(fromFD, from, toFD, to, unix.RENAME_NOREPLACE)
}

// noExclusive says that this kernel or file system (NFS, some FUSE ones) has no such rename.
func noExclusive(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}
