// Package pipe is layer 0: it puts files into an outbox folder, finds the peers' files in an inbox folder, reads and removes them.
//
// Something else, the mover, carries files from one site's outbox to the other's inbox. It may move them,
// copy them, mirror deletions or bring deleted files back; it may lose, cut, repeat, delay and reorder them
// and show them half-written. Others may use the folders too. So a Dir trusts nothing that it finds:
//
//   - Names are single components under an os.Root. Nothing in the share is reached through a symbolic link,
//     opening never blocks on a FIFO, and the file opened is the file looked at (os.SameFile).
//   - Neither rename nor modification time nor size means "complete". A file is reported when it is new, when
//     it changed, and once more when it has been still for the settle time; what its bytes are worth is for
//     the caller to decide.
//   - In the outbox only names with the own sender id are removed, in the inbox only names addressed to this
//     site. Nothing but what a Dir made itself gets its mode changed.
//
// The caller's loop: wait for Hints (Run feeds them), Scan, Read each File, and when its effects are durable
// say what became of it: Remove, Quarantine, Done, Pending or Again. The poll is the truth; fsnotify only
// brings the next poll forward. Dir works on real folders; Mem is its twin in memory; both pass pipetest.
package pipe

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// Errors that callers decide by.
var (
	// ErrExists says that a file of this name is already in the outbox: another copy of this site runs,
	// or its state was restored. Nothing was overwritten.
	ErrExists = errors.New("a file of this name is already in the outbox")
	// ErrForeign says that a name is not this site's to write or remove.
	ErrForeign = errors.New("not a file of this site and its peers")
	// ErrGone says that the file vanished between scan and use; the mover or its sender took it.
	ErrGone = errors.New("file is gone")
	// ErrChanged says that the file is no longer the one that was reported; a later scan reports it again.
	ErrChanged = errors.New("file changed since it was reported")
	// ErrNotRegular says that a name is a symbolic link, FIFO, folder or device: never opened.
	ErrNotRegular = errors.New("not a regular file")
	// ErrTooLarge says that a file is above the size limit of its kind.
	ErrTooLarge = errors.New("file is above the size limit")
	// ErrNoSpace says that the outbox's file system is too full to write another file.
	ErrNoSpace = errors.New("too little free space in the outbox")
)

// Limits and defaults. Each bounds what another tenant of the share can cost.
const (
	// MaxFrame bounds frames (.jwe, .jws) in bytes whatever Options.MaxFile says: they are read into memory.
	MaxFrame = 64 << 20
	// MaxSettle caps the learned settle time.
	MaxSettle = 15 * time.Minute

	defaultSettle          = 5 * time.Second
	defaultPollMin         = 20 * time.Millisecond
	defaultPollMax         = time.Second
	defaultMaxFile         = 500 << 20
	defaultScanFiles       = 1000
	defaultScanBytes       = 256 << 20
	defaultQuarantineFiles = 100
	defaultQuarantineBytes = 256 << 20
	defaultFileMode        = 0o640
	defaultDirMode         = fs.ModeSetgid | 0o770
)

// Options says where a pipe's folders are and how files are written and read there.
// Zero values take the default given; Self, Peers, Outbox and Inbox are required.
type Options struct {
	Self  identity.ID   // this site: sender of what is put, recipient of what is scanned
	Peers []identity.ID // the only senders whose files are looked at, the only recipients

	Outbox, Inbox string // folders, absolute; they may be one folder
	TempDir       string // where files are written before they are renamed; on the outbox's file system; "": beside the target
	QuarantineDir string // outside the share; "": quarantined files are dropped without a copy

	Flat   bool   // no subfolder per recipient
	Suffix string // appended to every file name, for guards that insist on one

	FileMode fs.FileMode // of files put; 0: 0640. Ignored on Windows
	DirMode  fs.FileMode // of folders made; 0: 2770 (set group id). Ignored on Windows
	Fsync    bool        // sync file and folder before Put returns

	// Private says that nobody but this user writes in the folders, so that packs may be linked into the outbox and moved out
	// of the inbox (Link, TakeOver). OpenDir refuses it where that is not so; folders and files are then made without write
	// permission for others.
	Private bool

	Keep bool // leave handled files in the inbox and remember them

	Settle           time.Duration // how long a file must be still to count as settled; 0: 5 s; doubles by itself up to MaxSettle
	PollMin, PollMax time.Duration // bounds of the adaptive poll; 0: 20 ms and 1 s

	MaxFile   int64 // bytes; 0: 500 MiB; frames are bounded by MaxFrame besides
	ScanFiles int   // files reported per peer and scan; 0: 1000
	ScanBytes int64 // bytes of files reported per peer and scan; 0: 256 MiB

	QuarantineFiles int   // files kept in quarantine; 0: 100
	QuarantineBytes int64 // bytes kept in quarantine; 0: 256 MiB
}

