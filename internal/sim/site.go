package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
)

// site is one identity with its machine: folders, clock, and the disk between two runs of its process. Usually one
// process runs; none after a crash, two after its state folder was copied.
type site struct {
	w     *World
	n     int
	id    identity.ID
	name  string
	clock clock
	out   *pipe.MemFolder
	in    *pipe.MemFolder
	keys  *keys // nil: the stand-in seals

	disk  *folder // the state folder; while a process runs, that is its own
	copy  *folder // an older copy of it, nil: none
	procs []*proc
	full  bool // the disk is full
	down  bool // stays down until somebody starts it
	// leftovers: of two processes one has ended, and the other does not know its files until it starts again.
	leftovers bool

	scanAt  time.Duration // a scan is planned for then; -1: none
	history history
}

// history is what happened to a site that excuses some outcomes.
type history struct {
	lost, restored, cloned int // how often, so far
	// doubtful are own epochs by peer in which the state was doubled or set back, or that two copies opened: names and
	// ids of them may come twice.
	doubtful map[peerEpoch]bool
}

type peerEpoch struct {
	peer  identity.ID
	epoch uint64
}

func (w *World) newSite(n int) *site {
	s := &site{w: w, n: n, name: fmt.Sprintf("site-%c", 'a'+n), disk: newFolder(), scanAt: -1}
	s.id = identity.ID{0: 0x01, 1: 0x99, 6: 0x70, 8: 0x80, 15: byte(n + 1)}
	s.history.doubtful = map[peerEpoch]bool{}
	if m := w.plan.SkewMost; m > 0 {
		s.clock.off = w.between(-m, m)
	}
	return s
}

// layFolders gives the sites their folders.
func (w *World) layFolders() {
	now := func() time.Time { return began.Add(w.now()) }
	one := pipe.NewMemFolder(now)
	for _, s := range w.sites {
		if s.out, s.in = one, one; w.plan.Mover != OneFolder {
			s.out, s.in = pipe.NewMemFolder(now), pipe.NewMemFolder(now)
		}
	}
}

// byID gives a site, nil for an unknown id.
func (w *World) byID(id identity.ID) *site {
	for _, s := range w.sites {
		if s.id == id {
			return s
		}
	}
	return nil
}

// signed says whether the link of two sites is signed and not encrypted.
func (w *World) signed(a, b *site) bool { return w.plan.Signed && (a.n+b.n)%2 == 1 }

// frameExt is how the names of frames between two sites end.
func (w *World) frameExt(a, b *site) frame.Ext {
	if w.signed(a, b) {
		return frame.ExtSigned
	}
	return frame.ExtFrame
}

// others gives the ids of all sites but s.
func (s *site) others() (ids []identity.ID) {
	for _, o := range s.w.sites {
		if o != s {
			ids = append(ids, o.id)
		}
	}
	return ids
}

// boot starts the site's process on its disk.
func (s *site) boot() *proc {
	s.down = false
	p := s.start(s.disk)
	s.scanSoon(0)
	return p
}

// main gives the process that runs, nil if none does. Of two it is the one that stays.
func (s *site) main() *proc {
	if len(s.procs) == 0 {
		return nil
	}
	return s.procs[0]
}

// scanSoon has the site look into its inbox after its poll interval.
func (s *site) scanSoon(d time.Duration) {
	at := s.w.now() + d
	if s.scanAt >= 0 && s.scanAt <= at {
		return
	}
	s.scanAt = at
	s.w.after(d, func() {
		if s.scanAt != at {
			return
		}
		s.scanAt = -1
		for _, p := range s.procs {
			p.scan()
		}
	})
}

// doubt notes that the state folder of the site was doubled or set back: up to its next epoch, it may use names and ids again.
func (s *site) doubt() {
	rows, err := s.disk.Links(context.Background())
	if err != nil {
		panic(err)
	}
	for _, r := range rows {
		s.history.doubtful[peerEpoch{r.Peer, r.Epoch}] = true
	}
}

// doubted says whether an own epoch with a peer is one in which names and ids may come twice.
func (s *site) doubted(peer identity.ID, epoch uint64) bool {
	return s.history.doubtful[peerEpoch{peer, epoch}]
}
