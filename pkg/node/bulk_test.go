package node

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
)

// idle is a handler of which nothing is asked.
type idle struct{}

func (idle) Deliver(*Step, *Delivery) *Keep       { panic("a message about packs came through") }
func (idle) Poisoned(*Step, *Delivery)            {}
func (idle) Written(*Step, identity.ID, link.Ref) {}
func (idle) Acked(*Step, identity.ID, link.Acked) {}
func (idle) PeerReset(*Step, identity.ID)         {}
func (idle) OwnReset(*Step, identity.ID)          {}
func (idle) PeerMet(*Step, identity.ID)           {}
func (idle) Tick(*Step)                           {}
func (idle) Deadline() time.Time                  { return time.Time{} }
func (idle) Live() int                            { return 0 }

func newBulkCore(t *testing.T) (*Core, identity.ID, time.Time) {
	t.Helper()
	self, peer, now := identity.ID{1}, identity.ID{2}, time.UnixMilli(1_763_798_400_000)
	cfg := link.Config{Self: self, Peer: peer, Rkt: func() string { return "" }, Rand: rand.New(rand.NewPCG(1, 1))}
	l := link.New(cfg, link.State{PeerEpoch: 5}, now, 0)
	c := NewCore(self, map[identity.ID]*link.Link{peer: l}, []identity.ID{peer}, Limits{})
	c.SetBulk(peer, bulk.New(bulk.Config{}))
	c.SetHandler(idle{})
	return c, peer, now
}

// settle has everything committed and gives what is to be done.
func settle(c *Core, now time.Time) (out Effects) {
	for range 4 {
		c.Flush()
		e := c.Take(now)
		out.Consume, out.Reads = append(out.Consume, e.Consume...), append(out.Reads, e.Reads...)
		out.Remove = append(out.Remove, e.Remove...)
		if c.inFlight != nil {
			c.Committed(now, nil)
		}
	}
	return out
}

func tell(c *Core, peer identity.ID, now time.Time, kind frame.Kind, data string) {
	c.deliver(now, &Delivery{Peer: peer, Delivery: link.Delivery{Message: frame.Message{ID: 1, Kind: kind, Data: []byte(data)}}})
}

// A pack is read when it was announced, whichever comes first; a repeat is removed unread; what is not announced stays
// a week.
func TestOnlyAnnouncedPacksAreRead(t *testing.T) {
	c, peer, now := newBulkCore(t)
	const announcement = `{"seq":5007,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]]}`
	c.PackFound(now, peer, 5007, PackFound{Size: 1020, Token: "early", since: now})
	c.PackFound(now, peer, 5008, PackFound{Size: 1020, Token: "stranger", since: now})
	if e := c.Take(now); len(e.Reads) != 0 {
		t.Fatalf("read without an announcement: %+v", e.Reads)
	}
	tell(c, peer, now, frame.KindPack, announcement)
	e := c.Take(now)
	if len(e.Reads) != 1 || e.Reads[0].Seq != 5007 || e.Reads[0].Found.Token != "early" || len(e.Reads[0].Records) != 1 {
		t.Fatalf("%+v", e.Reads)
	}
	c.PackFound(now, peer, 5007, PackFound{Size: 1020, Settled: true, Token: "again"})
	c.PackWasRead(now, e.Reads[0], PackResult{Got: []int{0}, Final: true, Whole: true})
	if e := c.Take(now); len(e.Reads) != 0 || len(e.Consume) != 1 || e.Consume[0] != "again" {
		t.Fatalf("a repeat: %+v", e)
	}
	e = settle(c, now.Add(time.Second)) // the receipt is durable, then the file goes
	if len(e.Consume) != 1 || e.Consume[0] != "early" {
		t.Fatalf("after the commit: %+v", e)
	}
	b := c.bulk[peer]
	for seq := uint64(6000); len(b.strangers) < maxStrangers; seq++ {
		b.strangers[seq] = PackFound{Token: "other", since: now.Add(time.Hour)}
	}
	c.PackFound(now, peer, 5008, PackFound{Size: 1020, Settled: true, Token: "stranger", since: now}) // no further one, but what is known of it
	c.PackFound(now, peer, 5009, PackFound{Size: 1020, Token: "one too many", since: now})
	if f := b.strangers[5008]; !f.Settled || len(b.strangers) != maxStrangers {
		t.Fatalf("%d are remembered, and of one %+v", len(b.strangers), f)
	}
	for seq := range b.strangers {
		if seq >= 6000 {
			delete(b.strangers, seq)
		}
	}
	now = now.Add(strangersKept + 2*time.Hour)
	c.Tick(now)
	if e := c.Take(now); len(e.Consume) != 1 || e.Consume[0] != "stranger" {
		t.Fatalf("after a week: %+v", e.Consume)
	}
}

