package datapipe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/node/nodetest"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/store"
)

func TestMain(m *testing.M) { leaks.Main(m) }

const longWait = time.Minute // a guard only: nothing is expected to take it

// host is one site on its own disk in memory; it can be stopped and started again.
type host struct {
	t       *testing.T
	self    *identity.Site
	peer    *identity.Peer
	db      *store.Mem
	out, in *pipe.MemFolder
	chunks  *nodetest.Chunks
	caps    []string
	allowed func(identity.ID) bool
	most    int64       // Options.MaxFetch
	kept    chan string // who had data kept here, and how much
	pipe    nodetest.BadPipe
	m       *exchange.Manager
	p       *datapipe.Pipe
	n       *node.Node
	cancel  context.CancelFunc
	done    chan error
	down    bool
}

func (h *host) written() int64 {
	_, n := h.pipe.Count()
	return n
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
	peer.EncKid, peer.Enc = enc.KID, enc.Key
	sealer, err := seal.NewSealer(self, peer)
	if err != nil {
		h.t.Fatal(err)
	}
	opener, err := seal.NewOpener(self, []seal.Peer{peer})
	if err != nil {
		h.t.Fatal(err)
	}
	inner, err := pipe.OpenMem(pipe.Options{Self: h.self.ID(), Peers: []identity.ID{h.peer.ID}, Outbox: "/o", Inbox: "/i",
		PollMin: time.Millisecond, PollMax: 5 * time.Millisecond, Settle: 20 * time.Millisecond}, h.out, h.in)
	if err != nil {
		h.t.Fatal(err)
	}
	h.pipe.Pipe = inner
	log := zerolog.New(zerolog.NewTestWriter(h.t)).Level(zerolog.WarnLevel)
	caps := h.caps
	if caps == nil {
		caps = exchange.Caps(true)
	}
	h.n = node.New(node.Options{Self: h.self.ID(), Peers: []node.Peer{{ID: h.peer.ID, Name: h.peer.Name, Sealer: sealer}}, Opener: opener,
		Pipe: &h.pipe, Store: h.db, Log: log, Link: link.Config{Caps: caps}, Chunks: h.chunks})
	in := &datapipe.Receiver{}
	h.m = exchange.NewManager(exchange.Config{Peers: map[identity.ID]string{h.peer.ID: h.peer.Name}, TTL: time.Hour, Remember: time.Hour,
		Upstreams: in, Log: log, Chunks: h.chunks, Sealer: func(identity.ID) (*chunk.Sealer, error) { return chunk.NewSealer(chunk.Secret{9}), nil }}, h.n, h.db)
	h.p = datapipe.New(datapipe.Options{Peers: []datapipe.Peer{{ID: h.peer.ID, Name: h.peer.Name}}, Chunks: h.chunks, Store: h.db,
		Allowed: h.allowed, MaxFetch: h.most, Log: log}, h.m, h.n)
	h.p.Receive(in, h)
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.done, h.down = cancel, make(chan error, 1), false
	go func() { h.done <- h.n.Run(ctx, h.p) }()
	select {
	case <-h.n.Ready():
	case err := <-h.done:
		h.t.Fatal("node ended: ", err)
	}
}

func (h *host) stop() {
	if h.down {
		return
	}
	h.down = true
	h.p.Close()
	h.m.Close()
	h.cancel()
	if err := <-h.done; err != nil {
		h.t.Error(err)
	}
}

// KeepFor implements datapipe.Keeper.
func (h *host) KeepFor(_ context.Context, m *chunk.Map, peer string) (time.Time, *exchange.Problem) {
	if h.most < 0 {
		return time.Time{}, exchange.Problemf(exchange.CodeDataFull, "no room")
	}
	h.kept <- fmt.Sprint(peer, " ", m.Size())
	return time.Unix(2_000_000_000, 0), nil
}

// crash ends the host as a power cut does: what was not committed is gone.
func (h *host) crash() {
	disk := h.db.Clone()
	h.db.Close()
	h.p.Close()
	h.m.Close()
	h.cancel()
	<-h.done
	h.down = true
	h.db, h.chunks = disk, h.chunks.Clone()
}

// apart is a pair of sites that are not started yet: data is stored at a and read at b.
func apart(t *testing.T) (a, b *host) {
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
	a = &host{t: t, self: sa, peer: sb.Public(), db: store.NewMem(), out: ab, in: ba, chunks: nodetest.NewChunks(), down: true, kept: make(chan string, 9)}
	b = &host{t: t, self: sb, peer: sa.Public(), db: store.NewMem(), out: ba, in: ab, chunks: nodetest.NewChunks(), down: true, kept: make(chan string, 9)}
	t.Cleanup(func() { a.stop(); b.stop() })
	return a, b
}

func pair(t *testing.T) (a, b *host) {
	t.Helper()
	a, b = apart(t)
	a.start()
	b.start()
	return a, b
}

// keep stores data as the Data API does, in fixed chunks of a MiB, and gives its map.
func (h *host) keep(data []byte) chunk.Map {
	h.t.Helper()
	w := chunk.NewWriter(h.t.Context(), chunk.NewSealer(chunk.Secret{7}), chunk.WriterOptions{Fixed: true}, func(_ chunk.Entry, r chunk.Record, ct []byte) error {
		return h.chunks.Put(r, ct)
	})
	if _, err := w.Write(data); err != nil {
		h.t.Fatal(err)
	}
	m, err := w.Close()
	if err != nil {
		h.t.Fatal(err)
	}
	_ = h.chunks.Sync(context.Background())
	return m
}

// read brings a range to a host and reads it there.
func (h *host) read(m chunk.Map, off, n int64) []byte {
	h.t.Helper()
	_, release, err := h.p.Bring(h.t.Context(), &datapipe.Request{Map: m, Off: off, N: n}, longWait)
	if err != nil {
		h.t.Fatalf("%d bytes from %d: %v", n, off, err)
	}
	defer release()
	return h.open(m, off, n)
}

func (h *host) open(m chunk.Map, off, n int64) []byte {
	h.t.Helper()
	b := make([]byte, n)
	if err := chunk.ReadAt(context.Background(), m, h.chunks, b, off); err != nil {
		h.t.Fatalf("%d bytes from %d: %v", n, off, err)
	}
	return b
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return b
}

// eventually waits for what another goroutine is about to do.
func eventually(cond func() bool) bool {
	for end := time.Now().Add(longWait); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cond() {
			return true
		}
	}
	return false
}
