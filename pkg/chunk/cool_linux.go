package chunk

import (
	"os"

	"golang.org/x/sys/unix"
)

// coolUnit is how many bytes of a file go at once: page by page it would cost more than it is worth, and no run of pages
// lies over the end of such a piece.
const coolUnit = 8 << 20

// cool says that a file was read, in order, up to byte at+n: the page cache of what lies before and nobody is expected to
// read soon goes, as soon as a record reaches beyond a unit. What is not on the disk yet stays.
func cool(f diskFile, at, n int64) {
	end := (at + n) / coolUnit * coolUnit
	if at >= end {
		return
	}
	from := max(end-2*coolUnit, 0)
	file, ok := f.(*os.File)
	if !ok {
		return
	}
	c, err := file.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Control(func(fd uintptr) { // a hint; an error costs memory of the kernel, nothing else
		_ = unix.Fadvise(int(fd), from, end-from, unix.FADV_DONTNEED)
	})
}
