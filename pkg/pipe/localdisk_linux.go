package pipe

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// networks are the file systems whose files others may change from elsewhere (statfs(2), linux/magic.h).
var networks = map[int64]string{
	unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "CIFS", unix.SMB2_SUPER_MAGIC: "SMB",
	unix.CEPH_SUPER_MAGIC: "Ceph", unix.AFS_SUPER_MAGIC: "AFS", unix.AFS_FS_MAGIC: "AFS", unix.CODA_SUPER_MAGIC: "Coda",
	unix.V9FS_MAGIC: "9P", unix.FUSE_SUPER_MAGIC: "FUSE", unix.NCP_SUPER_MAGIC: "NCP", unix.OCFS2_SUPER_MAGIC: "OCFS2",
}

// localDisk says why a folder is on no disk of this machine alone.
func localDisk(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var st unix.Statfs_t
	var statErr error
	if err := c.Control(func(fd uintptr) { statErr = unix.Fstatfs(int(fd), &st) }); err != nil {
		return err
	}
	if statErr != nil {
		return statErr
	}
	if name := networks[int64(st.Type)&0xffffffff]; name != "" {
		return fmt.Errorf("it is on a network file system (%s)", name)
	}
	return nil
}