// orDefault gives v, or d when v is the zero value.
func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// checked fills in defaults and refuses what cannot work.
func (o Options) checked() (Options, error) {
	o.FileMode = orDefault(o.FileMode, defaultFileMode)
	o.DirMode = orDefault(o.DirMode, defaultDirMode)
	o.Settle = orDefault(o.Settle, defaultSettle)
	o.PollMin = orDefault(o.PollMin, defaultPollMin)
	o.PollMax = max(orDefault(o.PollMax, defaultPollMax), o.PollMin)
	if o.Private {
		o.FileMode, o.DirMode = o.FileMode&^writable, o.DirMode&^writable
	}
	o.MaxFile = orDefault(o.MaxFile, defaultMaxFile)
	o.ScanFiles = orDefault(o.ScanFiles, defaultScanFiles)
	o.ScanBytes = orDefault(o.ScanBytes, defaultScanBytes)
	o.QuarantineFiles = orDefault(o.QuarantineFiles, defaultQuarantineFiles)
	o.QuarantineBytes = orDefault(o.QuarantineBytes, defaultQuarantineBytes)
	if o.Self.IsZero() {
		return o, errors.New("pipe: the own site id is missing")
	}
	for _, p := range o.Peers {
		if p.IsZero() || p == o.Self {
			return o, fmt.Errorf("pipe: peer id %s is missing or this site's own", p)
		}
	}
	if min(o.Settle, o.PollMin, o.PollMax) < 0 || min(o.MaxFile, o.ScanBytes, o.QuarantineBytes, int64(o.ScanFiles), int64(o.QuarantineFiles)) < 0 {
		return o, errors.New("pipe: negative time or limit in the options")
	}
	if (o.FileMode|o.DirMode)&0o7000 != 0 {
		return o, errors.New("pipe: file or folder mode with raw set-id bits; make it with ParseMode")
	}
	if strings.Trim(o.Suffix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || len(o.Suffix) > 32 || strings.HasSuffix(o.Suffix, partExt) {
		return o, fmt.Errorf("pipe: suffix %q: use at most 32 letters, digits, dots, dashes and underscores, and not %s", o.Suffix, partExt)
	}
	return o, nil
}

// limit gives the largest size in bytes of a file of this kind.
func (o *Options) limit(ext frame.Ext) int64 {
	if ext == frame.ExtPack {
		return o.MaxFile
	}
	return min(o.MaxFile, MaxFrame)
}

// base gives the file name, without folder, of n on this pipe.
func (o *Options) base(n frame.Name) string { return n.String() + o.Suffix }

// partExt ends the name of a file that is still being written; readers skip it.
const partExt = ".part"

// partName gives the temporary name of a file for recipient.
func (o *Options) partName(recipient identity.ID, random uint64) string {
	return fmt.Sprintf(".%s--%s--%016x%s", recipient, o.Self, random, partExt)
}

// ownPart says whether base is a temporary file of this site, whoever it was meant for.
func (o *Options) ownPart(base string) bool {
	const idLen = 36
	return len(base) > 2*idLen+5 && base[0] == '.' && strings.HasSuffix(base, partExt) &&
		base[idLen+1:idLen+3] == "--" && base[idLen+3:2*idLen+3] == o.Self.String() && base[2*idLen+3:2*idLen+5] == "--"
}

// ParseMode reads a mode as operators write it: three or four octal digits, 0640 or 2770.
func ParseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 16)
	if err != nil || len(s) < 3 || n > 0o7777 {
		return 0, fmt.Errorf("mode %q: write three or four octal digits, such as 0640 or 2770", s)
	}
	mode := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= flag
		}
	}
	return mode, nil
}
