package bulk

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/chunk"
)

// A pack that was written by a clock that has been set back since is given up as soon as any other.
func TestAPackFromAClockThatWasSetBackIsGivenUp(t *testing.T) {
	x, recs := uuid.UUID{1}, []chunk.Record{record(1, 1, 100<<10)}
	p := New(Config{})
	p.Restore(began, []Row{{Key: Key{Own: true, Seq: 1000}, Runs: []Run{{x, 1}}, State: Written, At: began.Add(48 * time.Hour), Size: 100 << 10, Records: recs}},
		[]Saved{{Exchange: x, Records: recs}}, nil)
	const trip = time.Second
	for now := began; now.Before(began.Add(10 * time.Minute)); now = now.Add(time.Second) {
		p.Tick(now, trip)
		p.Have(now, &HaveData{Seq: 1000, Unseen: true}, trip)
		if p.Ready() {
			return
		}
	}
	t.Errorf("the pack never came, and is still waited for: %+v", p.View())
}
