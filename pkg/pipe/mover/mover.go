// Package mover is a faulty file mover: it carries files between two real folders as badly as it is told to.
//
// It stands in for the mirroring service, sync client or SFTP job between two hoft sites, for the demo and for
// tests. It knows nothing of hoft: it walks one folder with its subfolders, passes over names that begin with a
// dot, and writes what it finds into another, where it loses, cuts, delays, repeats, reorders and half-shows
// files. Every choice comes from Config.Seed. Both ends may remove files at any time.
package mover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Kind is a mover's habit.
type Kind string

// The kinds of mover.
const (
	Move      Kind = "move"      // takes files out of the source; a lost one is gone
	Copy      Kind = "copy"      // leaves the source and carries each name once
	Mirror    Kind = "mirror"    // as Copy, and deletes at the destination what vanished from the source
	Resurrect Kind = "resurrect" // as Copy, and sometimes brings back what was deleted at either end
)

// Config says what is carried where, and how badly. Probabilities are between 0 and 1.
type Config struct {
	From, To string
	Kind     Kind // "": Copy

	Drop      float64 // a file is lost
	Truncate  float64 // a file is cut at a random length
	Duplicate float64 // a file is delivered a second time
	Reorder   float64 // a file is held back so that later ones overtake it
	Partial   float64 // a file is written in place and shown half-written first
	BringBack float64 // a deleted file comes back (Resurrect only, at most three times each)

	DelayMin, DelayMax time.Duration // from first sight to delivery; until then the file stays in the source
	Pause              time.Duration // scale of what Reorder, Duplicate and Partial add; 0: 20 ms
	Period             time.Duration // a batch mover looks only this often; 0: whenever something happens
	MaxSize            int64         // bytes; longer files are cut there; 0: no limit

	Seed     uint64
	Alias    func(path string) string // what a fate is decided for, so that names that differ from run to run meet the same one; nil: the path
	FileMode fs.FileMode              // of files delivered; 0: 0664
	DirMode  fs.FileMode              // of subfolders made; 0: 2775

	OnEvent func(Event)       // called for each event, one at a time, from Step; nil: none
	OnTake  func(path string) // called before a file is delivered or lost, while it is still in the source; nil: none
}

// What an event says.
const (
	Moved    = "moved"    // delivered whole
	Lost     = "lost"     // not delivered, never will be
	Cut      = "cut"      // delivered, but not all of it
	Repeated = "repeated" // delivered a second time
	Delayed  = "delayed"  // held back so that later files overtake it
	Half     = "half"     // the first half is shown, the rest comes later
	Back     = "back"     // brought back after it had been deleted
	Deleted  = "deleted"  // deleted at the destination, since it vanished from the source
	Vanished = "vanished" // taken away by its owner before it was carried
	Failed   = "failed"   // could not be read or written; tried again
)

// Event is one thing that happened to one file.
type Event struct {
	What string
	Path string // relative, slash-separated
	Size int64  // bytes in the source
	Came int64  // bytes delivered
	Err  error  // of Failed
}

// Counters count events since New.
type Counters struct {
	Moved, Lost, Cut, Repeated, Delayed, Half, Back, Deleted, Vanished, Failed int
	Bytes                                                                      int64 // delivered
}

// Mover carries files. Step and Run are for one goroutine; Counters may be called from any.
type Mover struct {
	c     Config
	files map[string]*item // by path
	queue []task           // a heap, soonest first
	order uint64
	looks time.Time // when the source is to be walked next, for a batch mover
	fsn   *fsnotify.Watcher
	pumps sync.WaitGroup

	mu    sync.Mutex
	count Counters
}

