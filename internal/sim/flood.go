package sim

import (
	"encoding/json"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
)

// flood sends many small messages from site 0 to site 1, besides the calls: what is said of exchanges long forgotten.
func (w *World) flood() {
	if w.plan.Flood == 0 {
		return
	}
	data, err := json.Marshal(map[string]any{"exchange": w.newID(w.sites[0]), "stage": "calling", "at": 1})
	if err != nil {
		panic(err)
	}
	tail, err := frame.EncodeTail(frame.KindStage, data, nil, false)
	if err != nil {
		panic(err)
	}
	const batch = 200
	var pour func()
	pour = func() {
		p := w.sites[0].main()
		if p == nil || w.book.poured >= w.plan.Flood {
			return
		}
		ms := make([]node.Message, batch)
		for i := range ms {
			ms[i] = node.Message{Outgoing: link.Outgoing{Kind: frame.KindStage, Prio: link.PrioBulk, Tail: tail}, Must: true}
		}
		p.core.Do(p.now(), func(s *node.Step) {
			if held, _ := p.core.Link(w.sites[1].id).Held(); held < 3000 && s.Send(w.sites[1].id, ms...) == nil {
				w.book.poured += batch
			}
		})
		w.stir(p)
		w.after(20*time.Millisecond, pour)
	}
	w.after(w.plan.Gap, pour)
}

// flooded says whether all of the flood was sent.
func (w *World) flooded() bool { return w.book.poured >= w.plan.Flood }

// Distance is the plan of a run in which one message does not come while more than 65,536 later ones do.
func Distance(seed uint64) Plan {
	return Plan{Seed: seed, Sites: 2, Mover: Moves, Calls: 20, Gap: 100 * time.Millisecond, Trouble: time.Hour, Heartbeat: time.Minute, Window: 4096, MaxRanges: 4096,
		MaxFiles: 256, FrameBytes: 1 << 20, Delay: 5 * time.Millisecond, DelayMax: 20 * time.Millisecond, HoldBack: 250, Flood: 72_000}
}
