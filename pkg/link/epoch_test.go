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

// What a new state hears first may be old files, of lives of the peer that were lost before it began. It tells its messages to none
// of them: a call told to one would have an uncertain end, although all was well when it came.
func TestALifeThatWasLostBeforeIsToldNothing(t *testing.T) {
	w := newWorld(t, 1, faults{commitDelay: time.Millisecond, least: 20 * time.Millisecond})
	a, b := w.sides[0], w.sides[1]
	empty := disk{rows: map[uint64]link.Item{}, sent: map[uint64]link.SentFile{}, got: map[uint64]bool{}}
	var old []flying
	for life := range 3 { // the last of them heard nothing of a
		if a.accept("call"); life < 2 {
			w.settle(t)
		}
		b.accept("answer")
		b.work()
		for _, f := range w.air {
			if f.to == 0 {
				old = append(old, f)
			}
		}
		w.air = nil
		w.now = w.now.Add(time.Minute)
		a.disk, b.disk = empty.clone(), empty.clone()
		a.crash()
		b.crash()
	}
	began, _ := b.l.Epoch()
	a.accept("new")
	for _, f := range old {
		a.receive(f)
	}
	if _, heard := a.l.Epoch(); len(old) < 3 || heard == 0 || heard >= began {
		t.Fatalf("of %d old files a knows epoch %d of b, whose present one is %d", len(old), heard, began)
	}
	told := 0
	for end := w.now.Add(time.Hour); !w.synchronized() && w.now.Before(end); w.step() {
		for _, f := range w.air {
			for _, raw := range f.raw {
				if c := parse(t, raw); f.to == 1 && len(c.Msg) > 0 {
					told++
					if c.Pep != began {
						t.Fatalf("a message is told to epoch %d of b, whose present one is %d", c.Pep, began)
					}
				}
			}
		}
	}
	if told == 0 || len(b.disk.got) != 1 {
		t.Errorf("b has %d messages after %v", len(b.disk.got), w.now)
	}
}

func parse(t *testing.T, raw []byte) *frame.Claims {
	t.Helper()
	c, err := frame.ParseClaims(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
