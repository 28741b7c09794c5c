//go:build unix

package pipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// openNonblock keeps an open from waiting for the other end of a FIFO.
const openNonblock = syscall.O_NONBLOCK

func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

// setFileMode gives an own open file its mode, whatever the umask.
func setFileMode(f *os.File, mode fs.FileMode) error { return f.Chmod(mode) }

// setMode gives a folder that was just made its mode, through the open folder. One that is not ours after
// all, because somebody exchanged it, is left alone.
func setMode(dir *os.File, fi fs.FileInfo, mode fs.FileMode) error {
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) != os.Geteuid() || fi.Mode()&bits == mode&bits {
		return nil
	}
	return dir.Chmod(mode)
}

// syncFolder syncs the names in a folder, where its file system has anything to sync (fsync(2): EINVAL if not, as that of
// VirtualBox's shared folders).
func syncFolder(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// ownership tells owner, group and mode.
func ownership(fi fs.FileInfo) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Sprintf("mode %v", fi.Mode())
	}
	return fmt.Sprintf("owned by %s, group %s, mode %v", userName(st.Uid), groupName(st.Gid), fi.Mode())
}

// runner tells who this process is.
func runner() string {
	groups := []string{groupName(uint32(os.Getegid()))}
	if more, err := os.Getgroups(); err == nil {
		for _, g := range more {
			if g != os.Getegid() {
				groups = append(groups, groupName(uint32(g)))
			}
		}
	}
	return fmt.Sprintf("%s, groups %s", userName(uint32(os.Geteuid())), strings.Join(groups, " "))
}

func userName(id uint32) string {
	if u, err := user.LookupId(strconv.FormatUint(uint64(id), 10)); err == nil {
		return fmt.Sprintf("%s (%d)", u.Username, id)
	}
	return fmt.Sprintf("user %d", id)
}

func groupName(id uint32) string {
	if g, err := user.LookupGroupId(strconv.FormatUint(uint64(id), 10)); err == nil {
		return fmt.Sprintf("%s (%d)", g.Name, id)
	}
	return fmt.Sprintf("group %d", id)
}

func permissionMend(path string) string {
	return fmt.Sprintf("give the folder a group that hoft's user and the mover's user are both in: chgrp GROUP %q && chmod 2770 %q", path, path)
}

// stickyProblem says when a folder lets the user euid remove only that user's own files.
func stickyProblem(fi fs.FileInfo, euid int) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if ok && fi.Mode()&fs.ModeSticky != 0 && int(st.Uid) != euid && euid != 0 {
		return errors.New("the sticky bit lets a user remove only files of their own")
	}
	return nil
}

// diskFull says that a write failed for want of space or quota.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
