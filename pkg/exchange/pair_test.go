package exchange_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/node/nodetest"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/store"
)

// callee is what the far side calls: a function instead of a server.
type callee struct {
	mu    sync.Mutex
	calls map[string]int // by target
	do    func(r *exchange.Request, body []byte) *exchange.Response
	slots int
}

func (c *callee) Admit(r *exchange.Request) *exchange.Problem {
	if r.Upstream != "orders" {
		return exchange.Problemf(exchange.CodeNoUpstream, "no upstream %q", r.Upstream)
	}
	return nil
}

func (c *callee) Slots(string) int { return c.slots }

func (c *callee) Do(ctx context.Context, r *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, false, exchange.Problemf(exchange.CodeInternal, "%v", err)
		}
	}
	c.mu.Lock()
	c.calls[r.Target]++
	c.mu.Unlock()
	resp := c.do(r, body)
	if resp == nil {
		<-ctx.Done()
		return nil, true, exchange.Problemf(exchange.CodeCalleeBroken, "ended")
	}
	return resp, true, nil
}

func (c *callee) count(target string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[target]
}

func echo(r *exchange.Request, body []byte) *exchange.Response {
	return &exchange.Response{Status: 200, Fields: exchange.Fields{{Name: "X-Method", Value: r.Method}}, Length: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body))}
}

// host is one site on its own disk in memory; it can be stopped and started again.
type host struct {
	t        *testing.T
	self     *identity.Site
	peer     *identity.Peer
	db       *store.Mem
	out      *pipe.MemFolder
	in       *pipe.MemFolder
	up       exchange.Upstreams
	chunks   *nodetest.Chunks
	secret   chunk.Secret
	keep     time.Duration // Config.Remember; 0: an hour
	settle   time.Duration // pipe.Options.Settle; 0: 5 s
	wrap     func(node.Pipe) node.Pipe
	pack     int64         // bulk.Config.PackBytes
	ttl      time.Duration // Config.TTL; 0: an hour
	most     int64         // Config.MaxBytes
	share    int64         // Config.Share
	flight   exchange.Flight
	limits   node.Limits
	quota    bulk.Config                     // its ExchangeBytes and PeerBytes
	wait     time.Duration                   // Config.FullPatience
	ackDelay time.Duration                   // link.Config.AckDelay; 0: as usual
	signed   bool                            // the link is in signed mode
	bare     bool                            // it takes no packs: bodies travel in messages alone
	now      func() time.Time                // Config.Now; nil: time.Now
	reads    func(store.Reader) store.Reader // what the manager reads its store by; nil: by itself
	m        *exchange.Manager
	n        *node.Node
	cancel   context.CancelFunc
	done     chan error
}

func (h *host) start() {
	h.t.Helper()
	self := seal.Self{ID: h.self.ID(), Enc: map[string]*ecdsa.PrivateKey{}}
	self.SigKid, self.Sig = h.self.SigKey()
	for _, k := range h.self.Keys() {
		if key, ok := h.self.EncKey(k.KID); ok {
			self.Enc[k.KID] = key
		}
	}
	peer := seal.Peer{ID: h.peer.ID, Name: h.peer.Name, Sig: map[string]ed25519.PublicKey{}}
	for _, k := range h.peer.Sig {
		peer.Sig[k.KID] = k.Key
	}
	enc, _ := h.peer.EncKey()
	peer.EncKid, peer.Enc, peer.Signed = enc.KID, enc.Key, h.signed
	sealer, err := seal.NewSealer(self, peer)
	if err != nil {
		h.t.Fatal(err)
	}
	opener, err := seal.NewOpener(self, []seal.Peer{peer})
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := pipe.OpenMem(pipe.Options{Self: h.self.ID(), Peers: []identity.ID{h.peer.ID}, Outbox: "/o", Inbox: "/i",
		PollMin: time.Millisecond, PollMax: 5 * time.Millisecond, Settle: cmp.Or(h.settle, 5*time.Second)}, h.out, h.in)
	if err != nil {
		h.t.Fatal(err)
	}
	files := node.Pipe(p)
	if h.wrap != nil {
		files = h.wrap(p)
	}
	log := zerolog.New(zerolog.NewTestWriter(h.t)).Level(zerolog.WarnLevel)
	var chunks node.Chunks
	var kept exchange.Chunks
	if !h.bare {
		chunks, kept = h.chunks, h.chunks
	}
	h.n = node.New(node.Options{Self: h.self.ID(), Peers: []node.Peer{{ID: h.peer.ID, Name: h.peer.Name, Sealer: sealer, Signed: h.signed}}, Opener: opener,
		Pipe: files, Store: h.db, Log: log, Limits: h.limits, Link: link.Config{Caps: exchange.Caps(!h.bare), AckDelay: h.ackDelay}, Chunks: chunks, Bulk: bulk.Config{PackBytes: h.pack, ExchangeBytes: h.quota.ExchangeBytes, PeerBytes: h.quota.PeerBytes}})
	read := store.Reader(h.db)
	if h.reads != nil {
		read = h.reads(h.db)
	}
	h.m = exchange.NewManager(exchange.Config{Peers: map[identity.ID]string{h.peer.ID: h.peer.Name}, Upstreams: h.up, TTL: cmp.Or(h.ttl, time.Hour), MaxBytes: h.most, Share: h.share,
		Flight: h.flight, Remember: cmp.Or(h.keep, time.Hour), Log: log, Now: h.now, Chunks: kept, FullPatience: h.wait,
		Signed: map[identity.ID]bool{h.peer.ID: h.signed}, Sealer: func(identity.ID) (*chunk.Sealer, error) {
			if h.signed {
				return chunk.NewPlainSealer()
			}
			return chunk.NewSealer(h.secret), nil
		}}, h.n, read)
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.done = cancel, make(chan error, 1)
	go func() { h.done <- h.n.Run(ctx, h.m) }()
	select {
	case <-h.n.Ready():
	case err := <-h.done:
		h.t.Fatal("node ended: ", err)
	}
}

