package exchange

import (
	"context"
	"maps"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
)

// Tally counts the unfinished exchanges of a site now.
type Tally struct {
	// Calls are those that callers here made, Jobs those that peers asked for, by stage. A job whose
	// request is not complete yet counts as StageWritten.
	Calls, Jobs map[string]int
	// Dropped counts messages since start that meant nothing any more: of finished or unknown exchanges.
	Dropped int64
	// Mistakes counts by peer, since start, messages that could not be used: malformed ones, and those beyond its share.
	Mistakes map[identity.ID]uint64
}

// Tally counts in the loop and waits for it. Safe for concurrent use.
func (m *Manager) Tally(ctx context.Context) (Tally, error) {
	t := Tally{Calls: map[string]int{}, Jobs: map[string]int{}}
	err := m.sync(ctx, func(*node.Step) {
		t.Mistakes = maps.Clone(m.mistakes)
		for _, c := range m.calls {
			t.Calls[c.stage()]++
		}
		for _, j := range m.jobs {
			t.Jobs[j.stage()]++
		}
	})
	t.Dropped = m.dropped.Load()
	if err != nil {
		return Tally{}, err
	}
	return t, nil
}

// stage says how far a job got in the words of exchanges.
func (j *job) stage() string {
	switch j.state {
	case jobCalling:
		return StageCalling
	case jobEarly, jobQueued:
		return StageArrived
	}
	return StageWritten
}
