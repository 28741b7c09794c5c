package link_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
)

// Lives of a site that were lost one after the other, with a clock that was set back, may all hear the same of the life
// before them: an old frame of the peer, or own files. None may take the epoch of another, nor names that it may have used.
func TestLivesThatHeardTheSameBeginApart(t *testing.T) {
	old := time.UnixMilli(1_763_800_000_000)
	live := uint64(old.UnixMilli())
	const top = 2500 // files that the first life wrote, as far as the others hear
	ways := map[string]func(rnd *rand.Rand) *link.Link{
		"an old frame": func(rnd *rand.Rand) *link.Link {
			l := newLink(rnd, old.Add(-48*time.Hour), 0)
			c := frame.Claims{V: frame.Version, Iss: identity.ID{2}, Aud: identity.ID{1}, Ep: live, Pep: live, Seq: live * frame.SeqPerEpoch, Fin: true,
				Run: frame.Run{FirstSeq: live * frame.SeqPerEpoch, FirstID: 1, Rand: [8]byte{1}}, Base: 1, Last: new(uint64), Ack: &frame.Ack{},
				Rx: &frame.Rx{Top: live*frame.SeqPerEpoch + top}}
			l.Receive(old.Add(-48*time.Hour), link.File{Seq: c.Seq, Lines: []*frame.Claims{&c}, Whole: true})
			return l
		},
		"own files": func(rnd *rand.Rand) *link.Link {
			return newLink(rnd, old.Add(-48*time.Hour), live*frame.SeqPerEpoch+top)
		},
	}
	for name, begin := range ways {
		t.Run(name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			seen := map[uint64]bool{}
			for range 20 {
				own, _ := begin(rnd).Epoch()
				if own < live+top/frame.SeqPerEpoch+1000 {
					t.Errorf("epoch %d, where files up to %d of %d were heard of", own, top, live)
				}
				if seen[own] {
					t.Errorf("epoch %d comes twice", own)
				}
				seen[own] = true
			}
		})
	}
	l := newLink(rand.New(rand.NewPCG(1, 2)), old.Add(time.Hour), live*frame.SeqPerEpoch+top)
	if own, _ := l.Epoch(); own != uint64(old.Add(time.Hour).UnixMilli()) {
		t.Errorf("epoch %d with a clock that is right", own)
	}
}

func newLink(rnd *rand.Rand, now time.Time, ownTop uint64) *link.Link {
	return link.New(link.Config{Self: identity.ID{1}, Peer: identity.ID{2}, Rkt: func() string { return "r" }, Rand: rnd}, link.State{}, now, ownTop)
}