func (h *host) stop() {
	h.m.Close()
	h.cancel()
	if err := <-h.done; err != nil {
		h.t.Error(err)
	}
}

// crash ends the host as a power cut does: what was not committed is gone.
func (h *host) crash() {
	disk := h.db.Clone()
	h.db.Close()
	h.m.Close()
	h.cancel()
	<-h.done
	h.db, h.chunks = disk, h.chunks.Clone()
}

func pair(t *testing.T, up exchange.Upstreams) (a, b *host) {
	t.Helper()
	a, b = apart(t, up)
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	return a, b
}

// apart is a pair that is not started yet.
func apart(t *testing.T, up exchange.Upstreams) (a, b *host) {
	t.Helper()
	sa, err := identity.Generate("site-a")
	if err != nil {
		t.Fatal(err)
	}
	sb, err := identity.Generate("site-b")
	if err != nil {
		t.Fatal(err)
	}
	ab, ba := pipe.NewMemFolder(nil), pipe.NewMemFolder(nil)
	a = &host{t: t, self: sa, peer: sb.Public(), db: store.NewMem(), out: ab, in: ba, chunks: nodetest.NewChunks(), secret: chunk.Secret{1}}
	b = &host{t: t, self: sb, peer: sa.Public(), db: store.NewMem(), out: ba, in: ab, up: up, chunks: nodetest.NewChunks(), secret: chunk.Secret{2}}
	return a, b
}

func request(to *host, method, target string, body []byte) *exchange.Request {
	r := &exchange.Request{Peer: to.self.ID(), Upstream: "orders", Method: method, Target: target, Scheme: "http", Host: "h", Length: int64(len(body))}
	if len(body) > 0 {
		r.Body = bytes.NewReader(body)
	}
	return r
}

const longWait = time.Minute // a guard only: nothing is expected to take it

func call(t *testing.T, a *host, r *exchange.Request) (*exchange.Response, []byte) {
	t.Helper()
	resp, err := a.m.Call(t.Context(), r, longWait, nil)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: body: %v", r.Method, r.Target, err)
	}
	return resp, body
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return b
}

// awaitResult waits for the stored answer.
func awaitResult(t *testing.T, a *host, id exchange.ID) *exchange.Response {
	t.Helper()
	resp, err := outcome(t, a, id)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// outcome waits until the exchange has ended.
func outcome(t *testing.T, a *host, id exchange.ID) (*exchange.Response, error) {
	t.Helper()
	guard := time.After(longWait)
	for {
		resp, err := a.m.Result(t.Context(), id)
		if !errors.Is(err, exchange.ErrPending) {
			return resp, err
		}
		select {
		case <-guard:
			t.Fatal("accepted, but neither answered nor reported")
		case <-time.After(time.Millisecond):
		}
	}
}

func checkOutcome(t *testing.T, err error, calls int) {
	t.Helper()
	var p *exchange.Problem
	switch {
	case err == nil && calls == 1:
	case errors.As(err, &p) && p.Code == exchange.CodeUncertain && calls <= 1:
	default:
		t.Errorf("%v after %d calls", err, calls)
	}
}
