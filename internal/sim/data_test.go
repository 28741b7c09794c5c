package sim

import (
	"testing"
	"time"
)

// Data that one site stores is read at the other, over a clean pipe; a run with it can be repeated to the last event.
func TestStoredDataTravels(t *testing.T) {
	p := clean(60)
	p.Chunks, p.Expires, p.Data = true, true, 60
	r := Run(t, p)
	check(t, r)
	if r.Reads < 10 || r.Brought != r.Reads {
		t.Errorf("%d of %d reads were brought", r.Brought, r.Reads)
	}
	for seed := range uint64(3) {
		p := clean(80)
		p.Seed, p.Chunks, p.Expires, p.Data, p.NoDisturbance = seed, true, true, 60, false
		p.Drop, p.Cut, p.Dup, p.Partial, p.CrashEvery, p.DownFor = 0.1, 0.1, 0.1, 0.2, 3*time.Second, time.Second
		a, b := Run(t, p), Run(t, p)
		check(t, a)
		if a.Hash != b.Hash || a.Reads == 0 {
			t.Errorf("%v\n%x and %x after %v and %v; %d reads", p, a.Hash, b.Hash, a.Simulated, b.Simulated, a.Reads)
		}
	}
}

// Data is sent from site to site over a clean pipe, with maps that nest too, and over a bad one between machines that fail;
// what was said to be kept is kept. A run with it can be repeated to the last event.
func TestStoredDataIsSent(t *testing.T) {
	for _, nested := range []bool{false, true} {
		p := clean(60)
		p.Chunks, p.Expires, p.Data, p.Sends, p.Nested = true, true, 12, 30, nested
		r := Run(t, p)
		check(t, r)
		if r.Taken < 10 {
			t.Errorf("nested %v: %d times data was taken", nested, r.Taken)
		}
	}
	for seed := range uint64(3) {
		p := clean(80)
		p.Seed, p.Chunks, p.Expires, p.Data, p.Sends, p.Evict, p.Nested, p.NoDisturbance = seed, true, true, 20, 40, 3, seed == 2, false
		p.Drop, p.Cut, p.Dup, p.Partial, p.CrashEvery, p.DownFor = 0.1, 0.1, 0.1, 0.2, 3*time.Second, time.Second
		a, b := Run(t, p), Run(t, p)
		check(t, a)
		if a.Hash != b.Hash || a.Taken == 0 {
			t.Errorf("%v\n%x and %x after %v and %v; taken %d times", p, a.Hash, b.Hash, a.Simulated, b.Simulated, a.Taken)
		}
	}
}
