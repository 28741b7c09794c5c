package sim

import "testing"

// Long bodies travel in packs over a clean pipe: copied, linked and moved, and in the clear.
func TestLongBodiesTravelInPacks(t *testing.T) {
	for name, set := range map[string]func(p *Plan){
		"copied": func(*Plan) {},
		"linked": func(p *Plan) { p.Private, p.Apart = true, true },
		"signed": func(p *Plan) { p.Signed = true },
	} {
		t.Run(name, func(t *testing.T) {
			p := clean(60)
			p.Chunks = true
			set(&p)
			r := Run(t, p)
			check(t, r)
			if r.Packs == 0 || r.Ended["succeeded"] != 60 || p.Signed && r.Packs < 60 || p.Private != (r.Linked > 0) {
				t.Errorf("%d packs, linked or moved %d times; %+v", r.Packs, r.Linked, r.Ended)
			}
		})
	}
}