// New checks c. The source folder may still be absent; it is looked for again and again.
func New(c Config) (*Mover, error) {
	if c.Kind == "" {
		c.Kind = Copy
	}
	switch c.Kind {
	case Move, Copy, Mirror, Resurrect:
	default:
		return nil, fmt.Errorf("mover: kind %q: use move, copy, mirror or resurrect", c.Kind)
	}
	if c.From == "" || c.To == "" || filepath.Clean(c.From) == filepath.Clean(c.To) {
		return nil, fmt.Errorf("mover: source %q and destination %q must be two folders", c.From, c.To)
	}
	for _, p := range []float64{c.Drop, c.Truncate, c.Duplicate, c.Reorder, c.Partial, c.BringBack} {
		if !(p >= 0 && p <= 1) {
			return nil, fmt.Errorf("mover: probability %v is not between 0 and 1", p)
		}
	}
	if min(c.DelayMin, c.DelayMax, c.Pause, c.Period) < 0 || c.MaxSize < 0 {
		return nil, errors.New("mover: negative time or size")
	}
	c.DelayMax = max(c.DelayMin, c.DelayMax)
	if c.Pause == 0 {
		c.Pause = 20 * time.Millisecond
	}
	if c.FileMode == 0 {
		c.FileMode = 0o664
	}
	if c.DirMode == 0 {
		c.DirMode = fs.ModeSetgid | 0o775
	}
	return &Mover{c: c, files: map[string]*item{}}, nil
}

// Counters gives what happened so far.
func (m *Mover) Counters() Counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// pollEvery is how often Run walks the source when no event wakes it.
const pollEvery = 20 * time.Millisecond

// Run moves files until ctx ends and then returns nil. What is not delivered by then stays in the source, but
// for the second halves of files under way, which are lost as with any mover that is killed.
func (m *Mover) Run(ctx context.Context) error {
	woken := m.watch()
	defer m.unwatch()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := m.Step(time.Now())
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			m.abandon()
			return nil
		case <-timer.C:
		case <-woken:
		}
	}
}

// watch sets up folder events where they are to be had; a batch mover wants none. It gives a channel that wakes the mover when one has come.
// Events are taken by a goroutine of their own: on Windows a watcher that is not rid of one, or of an error, lets nobody add a folder.
func (m *Mover) watch() <-chan struct{} {
	woken := make(chan struct{}, 1)
	if m.c.Period > 0 {
		return woken
	}
	fsn, err := fsnotify.NewBufferedWatcher(256)
	if err != nil {
		return woken
	}
	m.fsn = fsn
	m.pumps.Go(func() { pump(fsn, woken) })
	return woken
}

// pump runs until the watcher is closed.
func pump(fsn *fsnotify.Watcher, woken chan<- struct{}) {
	for {
		var ok bool
		select {
		case _, ok = <-fsn.Events:
		case _, ok = <-fsn.Errors:
		}
		if !ok {
			return
		}
		select {
		case woken <- struct{}{}:
		default: // it will look anyway
		}
	}
}

func (m *Mover) unwatch() {
	if m.fsn != nil {
		_ = m.fsn.Close()
		m.fsn = nil
	}
	m.pumps.Wait()
}

// tell counts an event and passes it on.
func (m *Mover) tell(e Event) {
	m.mu.Lock()
	if n := m.counter(e.What); n != nil {
		*n++
	}
	m.count.Bytes += e.Came
	m.mu.Unlock()
	if m.c.OnEvent != nil {
		m.c.OnEvent(e)
	}
}

func (m *Mover) counter(what string) *int {
	return map[string]*int{
		Moved: &m.count.Moved, Lost: &m.count.Lost, Cut: &m.count.Cut, Repeated: &m.count.Repeated, Delayed: &m.count.Delayed,
		Half: &m.count.Half, Back: &m.count.Back, Deleted: &m.count.Deleted, Vanished: &m.count.Vanished, Failed: &m.count.Failed,
	}[what]
}

// source and target give a file's places.
func (m *Mover) source(path string) string { return filepath.Join(m.c.From, filepath.FromSlash(path)) }
func (m *Mover) target(path string) string { return filepath.Join(m.c.To, filepath.FromSlash(path)) }

// there says whether a file exists.
func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
