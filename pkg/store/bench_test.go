package store_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// callOps is the number of changes that callBatch makes.
const callOps = 10

// callBatch makes what an ingress commits around one call of 1 KiB, in one batch: the call, its
// message, the answer, the acks, and the purge of a call some way back.
func callBatch(n uint64, data []byte) *store.Batch {
	peer := identity.ID{1}
	id := func(n uint64) (x [16]byte) {
		binary.BigEndian.PutUint64(x[:], n)
		x[15] = 1
		return x
	}
	now := time.UnixMilli(1_763_798_400_000 + int64(n))
	state, stage := "succeeded", "returned"
	var b store.Batch
	b.PutExchange(store.Exchange{ID: id(n), Peer: peer, Upstream: "orders", Method: "POST", Target: "/v2/items", Stage: "accepted",
		State: store.StateRunning, Created: now})
	b.AddOutbox(store.Out{Peer: peer, ID: n, Kind: frame.KindReq, Prio: 1, Exchange: id(n), Keep: true, Data: data, Created: now})
	b.AddSent(store.Sent{Peer: peer, Seq: n, Nonce: "0123456789012345678901", At: now, IDs: frame.Ranges{{n, n}}, Size: 1500})
	b.AckOutbox(peer, frame.Ranges{{n, n}}, now)
	b.MarkSent(peer, frame.Ranges{{n, n}}, store.SentAcked)
	b.AddInbox(store.In{Peer: peer, PeerEpoch: 1, ID: n, Kind: frame.KindRes, Exchange: id(n), Data: data[:100], Body: data,
		SentAt: now, Received: now})
	b.SetInbox(peer, 1, n, store.InHandled, 1)
	b.PatchExchange(id(n), store.SideIngress, store.Patch{Stage: &stage, State: &state, Ended: &now})
	b.PutLink(store.Link{Peer: peer, Epoch: 1, PeerEpoch: 1, LastID: n, Contig: n, AckedContig: n, SeqReserved: n + 1000})
	if n > 1000 {
		b.PurgeExchange(id(n - 1000))
	} else {
		b.PurgeExchange(id(math.MaxUint64))
	}
	return &b
}

func benchData(b *testing.B) []byte {
	data := make([]byte, 1024)
	if _, err := rand.Read(data); err != nil {
		b.Fatal(err)
	}
	return data
}

// BenchmarkCommit gives the cost of one batch of ten changes, committed alone (one sync each) or by
// callers at the same time (group commit), with the longest wait of a caller.
func BenchmarkCommit(b *testing.B) {
	for _, bb := range []struct {
		name    string
		callers int
	}{{"alone", 1}, {"callers=64", 64}} {
		b.Run(bb.name, func(b *testing.B) {
			s := open(b, b.TempDir())
			defer s.Close()
			data := benchData(b)
			var n atomic.Uint64
			var wg sync.WaitGroup
			waits := make([][]time.Duration, bb.callers)
			b.ReportAllocs()
			b.ResetTimer()
			for c := range bb.callers {
				wg.Go(func() {
					for i := n.Add(1); i <= uint64(b.N); i = n.Add(1) {
						t := time.Now()
						if err := s.Commit(context.Background(), callBatch(i, data)); err != nil {
							b.Error(err)
							return
						}
						waits[c] = append(waits[c], time.Since(t))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Sorted(slices.Values(slices.Concat(waits...)))
			b.ReportMetric(float64(b.N*callOps)/b.Elapsed().Seconds(), "changes/s")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(all[len(all)-1].Microseconds()), "max-µs")
		})
	}
}

// BenchmarkRead gives the cost of reading one exchange.
func BenchmarkRead(b *testing.B) {
	s := open(b, b.TempDir())
	defer s.Close()
	if err := s.Commit(context.Background(), callBatch(1, benchData(b))); err != nil {
		b.Fatal(err)
	}
	id := [16]byte{7: 1, 15: 1}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Exchange(ctx, id, store.SideIngress); err != nil {
			b.Fatal(err)
		}
	}
}
