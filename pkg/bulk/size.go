package bulk

import (
	"slices"

	"github.com/hoft/hoft/pkg/chunk"
)

// sizer learns how large packs may be: from those that come cut, and from large ones that vanish.
type sizer struct {
	size, max int64
	whole     [8]int64 // sizes of the newest packs that came whole
	next      int
	good      int // packs near the present size that came whole in a row
	vanishing int // large packs that vanished in a row
	patience  int // packs that must come whole before a larger size is tried
}

const (
	firstPatience = 8
	maxPatience   = 1024
	// enoughVanished is how many packs of full size must vanish in a row before smaller ones are tried.
	enoughVanished = 3
)

func newSizer(first, most int64) sizer {
	return sizer{size: min(first, most), max: most, patience: firstPatience}
}

func (s *sizer) now() int64 { return s.size }

// settled takes what came of a pack. Records missing in the middle are damage, not a cut: only what is missing
// up to the end, as far as the peer looked, speaks of the size.
func (s *sizer) settled(k *pack, fates []fate) {
	s.vanishing = 0
	size := k.looked(fates)
	n := len(k.recs)
	for n > 0 && fates[n-1] != arrived {
		n--
	}
	if slices.Contains(fates[n:], missed) {
		s.cutAt(chunk.PackSize(k.recs[:n]))
		return
	}
	s.whole[s.next] = size
	s.next = (s.next + 1) % len(s.whole)
	if size < s.size/2 {
		return
	}
	if s.good++; s.good >= s.patience && s.size < s.max {
		s.size, s.good = min(s.size+s.size/4, s.max), 0
	}
}

// cutAt: where larger packs came whole of late the cut was an accident, else it shows what the pipe lets through.
func (s *sizer) cutAt(n int64) {
	s.good = 0
	s.patience = min(2*s.patience, maxPatience)
	for _, w := range s.whole {
		if w > n {
			s.size = max(s.size*3/4, minPack)
			return
		}
	}
	s.size = max(min(n, s.size), minPack)
}

// vanished takes a pack that never came.
func (s *sizer) vanished(size int64) {
	s.good = 0
	if size < s.size/2 {
		return
	}
	if s.vanishing++; s.vanishing >= enoughVanished {
		s.vanishing = 0
		s.size = max(s.size/2, minPack)
	}
}

// Trust bounds packs to the size in bytes that the link has found the pipe to carry whole.
func (p *Peer) Trust(n int64) { p.trusted = n }

// packSize is how large packs are made now.
func (p *Peer) packSize() int64 {
	if p.trusted > 0 {
		return min(p.size.now(), p.trusted)
	}
	return p.size.now()
}
