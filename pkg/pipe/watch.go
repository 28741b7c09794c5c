package pipe

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// notifyState remembers whether the folder watch is set and proves itself.
type notifyState struct {
	mu       sync.Mutex
	watching bool
	event    bool // one came since the last scan with files
	misses   int  // scans in a row whose files no event announced
	proven   bool
}

func (n *notifyState) set(watching bool) {
	n.mu.Lock()
	n.watching = watching
	n.mu.Unlock()
}

func (n *notifyState) noted() {
	n.mu.Lock()
	n.event = true
	n.mu.Unlock()
}

// scanned compares what a scan found with what was announced. A single miss may be a poll that came first.
func (n *notifyState) scanned(found bool) {
	if !found {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.event {
		n.event, n.proven, n.misses = false, true, 0
		return
	}
	if n.misses++; n.misses >= 3 {
		n.proven = false
	}
}

func (n *notifyState) get() (watching, proven bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.watching, n.watching && n.proven
}

// watch turns events of the inbox folder into pokes of the pacer. It is a hint only: whatever goes wrong
// here costs latency and nothing else.
type watch struct {
	d    *Dir
	fsn  *fsnotify.Watcher // nil: no watch to be had
	done chan struct{}
	set  map[*place]fs.FileInfo // what is watched now
}

func newWatch(d *Dir) *watch {
	w := &watch{d: d, done: make(chan struct{}), set: map[*place]fs.FileInfo{}}
	var err error
	if w.fsn, err = fsnotify.NewBufferedWatcher(256); err != nil {
		w.fsn = nil
		close(w.done)
		return w
	}
	go w.pump() // first: on Windows a watcher that is not rid of an event or of an error lets nobody add a folder
	w.ensure()
	return w
}

func (w *watch) close() {
	if w.fsn != nil {
		_ = w.fsn.Close()
	}
	<-w.done
	w.d.notify.set(false)
}

// ensure watches the folder that is at the inbox's place now, and the one above it to see it come and go:
// while a deleted folder is still open here, it does not tell of its end itself.
func (w *watch) ensure() {
	if w.fsn == nil {
		return
	}
	if w.d.inbox != w.d.inTop {
		w.follow(w.d.inTop)
	}
	w.d.notify.set(w.follow(w.d.inbox))
}

// follow sets the watch of one place, anew where the folder was exchanged, and says whether it stands.
func (w *watch) follow(p *place) bool {
	f, err := p.get(false)
	if old, ok := w.set[p]; ok {
		if err == nil && os.SameFile(old, f.info) && !tooManyToWatch(w.d) {
			return true
		}
		_ = w.fsn.Remove(p.path)
		delete(w.set, p)
	}
	if err != nil || tooManyToWatch(w.d) || w.fsn.Add(p.path) != nil {
		return false
	}
	w.set[p] = f.info
	return true
}

// pump runs until the watcher is closed.
func (w *watch) pump() {
	defer close(w.done)
	for {
		select {
		case ev, ok := <-w.fsn.Events:
			if !ok {
				return
			}
			if w.concerns(ev) {
				w.d.notify.noted()
				w.d.pace.poke()
			}
		case _, ok := <-w.fsn.Errors:
			if !ok {
				return
			}
			w.d.pace.poke() // events may have been lost
		}
	}
}

// concerns says whether an event may mean a peer's file that came or grew. When the own subfolder itself comes
// or goes, the watch is set anew.
func (w *watch) concerns(ev fsnotify.Event) bool {
	base := filepath.Base(ev.Name)
	if base == w.d.o.Self.String() {
		if ev.Has(fsnotify.Create) || ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename) {
			w.d.pace.soon()
		}
		return false
	}
	if !ev.Has(fsnotify.Create) && !ev.Has(fsnotify.Write) {
		return false
	}
	n, ok := w.d.o.parse(base)
	return ok && n.Recipient == w.d.o.Self && w.d.track.peers[n.Sender] != nil
}
