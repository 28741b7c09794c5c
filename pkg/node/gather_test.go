package node

import (
	"testing"

	"github.com/hoft/hoft/pkg/store"
)

// wait submits a change that somebody waits for, and says whether its commit began at once.
func (b *bench) wait(hurry bool) (began bool) {
	b.core.Do(b.now, func(s *Step) {
		s.Store().SetMeta("k", []byte("v"))
		s.OnCommit(func(*Step) {})
		if hurry {
			s.Hurry()
		}
	})
	e := b.core.Take(b.now)
	if e.Commit == nil {
		return false
	}
	b.core.Committed(b.now, b.db.Apply(e.Commit.Batch))
	return true
}

func TestCommitsWaitForCompanyOnlyAmongMany(t *testing.T) {
	h := &stumbling{}
	b := newBench(t, store.NewMem(), h)
	if !b.wait(false) {
		t.Error("a lone call waited for company")
	}
	h.live = 64
	if b.wait(false) {
		t.Error("one of 64 calls had a commit to itself")
	}
	if at := b.core.Deadline(b.now); at.Sub(b.now) != gatherFor {
		t.Errorf("the commit is due in %v, want %v", at.Sub(b.now), gatherFor)
	}
	b.now = b.now.Add(gatherFor)
	if e := b.core.Take(b.now); e.Commit == nil {
		t.Error("still waiting when its time is over")
	} else {
		b.core.Committed(b.now, b.db.Apply(e.Commit.Batch))
	}
	for i := range 31 {
		if b.wait(false) {
			t.Fatalf("committed with %d of 64 waiting", i+1)
		}
	}
	if !b.wait(false) {
		t.Error("half of the calls wait, and nothing is committed")
	}
	if !b.wait(true) {
		t.Error("what hurries waited")
	}
}
