//go:build unix

package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes a flock(2) without waiting.
func lockFile(f *os.File) error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return errBusy
		default:
			return err
		}
	}
}
