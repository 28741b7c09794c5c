//go:build linux || darwin

package pipe

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeSpace tells what this user may still write on the file system of dir, and its size, in bytes.
func freeSpace(dir *os.File) (free, total uint64, ok bool) {
	conn, err := dir.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var st unix.Statfs_t
	var statErr error
	if err := conn.Control(func(fd uintptr) { statErr = unix.Fstatfs(int(fd), &st) }); err != nil || statErr != nil || st.Blocks == 0 {
		return 0, 0, false
	}
	return uint64(st.Bavail) * uint64(st.Bsize), uint64(st.Blocks) * uint64(st.Bsize), true
}
