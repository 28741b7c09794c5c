package sim

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// Callers come a dozen at a time, so bodies share packs, in worlds with every fault there is.
func TestCrowds(t *testing.T) {
	var worlds atomic.Int64
	t.Run("worlds", func(t *testing.T) {
		for _, seed := range []uint64{2, 3, 6, 9, 11, 19, 20, 22} { // with packs that may be shared, and soon over
			p := NewPlan(seed)
			p.Crowd, p.Calls = 12, min(p.Calls, 120)
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				r := Run(t, p)
				check(t, r)
				if r.Shared > 0 {
					worlds.Add(1)
				}
			})
		}
	})
	if worlds.Load() < 4 {
		t.Errorf("packs were shared in %d worlds", worlds.Load())
	}
}

// Long bodies travel in packs over a clean pipe: copied, linked and moved, cloned, and in the clear. Those that are ready at the same time
// share them, but for the last.
func TestLongBodiesTravelInPacks(t *testing.T) {
	for name, set := range map[string]func(p *Plan){
		"copied": func(*Plan) {},
		"linked": func(p *Plan) { p.Private, p.Apart = true, true },
		"cloned": func(p *Plan) { p.Shares, p.Apart = true, true },
		"signed": func(p *Plan) { p.Signed = true },
	} {
		for _, gap := range []time.Duration{200 * time.Millisecond, 200 * time.Microsecond} {
			t.Run(name+", one each "+gap.String(), func(t *testing.T) {
				p := clean(200)
				p.Chunks, p.Gap = true, gap
				set(&p)
				r := Run(t, p)
				check(t, r)
				shares := gap < time.Millisecond && !p.Signed && !p.Apart // what is linked or cloned is large, for this world
				if r.Packs == 0 || r.Ended["succeeded"] != 200 || p.Signed && r.Packs < 200 || p.Apart != (r.Linked > 0) || shares != (r.Shared > 0) {
					t.Errorf("%d packs, %d of several bodies, not copied %d times; %+v", r.Packs, r.Shared, r.Linked, r.Ended)
				}
			})
		}
	}
}
