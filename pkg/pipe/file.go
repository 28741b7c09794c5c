package pipe

import (
	"io/fs"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// File is a file in the inbox as a scan found it. It is a value; hand it back to say what became of the file.
type File struct {
	Name    frame.Name
	Size    int64     // bytes, at the scan
	ModTime time.Time // as the file system tells; for display only
	Settled bool      // the file has not changed for the settle time since it was first seen like this

	mark mark // what the file looked like when it was reported
}

// Entry is an own file that is still in the outbox.
type Entry struct {
	Name    frame.Name
	Size    int64 // bytes
	ModTime time.Time
}

// mark tells one state of a file from another: a rewrite in place changes size or time, a rename over it the inode.
type mark struct {
	size  int64
	mtime int64 // ns
	inode uint64
}

func markOf(fi fs.FileInfo) mark {
	return mark{size: fi.Size(), mtime: fi.ModTime().UnixNano(), inode: inode(fi)}
}

// Reason says why a name in the inbox was skipped.
type Reason string

// Reasons for skipping a name. Strangers and foreign names are other tenants' business and never opened.
const (
	SkipForeign   Reason = "foreign"    // no hoft file name
	SkipTemporary Reason = "temporary"  // somebody's file that is still being written
	SkipOther     Reason = "other-site" // addressed to another site
	SkipStranger  Reason = "stranger"   // addressed to this site by a sender that is no peer
	SkipSymlink   Reason = "symlink"
	SkipFIFO      Reason = "fifo"
	SkipFolder    Reason = "folder"
	SkipSpecial   Reason = "special"    // device, socket
	SkipTooLarge  Reason = "too-large"  // above the limit of its kind
	SkipUnseen    Reason = "unreadable" // the file system refuses to describe it
	SkipOverflow  Reason = "overflow"   // more files of one peer than are kept track of
)

// irregular gives the reason why a file of this mode is never opened, or "" for a regular file.
func irregular(m fs.FileMode) Reason {
	switch {
	case m.IsRegular():
		return ""
	case m&fs.ModeSymlink != 0:
		return SkipSymlink
	case m&fs.ModeNamedPipe != 0:
		return SkipFIFO
	case m.IsDir():
		return SkipFolder
	}
	return SkipSpecial
}

// Stats is a snapshot of what a pipe counts.
type Stats struct {
	Skipped     map[Reason]int // names skipped by the last whole scan; not cumulative
	Tracked     int            // inbox files known and still there
	Waiting     int            // of these: not handled whole yet
	Stuck       int            // of these: to be removed, but the removal failed; tried again each settle time
	Reappeared  uint64         // removed names that came back, since start
	Scans       uint64
	Reported    uint64 // files handed out by scans, since start
	Quarantined uint64 // files put into quarantine, since start
	Cloned      uint64 // files that entered or left the pipe as a clone, since start

	Settle   time.Duration // as learned
	Poll     time.Duration // the poll interval now
	Watching bool          // a folder watch is set
	Notified bool          // the newest files were announced by the watch; false on network shares, where only the poll finds them

	OwnFiles   int    // own files in the outbox, as last listed or put
	FreeBytes  uint64 // free for this user in the outbox's file system; 0 with TotalBytes 0: not known
	TotalBytes uint64 // size of that file system
}
