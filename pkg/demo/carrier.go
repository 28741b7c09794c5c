package demo

import (
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/pipe/mover"
)

// carrier is the mover of one direction. It tells files by their number in this run, because names hold ids and
// times and are other ones each time: so a seed means the same faults for the same file numbers.
type carrier struct {
	mover    *mover.Mover
	from, to string
	first    uint64 // file numbers begin here
}

func (d *demo) newCarrier(from, to *end, c mover.Config) (*carrier, error) {
	k := &carrier{from: from.site.Name(), to: to.site.Name(), first: from.site.Node().Epoch(from.peer) * frame.SeqPerEpoch}
	c.Alias = func(p string) string {
		if n, ok := k.number(p); ok {
			return strconv.FormatUint(n, 10)
		}
		return p
	}
	c.OnEvent = func(e mover.Event) {
		n, ok := k.number(e.Path)
		if !ok {
			return // the try-out of folders at start
		}
		d.samples.keep(filepath.Join(c.To, filepath.FromSlash(e.Path)), e, k.to == SiteB)
		d.event(Event{File: &FileEvent{From: k.from, To: k.to, N: n, Event: e}})
	}
	var err error
	k.mover, err = mover.New(c)
	return k, err
}

// number gives the number of a frame in this run, from 1.
func (k *carrier) number(p string) (uint64, bool) {
	n, err := frame.ParseName(path.Base(p))
	if err != nil || n.Seq < k.first {
		return 0, false
	}
	return n.Seq - k.first + 1, true
}

// samples keeps a copy of the first whole frame and of the first cut one, to be looked at with hoft inspect.
type samples struct {
	dir        string
	whole, cut bool
}

func (s *samples) keep(file string, e mover.Event, wanted bool) {
	kept := &s.whole
	switch {
	case !wanted:
		return
	case e.What == mover.Cut && e.Came > 0:
		kept = &s.cut
	case e.What != mover.Moved:
		return
	}
	if *kept {
		return
	}
	// The reader may have taken the file by now: then the next one serves.
	data, err := os.ReadFile(file)
	if err != nil {
		return
	}
	*kept = os.WriteFile(filepath.Join(s.dir, filepath.Base(file)), data, 0o600) == nil
}
