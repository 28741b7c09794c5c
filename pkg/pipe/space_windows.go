package pipe

import (
	"os"

	"golang.org/x/sys/windows"
)

// freeSpace tells what this user may still write on the volume of dir, and its size, in bytes.
func freeSpace(dir *os.File) (free, total uint64, ok bool) {
	path, err := windows.UTF16PtrFromString(dir.Name())
	if err != nil {
		return 0, 0, false
	}
	if err := windows.GetDiskFreeSpaceEx(path, &free, &total, nil); err != nil || total == 0 {
		return 0, 0, false
	}
	return free, total, true
}
