package store

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockOffset is the byte that is locked: far behind the text, because a locked byte cannot be read.
const lockOffset = 1 << 30

// lockFile takes a LockFileEx lock without waiting.
func lockFile(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0,
		&windows.Overlapped{Offset: lockOffset})
	if err == windows.ERROR_LOCK_VIOLATION {
		return errBusy
	}
	return err
}
