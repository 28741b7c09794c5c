package sim

import "testing"

// Long bodies travel in packs, over a clean pipe and over a bad one.
func TestLongBodiesTravelInPacks(t *testing.T) {
	p := clean(60)
	p.Chunks = true
	r := Run(t, p)
	check(t, r)
	if r.Packs == 0 || r.Ended["succeeded"] != 60 {
		t.Errorf("%d packs; %+v", r.Packs, r.Ended)
	}
}
