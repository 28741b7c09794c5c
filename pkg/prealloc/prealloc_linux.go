package prealloc

import (
	"os"

	"golang.org/x/sys/unix"
)

// Range asks for the blocks of n bytes of a file from byte at on, unless they are few. Safe for concurrent use.
func Range(f *os.File, at, n int64) {
	if n < least {
		return
	}
	c, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Control(func(fd uintptr) { _ = unix.Fallocate(int(fd), unix.FALLOC_FL_KEEP_SIZE, at, n) }) // a hint
}
