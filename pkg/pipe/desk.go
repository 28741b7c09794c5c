package pipe

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// desk is what both pipes keep the same books with, whatever their files are made of.
type desk struct {
	o           Options
	track       *tracker
	pace        *pacer
	own         *ownCount
	quarantined *atomic.Uint64
}

func newDesk(o Options) desk {
	return desk{
		o:           o,
		track:       newTracker(&o),
		pace:        newPacer(o.PollMin, o.PollMax),
		own:         &ownCount{by: make(map[identity.ID]int)},
		quarantined: new(atomic.Uint64),
	}
}

// Hints says when a scan is worth while: one signal at least per poll interval while Run runs, one right
// after a file came where the folder can be watched, and one when a scan left files over. Signals are merged.
func (d *desk) Hints() <-chan struct{} { return d.pace.hints }

// Done says that file was handled whole and stays: it is not looked at again while it is listed.
func (d *desk) Done(file File) { d.track.set(file, stateWhole, 0) }

// Pending says that file is not complete yet: it is reported when it changes or settles. A file of which
// nothing is said is pending too.
func (d *desk) Pending(file File) { d.track.set(file, statePending, 0) }

// Again says that file could not be handled for a reason of our own: a scan after PollMax reports it again.
func (d *desk) Again(file File) { d.track.set(file, stateAgain, d.o.PollMax) }

// keep remembers a handled file that stays. One that was handled before it settled was whole; a settled one
// may be cut and is watched for growth.
func (d *desk) keep(file File) {
	if file.Settled {
		d.track.set(file, stateKept, 0)
		return
	}
	d.track.set(file, stateWhole, 0)
}

// mine says whether n is this site's to write and remove.
func (d *desk) mine(n frame.Name) bool {
	return n.Sender == d.o.Self && d.track.peers[n.Recipient] != nil
}

// admit gives the size of what is to be put, and refuses what is not this site's or too large.
func (d *desk) admit(n frame.Name, chunks [][]byte) (int64, error) {
	var size int64
	for _, c := range chunks {
		size += int64(len(c))
	}
	return size, d.admitSize(n, size)
}

// admitSize is admit for a size that is known.
func (d *desk) admitSize(n frame.Name, size int64) error {
	if !d.mine(n) {
		return ErrForeign
	}
	if limit := d.o.limit(n.Ext); size > limit {
		return fmt.Errorf("%w: %d bytes, %d allowed", ErrTooLarge, size, limit)
	}
	return nil
}

// sift gives the name of a peer's file for this site and counts every other.
func (d *desk) sift(s *survey, base string) (frame.Name, bool) {
	n, ok := d.o.parse(base)
	return n, d.sifted(s, base, n, ok)
}

// sifted is sift for a name that was read already; named says whether it reads as one of hoft's.
func (d *desk) sifted(s *survey, base string, n frame.Name, named bool) bool {
	switch {
	case !named && strings.HasSuffix(base, partExt):
		s.skip(SkipTemporary)
	case !named:
		s.skip(SkipForeign)
	case n.Recipient != d.o.Self:
		s.skip(SkipOther)
	case d.track.peers[n.Sender] == nil:
		s.skip(SkipStranger)
	default:
		return true
	}
	return false
}

func (d *desk) stats() Stats {
	var st Stats
	d.track.fill(&st)
	st.Poll = d.pace.current()
	st.OwnFiles = d.own.total()
	st.Quarantined = d.quarantined.Load()
	return st
}

// parse reads a base name as it stands in a folder of this pipe.
func (o *Options) parse(base string) (frame.Name, bool) {
	stem, ok := strings.CutSuffix(base, o.Suffix)
	if !ok {
		return frame.Name{}, false
	}
	n, err := frame.ParseName(stem)
	return n, err == nil
}

// ownCount counts own files in the outbox by recipient.
type ownCount struct {
	mu sync.Mutex
	by map[identity.ID]int
}

func (c *ownCount) add(peer identity.ID, n int) {
	c.mu.Lock()
	c.by[peer] = max(0, c.by[peer]+n)
	c.mu.Unlock()
}

func (c *ownCount) set(peer identity.ID, n int) {
	c.mu.Lock()
	c.by[peer] = n
	c.mu.Unlock()
}

func (c *ownCount) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.by {
		n += k
	}
	return n
}
