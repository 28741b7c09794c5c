package exchange

import (
	"time"

	"github.com/hoft/hoft/pkg/node"
)

// Transfer is how far the chunks of a long request body are: stored here, sent, and acknowledged by the peer. Bytes are
// of ciphertext.
type Transfer struct {
	Chunks int   `json:"chunks"` // stored here
	Bytes  int64 `json:"bytes"`
	// Sent are those in packs that were written, There those that the peer is known to hold; what it held before is only
	// in There.
	SentChunks  int   `json:"sent_chunks"`
	SentBytes   int64 `json:"sent_bytes"`
	ThereChunks int   `json:"there_chunks"`
	ThereBytes  int64 `json:"there_bytes"`
	// RateBps is the bytes there by the time since the call was accepted, LeftS how many seconds the rest takes at that
	// rate; 0: not known.
	RateBps float64 `json:"rate_bps,omitzero"`
	LeftS   float64 `json:"left_s,omitzero"`
}

// transfer tells how far the request body of a call is; nil when none of it is on its way.
func (m *Manager) transfer(s *node.Step, c *call) *Transfer {
	b := s.Bulk(c.peer)
	if b == nil {
		return nil
	}
	p, ok := b.Progress(c.id)
	if !ok {
		return nil
	}
	t := &Transfer{Chunks: p.Chunks, Bytes: p.Bytes, SentChunks: p.SentChunks, SentBytes: p.SentBytes, ThereChunks: p.ThereChunks, ThereBytes: p.ThereBytes}
	t.estimate(s.Now.Sub(c.created()))
	return t
}

func (t *Transfer) estimate(age time.Duration) {
	if took := age.Seconds(); took > 0 && t.ThereBytes > 0 {
		t.RateBps = float64(t.ThereBytes) / took
		t.LeftS = float64(t.Bytes-t.ThereBytes) / t.RateBps
	}
}