// Of an exchange that is over nothing is read: neither a pack that comes late, nor one that is announced late. The same
// goes for what the peer wrote before its present epoch.
func TestPacksOfWhatIsOverAreRemoved(t *testing.T) {
	c, peer, now := newBulkCore(t)
	const announcement = `{"seq":%d,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]]}`
	x := uuid.MustParse("0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77")
	c.PackFound(now, peer, 5008, PackFound{Size: 1020, Token: "found before"})
	tell(c, peer, now, frame.KindPack, fmt.Sprintf(announcement, 5007))
	c.Do(now, func(s *Step) { s.Over(peer, x) })
	tell(c, peer, now, frame.KindPack, fmt.Sprintf(announcement, 5008))
	c.PackFound(now, peer, 5007, PackFound{Size: 1020, Token: "late"})
	c.PackFound(now, peer, 4999, PackFound{Size: 1020, Token: "of the last epoch"})
	e := settle(c, now)
	if want := []any{"found before", "late", "of the last epoch"}; len(e.Reads) != 0 || !slices.Equal(e.Consume, want) {
		t.Errorf("read %d, consumed %v, want %v", len(e.Reads), e.Consume, want)
	}
	if v := c.Bulk(peer).View(); v.Expected != 0 {
		t.Errorf("%d chunks are waited for", v.Expected)
	}
}

// A pack that is being read when its peer begins a new epoch is removed when that is done: nothing announces it any more.
func TestPackOfALostStateIsRemovedWhenItWasRead(t *testing.T) {
	c, peer, now := newBulkCore(t)
	const announcement = `{"seq":5007,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]]}`
	tell(c, peer, now, frame.KindPack, announcement)
	c.PackFound(now, peer, 5007, PackFound{Size: 1020, Token: "it", since: now})
	e := c.Take(now)
	if len(e.Reads) != 1 {
		t.Fatalf("%+v", e.Reads)
	}
	c.Inbound(now, peer, link.File{Seq: 6001, Lines: []*frame.Claims{{Ep: 6, Seq: 6001}}, Whole: true}, nil)
	c.PackWasRead(now, e.Reads[0], PackResult{Got: []int{0}, Final: true, Whole: true})
	if e := settle(c, now); len(e.Consume) != 1 || e.Consume[0] != "it" {
		t.Errorf("consumed %v", e.Consume)
	}
}

// A pack of several bodies is read for those of them that are not over. In signed mode there are none: a scanner could not tell one from
// the other.
func TestPackOfSeveralBodies(t *testing.T) {
	const announcement = `{"seq":5007,"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","recs":[["AAAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]],
		"also":[{"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a78","recs":[["AQAAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",1000]]}]}`
	for _, signed := range []bool{false, true} {
		c, peer, now := newBulkCore(t)
		if signed {
			c.SetSigned(peer)
		}
		c.Do(now, func(s *Step) { s.Over(peer, uuid.MustParse("0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77")) })
		c.PackFound(now, peer, 5007, PackFound{Size: 2040, Token: "it", since: now})
		tell(c, peer, now, frame.KindPack, announcement)
		e := c.Take(now)
		if signed {
			if len(e.Reads) != 0 || c.BadBulk(peer) != 1 || c.Bulk(peer).View().Expected != 0 {
				t.Errorf("signed: %+v, %d refused", e.Reads, c.BadBulk(peer))
			}
			continue
		}
		if len(e.Reads) != 1 || len(e.Reads[0].Records) != 2 || !slices.Equal(e.Reads[0].Got, []bool{true, false}) || c.BadBulk(peer) != 0 {
			t.Fatalf("%+v", e.Reads)
		}
		c.PackWasRead(now, e.Reads[0], PackResult{Got: []int{1}, Final: true, Whole: true})
		if e := settle(c, now); len(e.Consume) != 1 || e.Consume[0] != "it" {
			t.Errorf("%+v", e)
		}
	}
}

// What a bad peer says about packs is counted and does no harm.
func TestBadMessagesAboutPacks(t *testing.T) {
	c, peer, now := newBulkCore(t)
	bad := []string{`{}`, `[]`, `{"seq":-1}`, `{"seq":1,"more":true}`, `{"exchange":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","names":["x"]}`}
	n := uint64(0)
	for _, kind := range []frame.Kind{frame.KindPack, frame.KindWant, frame.KindGone} {
		for _, data := range bad {
			tell(c, peer, now, kind, data)
			n++
		}
	}
	if got := c.BadBulk(peer); got != n {
		t.Errorf("%d counted of %d", got, n)
	}
	// Words about packs that never were: nothing but an answer to the probe.
	tell(c, peer, now, frame.KindHave, `{"seq":99,"miss":[0,5]}`)
	tell(c, peer, now, frame.KindProbe, `{"seq":99}`)
	if v := c.Bulk(peer).View(); v.OpenPacks != 0 || v.Expected != 0 {
		t.Errorf("%+v", v)
	}
	if m, _ := c.Link(peer).Held(); m != 1 {
		t.Errorf("%d messages wait, want the answer alone", m)
	}
}
