//go:build linux || darwin

package chunk

import (
	"os"

	"golang.org/x/sys/unix"
)

// diskSpace gives the size of dir's file system in bytes, and what of it this user may still take; zero if it cannot be told.
func diskSpace(dir string) (total, free int64) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0
	}
	return int64(st.Blocks) * int64(st.Bsize), int64(st.Bavail) * int64(st.Bsize)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
