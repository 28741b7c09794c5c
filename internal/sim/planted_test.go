//go:build planted

package sim

import (
	"slices"
	"testing"

	"github.com/hoft/hoft/pkg/planted"
)

// noticed says which invariant must notice each defect, and which others may notice it in other worlds.
var noticed = map[planted.Defect][]string{
	planted.OldPairAck:   {"acked, not received", "progress", "nothing lost"},
	planted.NameReuse:    {"name used twice"},
	planted.Splice:       {"outcome", "answer spliced", "progress"}, // parts that do not fit make no whole, or a wrong one
	planted.Rollback:     {"progress", "nothing lost"},
	planted.Distance:     {"not taken"},
	planted.IntentLate:   {"call before intent"},
	planted.AckEarly:     {"ack before commit"},
	planted.AcceptEarly:  {"accepted before commit"},
	planted.ResendEarly:  {"bytes bounded"},
	planted.HaveEarly:    {"have before sync", "outcome", "progress"},
	planted.ShipEarly:    {"accepted before commit", "outcome", "progress"},
	planted.LinkedPack:   {"chunk damaged", "outcome", "progress"},
	planted.AdoptUnread:  {"chunk damaged", "outcome", "progress"},
	planted.ConsumeEarly: {"removed before commit"},
}

// TestPlanted has each defect in turn.
func TestPlanted(t *testing.T) {
	for name, d := range planted.All {
		t.Run(name, func(t *testing.T) {
			planted.Bug = d
			defer func() { planted.Bug = planted.None }()
			mustNotice(t)
		})
	}
}

// mustNotice plays worlds until one shows the defect that is built in.
func mustNotice(t *testing.T) {
	const most = 400
	for seed := uint64(1); seed <= most; seed++ {
		r := Run(t, planFor(planted.Bug, seed))
		if v := r.Violation; v != nil {
			if !slices.Contains(noticed[planted.Bug], v.Invariant) {
				t.Fatalf("seed %d: noticed by %q (%s), want one of %q", r.Plan.Seed, v.Invariant, v.Detail, noticed[planted.Bug])
			}
			if v.Invariant == noticed[planted.Bug][0] {
				t.Logf("seed %d: %s: %s", r.Plan.Seed, v.Invariant, v.Detail)
				return
			}
		}
	}
	t.Errorf("%d worlds, and nobody noticed the defect", most)
}
