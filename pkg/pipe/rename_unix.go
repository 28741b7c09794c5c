//go:build unix

package pipe

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// renameNew renames a file between open folders without overwriting: ErrExists when the name is taken.
// Where the file system cannot promise that in one step, the name is looked up first. What could slip in
// between is only another process with this site's identity, and that is found as a fork by its frames.
func renameNew(src *folder, from string, dst *folder, to string) error {
	err := errNoExclusive
	if !dst.plainRename.Load() {
		err = withFDs(src.self, dst.self, func(a, b int) error { return renameExclusive(a, from, b, to) })
		if noExclusive(err) {
			dst.plainRename.Store(true)
			err = errNoExclusive
		}
	}
	if errors.Is(err, errNoExclusive) {
		if _, statErr := dst.root.Lstat(to); statErr == nil {
			return ErrExists
		} else if !errors.Is(statErr, fs.ErrNotExist) {
			return statErr
		}
		err = withFDs(src.self, dst.self, func(a, b int) error { return unix.Renameat(a, from, b, to) })
	}
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	return err
}

var errNoExclusive = errors.New("no exclusive rename")

// withFDs calls do with the descriptors of two open folders, which stay open meanwhile.
func withFDs(a, b *os.File, do func(a, b int) error) error {
	ca, err := a.SyscallConn()
	if err != nil {
		return err
	}
	cb, err := b.SyscallConn()
	if err != nil {
		return err
	}
	var inner, doErr error
	err = ca.Control(func(fa uintptr) {
		inner = cb.Control(func(fb uintptr) { doErr = do(int(fa), int(fb)) })
	})
	return errors.Join(err, inner, doErr)
}
