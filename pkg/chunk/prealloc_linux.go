package chunk

import (
	"os"

	"golang.org/x/sys/unix"
)

// preallocFrom is the length in bytes from which on a record's place is asked for before it is written.
const preallocFrom = 256 << 10

// preallocate asks for the blocks of what is about to be written at once: the file system then has less to do for each of
// them, and they lie together. The file gets no longer by it.
func preallocate(f diskFile, at, n int64) {
	file, ok := f.(*os.File)
	if !ok || n < preallocFrom {
		return
	}
	c, err := file.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Control(func(fd uintptr) { // a hint: not every file system can, and where the disk is full the write says so
		_ = unix.Fallocate(int(fd), unix.FALLOC_FL_KEEP_SIZE, at, n)
	})
}
