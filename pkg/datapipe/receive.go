package datapipe

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

// SendUpstream is the upstream by which a peer has this site take data: PUT with the data map as the body. What is
// missing here is fetched from that peer, so only that travels. No upstream of a configuration can have this name.
const SendUpstream = ".data"

// Keeper keeps data for somebody; it returns when that is durable. All of the data is here, and pinned meanwhile.
type Keeper interface {
	// KeepFor keeps the data of a map for a peer; until when is given back.
	KeepFor(ctx context.Context, m *chunk.Map, peer string) (until time.Time, p *exchange.Problem)
}

// Receiver puts SendUpstream before the upstreams of a site. Inner is nil where the site makes no calls.
type Receiver struct {
	Inner exchange.Upstreams
	pipe  *Pipe
	keep  Keeper
}

var _ exchange.Upstreams = (*Receiver)(nil)

const (
	// receiveSlots is how many peers' data is taken at once.
	receiveSlots = 8
	// mapMost bounds the JSON of a map that a peer sends, in bytes.
	mapMost = 16 << 10
)

// Receive has a Receiver take data; before the node runs.
func (p *Pipe) Receive(r *Receiver, k Keeper) { r.pipe, r.keep = p, k }

// Admit implements exchange.Upstreams.
func (r *Receiver) Admit(q *exchange.Request) *exchange.Problem {
	switch {
	case q.Upstream != SendUpstream && r.Inner != nil:
		return r.Inner.Admit(q)
	case q.Upstream != SendUpstream:
		return exchange.Problemf(exchange.CodeNoUpstream, "this site makes no calls")
	case r.pipe.o.Allowed != nil && !r.pipe.o.Allowed(q.Peer):
		return exchange.Problemf(exchange.CodeDenied, "this site takes no data from you; see its data.peers")
	case q.Method != http.MethodPut || q.Size > mapMost:
		return exchange.Problemf(exchange.CodeBadRequest, "data is sent by PUT of its map, of at most %d bytes", mapMost)
	}
	return nil
}

// Slots implements exchange.Upstreams.
func (r *Receiver) Slots(upstream string) int {
	switch {
	case upstream == SendUpstream:
		return receiveSlots
	case r.Inner != nil:
		return r.Inner.Slots(upstream)
	}
	return 0
}

// Do implements exchange.Upstreams.
func (r *Receiver) Do(ctx context.Context, q *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	if q.Upstream != SendUpstream {
		return r.Inner.Do(ctx, q)
	}
	began := time.Now()
	resp, p := r.take(ctx, q)
	if p != nil {
		return nil, true, p
	}
	resp.Callee.Duration = time.Since(began)
	return resp, true, nil
}

// received is what the sender is told.
type received struct {
	Size    int64     `json:"size"`    // bytes of the data
	Fetched int64     `json:"fetched"` // bytes of data in the chunks that were not here before
	Until   time.Time `json:"until,omitzero"`
}

// take brings the data here and has it kept.
func (r *Receiver) take(ctx context.Context, q *exchange.Request) (*exchange.Response, *exchange.Problem) {
	if q.Body == nil {
		return nil, exchange.Problemf(exchange.CodeDataMap, "the body is to be a data map")
	}
	text, err := io.ReadAll(io.LimitReader(q.Body, mapMost+1))
	if err != nil {
		return nil, exchange.Problemf(exchange.CodeBadRequest, "the map broke off")
	}
	m, err := chunk.ParseMap(text)
	if err != nil {
		return nil, exchange.Problemf(exchange.CodeDataMap, "%v", err)
	}
	size := m.Size()
	if most := r.pipe.o.MaxFetch; most > 0 && size > most {
		return nil, exchange.Problemf(exchange.CodeTooLarge, "%d bytes are more than this site takes at a time, %d; its chunks.max_bytes bounds it", size, most)
	}
	r.pipe.mu.Lock()
	p := r.pipe.enter(size)
	r.pipe.mu.Unlock()
	if p != nil {
		return nil, p
	}
	defer func() {
		r.pipe.mu.Lock()
		r.pipe.busy -= size
		r.pipe.mu.Unlock()
	}()
	var owner chunk.Owner
	_, _ = rand.Read(owner[:]) // never fails
	defer r.pipe.o.Chunks.Unpin(owner)
	peers := []identity.ID{q.Peer}
	f := r.pipe.newFetch(exchange.Beside(q.Exchange), owner, peers)
	if err := f.run(ctx, m, 0, size); err != nil {
		return nil, r.pipe.problem(ctx, err, peers)
	}
	until, p := r.keep.KeepFor(ctx, &m, r.pipe.name(q.Peer))
	if p != nil {
		return nil, p
	}
	body, err := json.Marshal(received{Size: size, Fetched: f.got, Until: until.UTC()})
	if err != nil {
		return nil, exchange.Problemf(exchange.CodeInternal, "%v", err)
	}
	return &exchange.Response{Status: http.StatusOK, Fields: exchange.Fields{{Name: "Content-Type", Value: "application/json"}},
		Length: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)), Trailers: func() exchange.Fields { return nil }}, nil
}

// Send has a peer take data that is here, as an exchange (see exchange.Caller.Call): its answer says how much travelled.
func (p *Pipe) Send(ctx context.Context, m *chunk.Map, to, owner, client string, wait time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
	peers, problem := p.asking(to)
	if problem != nil {
		return nil, problem
	}
	text, err := m.Encode()
	if err != nil {
		return nil, err
	}
	now := p.o.Now()
	return p.Call(ctx, &exchange.Request{Exchange: p.o.NewID(now), Peer: peers[0], Upstream: SendUpstream, Method: http.MethodPut, Target: "/data", Scheme: "hoft", Host: "data",
		Length: int64(len(text)), Body: bytes.NewReader(text), NoCompress: true, Owner: owner, Client: client, Deadline: now.Add(p.o.GiveUp)}, wait, accepted)
}
