package pipe

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// cloneFile is FICLONERANGE (ioctl_ficlonerange(2)): on btrfs, xfs made with reflink, and some others. With the length the
// kernel refuses a src that is longer by now (EINVAL), however many blocks somebody has added to it, unless size fills
// whole blocks; then it leaves out what is behind.
func cloneFile(dst, src *os.File, size int64) error {
	from, err := src.SyscallConn()
	if err != nil {
		return err
	}
	to, err := dst.SyscallConn()
	if err != nil {
		return err
	}
	var cerr error
	err = from.Control(func(s uintptr) {
		err := to.Control(func(t uintptr) {
			cerr = unix.IoctlFileCloneRange(int(t), &unix.FileCloneRange{Src_fd: int64(s), Src_length: uint64(size)})
		})
		cerr = errors.Join(err, cerr)
	})
	return errors.Join(err, cerr)
}

// cool lets the page cache of a file go that is not read again soon: clones share blocks, but no pages.
func cool(f *os.File) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _ = unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED) }) // a hint
	}
}
