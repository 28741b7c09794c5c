package chunk

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyRange appends n bytes from byte at of src to dst inside the kernel: by reference where the file system shares
// blocks. It gives how many bytes went; the caller copies the rest, also when nothing can be copied this way.
func copyRange(dst io.Writer, src diskFile, at, n int64) (done int64, err error) {
	to, ok := dst.(*os.File)
	from, ok2 := src.(*os.File)
	if !ok || !ok2 {
		return 0, nil
	}
	w, err := to.SyscallConn()
	if err != nil {
		return 0, err
	}
	r, err := from.SyscallConn()
	if err != nil {
		return 0, err
	}
	rerr := r.Control(func(in uintptr) {
		err = w.Control(func(out uintptr) {
			for done < n {
				k, kerr := unix.CopyFileRange(int(in), &at, int(out), nil, int(n-done), 0)
				if errors.Is(kerr, unix.EINTR) {
					continue
				}
				if kerr != nil || k == 0 { // another file system, none that can, the end: said by the plain copy if it is an error
					return
				}
				done += int64(k)
			}
		})
	})
	return done, errors.Join(rerr, err)
}
