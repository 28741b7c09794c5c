package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/identity"
)

// Dir is a pipe on real folders. All methods are safe for concurrent use; scans and removals take turns.
type Dir struct {
	desk

	outTop, inTop *place
	outbox        map[identity.ID]*place // by recipient; all the same with Options.Flat
	inbox         *place
	temp          *place // nil: beside the target
	quarantine    *quarantine

	scanMu sync.Mutex // orders scans and removals: a scan must not take a file for new that is just being removed
	space  spaceGuard
	clones cloner
	notify notifyState
}

// OpenDir opens the folders of o, makes the missing ones (the configured folders themselves and a subfolder
// per site, nothing above), and removes temporary files that an earlier run of this site left in the outbox.
// The caller must hold the lock of the state folder: another process with the same identity would lose its
// temporary files.
func OpenDir(o Options) (*Dir, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if o.Outbox == "" || o.Inbox == "" {
		return nil, errors.New("pipe: outbox and inbox must both be set")
	}
	d := &Dir{desk: newDesk(o)}
	d.clones.clone, d.space.now = CloneFile, time.Now
	d.places()
	if err := d.prepare(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// places lays out where the folders are, without touching them.
func (d *Dir) places() {
	d.outTop = &place{path: d.o.Outbox, mode: d.o.DirMode}
	d.inTop = &place{path: d.o.Inbox, mode: d.o.DirMode}
	d.inbox = d.inTop
	d.outbox = make(map[identity.ID]*place, len(d.o.Peers))
	for _, id := range d.o.Peers {
		if d.outbox[id] = d.outTop; !d.o.Flat {
			d.outbox[id] = d.outTop.sub(id.String())
		}
	}
	if !d.o.Flat {
		d.inbox = d.inTop.sub(d.o.Self.String())
	}
	if d.o.TempDir != "" {
		d.temp = &place{path: d.o.TempDir, mode: d.o.DirMode}
	}
	d.quarantine = &quarantine{dir: d.o.QuarantineDir, maxFiles: d.o.QuarantineFiles, maxBytes: d.o.QuarantineBytes}
}

// prepare makes the folders where that is possible and clears away own temporary files.
func (d *Dir) prepare() error {
	tops := []*place{d.outTop, d.inTop}
	if d.temp != nil {
		tops = append(tops, d.temp)
	}
	for _, top := range tops {
		if err := makeTop(top.path, top.mode); err != nil {
			return d.folderError("open", top, err)
		}
		if _, err := top.get(false); err != nil {
			return d.folderError("open", top, err)
		}
	}
	// The own subfolder of the inbox may be the mover's to make: then it comes with the first file.
	_, _ = d.inbox.get(true)
	for _, p := range d.outbox {
		if _, err := p.get(true); err != nil {
			return d.folderError("make", p, err)
		}
	}
	if d.o.Private {
		if err := d.checkPrivate(); err != nil {
			return err
		}
	}
	return d.clearParts()
}

// clearParts removes own temporary files; nobody else's, and none that is not a regular file.
func (d *Dir) clearParts() error {
	where := make([]*place, 0, len(d.outbox)+1)
	for _, p := range d.outbox {
		where = append(where, p)
	}
	if d.temp != nil {
		where = append(where, d.temp)
	}
	for _, p := range where {
		f, err := p.get(false)
		if err != nil {
			return d.folderError("open", p, err)
		}
		var stale []string
		if _, err = f.list(func(name string) bool {
			if d.o.ownPart(name) {
				stale = append(stale, name)
			}
			return true
		}); err != nil {
			return d.folderError("list", p, err)
		}
		for _, name := range stale {
			if _, err := f.lstatRegular(name); err != nil {
				continue
			}
			if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return d.folderError("remove an own temporary file in", p, err)
			}
		}
	}
	d.clearProbes()
	return nil
}

// clearProbes removes what Check left in the inbox where it was ended in the middle. It is tried only: the folder may not be ours.
func (d *Dir) clearProbes() {
	f, err := d.inbox.get(false)
	if err != nil {
		return
	}
	own := "." + d.o.Self.String() + "--"
	var stale []string
	_, _ = f.list(func(name string) bool {
		if d.o.ownPart(name) && strings.HasPrefix(name, own) {
			stale = append(stale, name)
		}
		return true
	})
	for _, name := range stale {
		if _, err := f.lstatRegular(name); err == nil {
			_ = f.root.Remove(name)
		}
	}
}

// Close closes the folders. Call it when Run has returned and nothing else is under way.
func (d *Dir) Close() error {
	for _, p := range d.outbox {
		p.close()
	}
	d.inbox.close()
	d.inTop.close()
	d.outTop.close()
	if d.temp != nil {
		d.temp.close()
	}
	return nil
}

// Run watches the inbox and feeds Hints until ctx ends; then it returns nil with its goroutines ended.
// Where no watch can be had (no inotify left, a network share) the poll alone serves, so that is no error.
func (d *Dir) Run(ctx context.Context) error {
	w := newWatch(d)
	defer w.close()
	d.pace.run(ctx, w.ensure)
	return nil
}

// Stats gives a snapshot. It touches no folder, so a share that hangs does not hang it; free space is as the last
// Scan or Put found it.
func (d *Dir) Stats() Stats {
	st := d.stats()
	st.Watching, st.Notified = d.notify.get()
	st.Cloned = d.clones.count.Load()
	st.FreeBytes, st.TotalBytes = d.space.last()
	return st
}

// wrap adds what was done to which file; names of this form hold nothing but ids and digits.
func wrap(op, name string, err error) error { return fmt.Errorf("pipe: %s %s: %w", op, name, err) }
