package pipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"

	"golang.org/x/sys/windows"
)

// openNonblock is not needed: a folder holds no FIFOs here.
const openNonblock = 0

// inode is not told by FileInfo here; size and time serve, and os.SameFile guards each read.
func inode(fs.FileInfo) uint64 { return 0 }

// setFileMode does nothing: access lists are inherited from the folder here.
func setFileMode(*os.File, fs.FileMode) error { return nil }

func setMode(*os.File, fs.FileInfo, fs.FileMode) error { return nil }

// syncFolder does nothing: folders cannot be synced here.
func syncFolder(*os.File) error { return nil }

func ownership(fi fs.FileInfo) string { return fmt.Sprintf("mode %v", fi.Mode()) }

func runner() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func permissionMend(path string) string {
	return fmt.Sprintf("give hoft's user the right to modify %q", path)
}

func stickyProblem(fs.FileInfo, int) error { return nil }

// diskFull says that a write failed for want of space or quota.
func diskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
