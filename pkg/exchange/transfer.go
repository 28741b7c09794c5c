package exchange

import (
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/node"
)

// What a Transfer is about.
const (
	BodyRequest  = "request"  // on its way to the peer
	BodyResponse = "response" // on its way here
	BodyData     = "data"     // stored data: on its way here where it is fetched, to the peer where a call sends it
)

// Transfer is how far a long body is. Bytes of a request, and of data that is sent, are those of ciphertext, else those of the
// content.
type Transfer struct {
	Body string `json:"body"` // see BodyRequest
	// Chunks and Bytes are all that can be sent so far: what is stored at the sending site, as far as this one knows.
	Chunks int   `json:"chunks"`
	Bytes  int64 `json:"bytes"`
	// Sent are those in packs that were written (of what comes here: announced), There those that the receiving site is
	// known to hold; what it held before is only in There.
	SentChunks  int   `json:"sent_chunks"`
	SentBytes   int64 `json:"sent_bytes"`
	ThereChunks int   `json:"there_chunks"`
	ThereBytes  int64 `json:"there_bytes"`
	// Length is how long the whole body is, where that is known and not Bytes; 0: it is not.
	Length int64 `json:"length,omitzero"`
	// RateBps is the bytes there by the time since the call was accepted, or answered; LeftS how many seconds the rest takes
	// at that rate; 0: not known.
	RateBps float64 `json:"rate_bps,omitzero"`
	LeftS   float64 `json:"left_s,omitzero"`
}

// transfer tells how far the body of a call is that is on its way; nil when none is.
func (m *Manager) transfer(s *node.Step, c *call) *Transfer {
	var t *Transfer
	since := c.created()
	switch {
	case c.local:
		t = m.fetching(s, c)
	case c.head != nil:
		if t = m.coming(s, c); c.stages[stageIndex(StageAnswered)] != 0 {
			since = time.UnixMilli(c.stages[stageIndex(StageAnswered)])
		}
	default:
		t = m.sending(s, c)
	}
	if t != nil {
		t.estimate(s.Now.Sub(since))
	}
	return t
}

// sending is the request's body, or the stored data that the peer fetches for this call.
func (m *Manager) sending(s *node.Step, c *call) *Transfer {
	b := s.Bulk(c.peer)
	if b == nil {
		return nil
	}
	body := BodyRequest
	p, ok := b.Progress(c.id)
	if !ok {
		body = BodyData
		if p, ok = b.Progress(Beside(c.id)); !ok {
			return nil
		}
	}
	return &Transfer{Body: body, Chunks: p.Chunks, Bytes: p.Bytes, SentChunks: p.SentChunks, SentBytes: p.SentBytes, ThereChunks: p.ThereChunks, ThereBytes: p.ThereBytes}
}

// coming is the answer's body, nil for one that came with its head.
func (m *Manager) coming(s *node.Step, c *call) *Transfer {
	if !c.head.More {
		return nil
	}
	t := &Transfer{Body: BodyResponse, Chunks: len(c.names), Bytes: int64(c.have.Count()), Length: max(c.head.Length, 0)}
	var absent, unsent awaited
	b := s.Bulk(c.peer)
	for n, a := range c.missing {
		absent.add(a)
		if b == nil || !b.Expects(n) {
			unsent.add(a)
		}
	}
	t.SentChunks, t.SentBytes = t.Chunks-unsent.chunks, t.Bytes-unsent.bytes
	t.ThereChunks, t.ThereBytes = t.Chunks-absent.chunks, t.Bytes-absent.bytes
	return t
}

// fetching is the stored data that local work brings, nil before it has told of any.
func (m *Manager) fetching(s *node.Step, c *call) *Transfer {
	if c.fetched == nil {
		return nil
	}
	t := *c.fetched
	chunks, bytes := t.ThereChunks, t.ThereBytes
	for peer := range m.cfg.Peers {
		if b := s.Bulk(peer); b != nil {
			n, size := b.AnnouncedFor(c.id)
			chunks, bytes = chunks+n, bytes+size
		}
	}
	t.SentChunks, t.SentBytes = min(chunks, t.Chunks), min(bytes, t.Bytes)
	return &t
}

func (t *Transfer) estimate(age time.Duration) {
	took := age.Seconds()
	if took <= 0 || t.ThereBytes <= 0 {
		return
	}
	t.RateBps = float64(t.ThereBytes) / took
	whole := t.Length
	if t.Body == BodyRequest || t.Body == BodyData && whole == 0 {
		whole = t.Bytes
	}
	t.LeftS = float64(max(whole-t.ThereBytes, 0)) / t.RateBps
}

// awaited is what one chunk that has not come is of a body: how often it is in there, and the bytes of content.
type awaited struct {
	chunks int
	bytes  int64
}

func (a *awaited) add(b awaited) { a.chunks, a.bytes = a.chunks+b.chunks, a.bytes+b.bytes }

// awaitedOf counts what each of the missing chunks is of a run of entries; names are those of the entries.
func awaitedOf(entries []chunk.Entry, names, missing []chunk.Name) map[chunk.Name]awaited {
	of := make(map[chunk.Name]awaited, len(missing))
	for _, n := range missing {
		of[n] = awaited{}
	}
	for i, n := range names {
		if a, is := of[n]; is {
			a.add(awaited{1, entries[i].Len})
			of[n] = a
		}
	}
	return of
}
