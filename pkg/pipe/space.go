package pipe

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// spaceShare and spaceFloor: files are not put when less than a tenth of the file system, or 1 GiB where
	// that is less, would stay free. The share belongs to others too.
	spaceShare = 10
	spaceFloor = 1 << 30
	// spaceSmall is the size in bytes of files that may use half of what is held free: acks let the other
	// side remove files, and refusing them would keep the share full for ever.
	spaceSmall = 64 << 10
	// spaceFresh is how long a reading of the free space serves; asking a network share is not free.
	spaceFresh = 250 * time.Millisecond
)

// FreeSpace tells what is free for this user in the file system of an open folder, and how large that is, in bytes; ok is false
// where it does not tell. Tests that are not about disks put another function here before a pipe is opened, so that they do
// not depend on how full the machine's is.
var FreeSpace = freeSpace

// spaceGuard keeps the outbox's file system from being filled up.
type spaceGuard struct {
	mu    sync.Mutex // held while the file system is asked, which may hang
	now   func() time.Time
	read  time.Time
	known bool

	free, total atomic.Uint64
}

// refresh reads the free space of f's file system unless the last reading is fresh. Called with the lock held.
func (g *spaceGuard) refresh(f *folder) {
	if now := g.now(); now.Sub(g.read) >= spaceFresh || now.Before(g.read) {
		free, total, known := FreeSpace(f.self)
		g.free.Store(free)
		g.total.Store(total)
		g.known, g.read = known, now
	}
}

// note keeps the reading fresh for Stats.
func (g *spaceGuard) note(f *folder) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refresh(f)
}

// last gives the last reading, zeros when there is none. It waits for nothing.
func (g *spaceGuard) last() (free, total uint64) { return g.free.Load(), g.total.Load() }

// admit says whether a file of size bytes may be written in f: ErrNoSpace if not.
func (g *spaceGuard) admit(f *folder, size int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refresh(f)
	if !g.known {
		return nil
	}
	free, total := g.last()
	reserve := min(total/spaceShare, spaceFloor)
	if size <= spaceSmall {
		reserve /= 2
	}
	if free < reserve+uint64(size) {
		return fmt.Errorf("%w: %d MiB of %d MiB free, %d MiB kept free for others", ErrNoSpace, free>>20, total>>20, reserve>>20)
	}
	g.free.Store(free - uint64(size))
	return nil
}
