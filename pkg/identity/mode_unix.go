//go:build unix

package identity

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// checkPrivate refuses a file with private keys that others may read or that another user owns, as ssh does.
func checkPrivate(path string, info fs.FileInfo) error {
	return checkPrivateFor(path, info, os.Geteuid(), os.Getenv("CREDENTIALS_DIRECTORY"))
}

// checkPrivateFor is checkPrivate for a given user. Files in systemd's credentials folder may belong to root and have
// group bits, which there only carry the access list that names the service's user (systemd.exec, LoadCredential=).
func checkPrivateFor(path string, info fs.FileInfo, uid int, credentials string) error {
	loose := fs.FileMode(0o077)
	owned := ownerOf(info) == uid
	if within(path, credentials) {
		loose = 0o037
		owned = owned || ownerOf(info) == 0
	}
	if !owned {
		return &FileError{File: path, Err: ErrOwner, Detail: fmt.Sprintf("owner is uid %d, this process runs as %d", ownerOf(info), uid),
			Mend: fmt.Sprintf("run hoft as that user, or: chown %d %s", uid, path)}
	}
	if mode := info.Mode().Perm(); mode&loose != 0 {
		return &FileError{File: path, Err: ErrMode, Detail: fmt.Sprintf("mode %04o", mode), Mend: "run: chmod 600 " + path}
	}
	return nil
}

// checkTrusted refuses a file that says whom to trust when others may change it.
func checkTrusted(path string, info fs.FileInfo) error {
	return checkUnchangeable(path, info, "chmod 644 ", os.Geteuid())
}

// checkFolder refuses a folder whose files others could exchange.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fileErr(dir, err)
	}
	return checkUnchangeable(dir, info, "chmod 700 ", os.Geteuid())
}

func checkUnchangeable(path string, info fs.FileInfo, chmod string, uid int) error {
	if owner := ownerOf(info); owner != uid && owner != 0 {
		return &FileError{File: path, Err: ErrOwner, Detail: fmt.Sprintf("owner is uid %d, this process runs as %d", owner, uid),
			Mend: fmt.Sprintf("run hoft as that user, or: chown %d %s", uid, path)}
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return &FileError{File: path, Err: ErrMode, Detail: fmt.Sprintf("mode %04o lets others change it", mode), Mend: "run: " + chmod + path}
	}
	return nil
}

// openToOthers says whether anybody else has any right on a folder.
func openToOthers(dir string) (bool, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return false, fileErr(dir, err)
	}
	return info.Mode().Perm()&0o077 != 0, nil
}

func ownerOf(info fs.FileInfo) int {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		panic("identity: file information without an owner on a Unix system")
	}
	return int(st.Uid)
}

// within says whether path lies in folder; "" holds nothing.
func within(path, folder string) bool {
	if folder == "" {
		return false
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	return strings.HasPrefix(abs, filepath.Clean(folder)+string(filepath.Separator))
}

// syncFolder makes a new name durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fileErr(dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fileErr(dir, err)
	}
	return nil
}
