package datapipe

import "sync/atomic"

type counts struct{ asked, given, refused, fetches atomic.Uint64 }

// Stats are counters since the start, in chunks.
type Stats struct {
	Asked   uint64 // of peers, each peer by itself
	Given   uint64 // to peers that asked
	Refused uint64 // to peers: not here, or not for them
	Fetches uint64 // ranges that clients waited for
}

// Stats gives the counters.
func (p *Pipe) Stats() Stats {
	return Stats{p.counts.asked.Load(), p.counts.given.Load(), p.counts.refused.Load(), p.counts.fetches.Load()}
}
