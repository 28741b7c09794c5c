package admin

import (
	"time"

	"github.com/hoft/hoft/pkg/bulk"
)

// bulkOf is the packs' state of a link as operators see it, nil without one.
func bulkOf(p *bulk.Peer, now time.Time) *Bulk {
	if p == nil {
		return nil
	}
	v := p.View()
	out := &Bulk{PackBytes: v.PackBytes, OpenPacks: v.OpenPacks, OpenBytes: v.OpenBytes, QueuedBytes: v.QueuedBytes, RateBps: v.Rate, Expected: v.Expected, Fetching: v.Fetching, Charged: v.ChargedFor,
		PacksWritten: v.PacksWritten, PacksSettled: v.PacksSettled, PacksLost: v.PacksLost, PacksCut: v.PacksCut, BytesWritten: v.BytesWritten,
		ChunksSent: v.ChunksSent, ChunksResent: v.ChunksResent, ChunksSpared: v.ChunksSpared, BytesSpared: v.BytesSpared,
		ChunksReceived: v.ChunksReceived, ChunksBad: v.ChunksBad, Probes: v.Probes, Wants: v.Wants, Fetches: v.Fetches, Spurious: v.Spurious}
	if !v.Oldest.IsZero() {
		age := max(now.Sub(v.Oldest).Seconds(), 0)
		out.OldestS = &age
	}
	if left := v.OpenBytes + v.QueuedBytes; left > 0 && v.Rate > 0 {
		s := float64(left) / v.Rate
		out.LeftS = &s
	}
	return out
}
