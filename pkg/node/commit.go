package node

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/store"
)

// Committed tells the outcome of Effects.Commit. A failed commit is tried again after a pause, with
// all that came meanwhile: what it holds is already part of what this site knows.
func (c *Core) Committed(now time.Time, err error) {
	in := c.inFlight
	if err != nil {
		if c.failing.IsZero() {
			c.failing = now
		}
		c.retryAt = now.Add(commitRetry)
		return
	}
	c.inFlight, c.failing = nil, time.Time{}
	for _, p := range c.order {
		if st, ok := in.states[p]; ok {
			c.links[p].Committed(now, st)
		}
	}
	c.out.Consume = append(c.out.Consume, in.tokens...)
	for _, fn := range in.after {
		s := &Step{Now: now, core: c}
		fn(s)
		s.merge()
		if c.Between != nil {
			c.Between()
		}
	}
}

// StoreFailing says since when commits fail; zero: they do not.
func (c *Core) StoreFailing() time.Time { return c.failing }

// commit begins a group commit where one is wanted and none is under way.
func (c *Core) commit(now time.Time) {
	if c.inFlight != nil {
		if c.retryAt.IsZero() || now.Before(c.retryAt) {
			return
		}
		c.retryAt = time.Time{} // the same again; what came meanwhile goes with the next one
		c.out.Commit = c.inFlight
		return
	}
	if !c.wantsCommit(now) {
		return
	}
	cm := &Commit{states: map[identity.ID]link.State{}, after: c.after, tokens: c.tokens}
	for _, p := range c.order {
		l := c.links[p]
		if l.Dirty() != link.Clean {
			st := l.Snapshot()
			cm.states[p] = st
			c.batch.PutLink(linkRow(p, st))
		}
	}
	b := c.batch
	cm.Batch = &b
	c.batch, c.after, c.tokens, c.lazyAt = store.Batch{}, nil, nil, time.Time{}
	c.hurry, c.gather = false, time.Time{}
	c.inFlight, c.out.Commit = cm, cm
}

// wantsCommit says whether somebody waits for a commit, or a lazy change has waited long enough.
func (c *Core) wantsCommit(now time.Time) bool {
	if len(c.after) > 0 {
		return c.gathered(now)
	}
	want := link.Clean
	if c.batch.Len() > 0 {
		want = link.Lazy
	}
	if len(c.tokens) > 0 {
		want = link.Soon
	}
	for _, p := range c.order {
		want = max(want, c.links[p].Dirty())
	}
	at := now
	switch {
	case want == link.Clean:
		return false
	case c.flushing:
		return true
	case want == link.Lazy:
		at = now.Add(lazyCommit)
	case want == link.Soon:
		at = now.Add(soonCommit)
	}
	if c.lazyAt.IsZero() || at.Before(c.lazyAt) {
		c.lazyAt = at
	}
	return !now.Before(c.lazyAt)
}

// gathered says whether a batch that somebody waits for has waited long enough for company. With many
// exchanges under way more changes come within a moment, and sharing a commit, a file and a line saves
// most of what each costs. It ends when half of the exchanges wait, or something in the batch hurries.
func (c *Core) gathered(now time.Time) bool {
	live := c.handler.Live()
	if c.hurry || c.flushing || live < gatherLive || len(c.after) >= live/2 {
		return true
	}
	if c.gather.IsZero() {
		c.gather = now
	}
	until := c.gather.Add(gatherFor)
	if c.lazyAt.IsZero() || until.Before(c.lazyAt) {
		c.lazyAt = until
	}
	return !now.Before(c.lazyAt)
}

// Flush has all changes committed as soon as they can be, from now on: the site stops.
func (c *Core) Flush() { c.flushing = true }

// Quiet says that nothing is under way or waiting to be committed.
func (c *Core) Quiet() bool {
	if c.inFlight != nil || c.batch.Len() > 0 || len(c.after) > 0 || len(c.tokens) > 0 {
		return false
	}
	for _, p := range c.order {
		if c.links[p].Dirty() != link.Clean || c.writing[p] {
			return false
		}
	}
	return true
}

func linkRow(p identity.ID, st link.State) store.Link {
	return store.Link{Peer: p, Epoch: st.Epoch, PeerEpoch: st.PeerEpoch, LastID: st.LastID, SeqReserved: st.SeqReserved,
		Contig: st.Contig, OOO: st.OOO, PeerBase: st.PeerBase, PeerLast: st.PeerLast, AckedContig: st.AckedContig,
		AckedOOO: st.AckedOOO, PeerCaps: st.PeerCaps, SRTT: st.SRTT, RTTVar: st.RTTVar, LastSeen: st.LastSeen, Seen: st.Seen, Runs: jsonOf(runs{Peer: st.PeerRun, Earlier: st.PeerRuns, Shown: st.PeerShown, Doubled: st.Doubled, Confirmed: st.Confirmed, Unmet: st.Unmet}), Learned: jsonOf(st.Learned)}
}

// jsonOf is how the store keeps the peer's run and what was learned of the pipe.
func jsonOf(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers, a time and a folder's name always encode
	}
	return b
}

// runs is what is stored about process runs.
type runs struct {
	Peer      frame.Run   `json:"peer"`
	Earlier   []frame.Run `json:"earlier,omitempty"`
	Shown     bool        `json:"shown,omitzero"`
	Doubled   bool        `json:"doubled,omitzero"`
	Confirmed bool        `json:"confirmed,omitzero"`
	Unmet     []frame.Run `json:"unmet,omitempty"`
}

// StateOf is the reverse of what the node stores.
func StateOf(r store.Link) link.State {
	var run runs
	if len(r.Runs) > 0 {
		if err := json.Unmarshal(r.Runs, &run); err != nil {
			run = runs{} // learned anew from the next frame
		}
	}
	var learned link.Learned
	if len(r.Learned) > 0 {
		if err := json.Unmarshal(r.Learned, &learned); err != nil {
			learned = link.Learned{} // likewise
		}
	}
	return link.State{PeerRun: run.Peer, PeerRuns: run.Earlier, PeerShown: run.Shown, Doubled: run.Doubled, Confirmed: run.Confirmed, Unmet: run.Unmet, Learned: learned, Epoch: r.Epoch, PeerEpoch: r.PeerEpoch, LastID: r.LastID, SeqReserved: r.SeqReserved, Contig: r.Contig, OOO: r.OOO,
		PeerBase: r.PeerBase, PeerLast: r.PeerLast, AckedContig: r.AckedContig, AckedOOO: r.AckedOOO, PeerCaps: r.PeerCaps,
		SRTT: r.SRTT, RTTVar: r.RTTVar, LastSeen: r.LastSeen, Seen: r.Seen}
}
