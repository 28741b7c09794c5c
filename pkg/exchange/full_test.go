package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/node"
)

// fullPair is a pair in which one side may be short of room.
func fullPair(t *testing.T, up exchange.Upstreams, set func(a, b *host)) (a, b *host) {
	t.Helper()
	a, b = apart(t, up)
	a.settle, b.settle = 20*time.Millisecond, 20*time.Millisecond
	set(a, b)
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	known(t, a, b)
	return a, b
}

func wantProblem(t *testing.T, err error, code, says string) {
	t.Helper()
	var p *exchange.Problem
	if !errors.As(err, &p) || p.Code != code || !strings.Contains(p.Detail, says) {
		t.Fatalf("%v, want %s that says %q", err, code, says)
	}
}

// charged is how many bytes of a host's store the bodies of another take.
func charged(t *testing.T, h, peer *host) (n int64) {
	t.Helper()
	if err := h.n.View(t.Context(), func(c *node.Core, _ time.Time) { n = c.Bulk(peer.self.ID()).View().ChargedFor }); err != nil {
		t.Fatal(err)
	}
	return n
}

func nothingPinned(t *testing.T, a, b *host) {
	t.Helper()
	if !eventually(func() bool { return a.chunks.Pinned() == 0 && b.chunks.Pinned() == 0 }) {
		t.Errorf("pinned: %d and %d", a.chunks.Pinned(), b.chunks.Pinned())
	}
}

// A store without room fails the call after some time, with a reason; when there is room in time the call succeeds.
func TestFullStores(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b := fullPair(t, up, func(_, b *host) { b.wait = 100 * time.Millisecond })
	body := randomBytes(3 << 20)

	b.chunks.SetFull(true)
	_, err := a.m.Call(t.Context(), request(b, "POST", "/full", body), longWait, nil)
	wantProblem(t, err, exchange.CodeStorageFull, "the callees' side")
	if up.count("/full") != 0 {
		t.Error("the callee was called")
	}
	nothingPinned(t, a, b)

	a.chunks.SetFull(true)
	_, err = a.m.Call(t.Context(), request(b, "POST", "/here", randomBytes(4<<20)), longWait, nil)
	wantProblem(t, err, exchange.CodeStorageFull, "this site")
	a.chunks.SetFull(false)
	b.chunks.SetFull(false)
	nothingPinned(t, a, b)
	if _, got := call(t, a, request(b, "POST", "/x", body)); !bytes.Equal(got, body) {
		t.Error("not the same")
	}
}

// The same where the answer finds no room: the caller hears of it, and the callee's request is ended.
func TestFullStoreForAnAnswer(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4}
	ended := make(chan struct{})
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		if r.Target == "/known" {
			return echo(r, body)
		}
		return &exchange.Response{Status: 200, Length: -1, Body: &endless{n: new(atomic.Int64), ended: ended}}
	}
	a, b := fullPair(t, up, func(a, _ *host) { a.wait = 100 * time.Millisecond })
	a.chunks.SetFull(true)
	resp, err := a.m.Call(t.Context(), request(b, "GET", "/endless", nil), longWait, nil)
	if err == nil {
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
	}
	var abort *exchange.Abort
	var p *exchange.Problem
	switch {
	case errors.As(err, &abort) && strings.Contains(abort.Reason, "the callers' side"):
	case errors.As(err, &p) && p.Code == exchange.CodeStorageFull:
	default:
		t.Errorf("%v", err)
	}
	select {
	case <-ended:
	case <-time.After(longWait):
		t.Fatal("the callee's answer was not ended")
	}
	nothingPinned(t, a, b)
}

// A body above the quota of an exchange is refused while it is still being uploaded; what all bodies of a peer take
// together is bounded too; below that all is well.
func TestQuotas(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b := fullPair(t, up, func(_, b *host) { b.quota = bulk.Config{ExchangeBytes: 24 << 20, PeerBytes: 26 << 20} })
	if _, got := call(t, a, request(b, "POST", "/fits", randomBytes(3<<20))); len(got) != 3<<20 {
		t.Error("a body below the quota did not come back")
	}
	r := request(b, "POST", "/endless", nil)
	r.Length, r.Body = -1, rand.NewChaCha8([32]byte{5}) // never ends, and nothing in it is equal to anything else
	_, err := a.m.Call(t.Context(), r, longWait, nil)
	wantProblem(t, err, exchange.CodeChunkQuota, "the callees' side")
	nothingPinned(t, a, b)

	// Two bodies that fit each, and not together: the first is held open by its upload.
	pr, pw := io.Pipe()
	first := request(b, "POST", "/slow", nil)
	first.Length, first.Body = -1, pr
	over := make(chan error, 1)
	go func() {
		resp, err := a.m.Call(context.Background(), first, longWait, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		over <- err
	}()
	part := randomBytes(10<<20 + 500) // its first shipment travels while the rest is still to come
	if _, err := pw.Write(part); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return charged(t, b, a) >= 4<<20 }) {
		t.Fatal("the first body does not come")
	}
	_, err = a.m.Call(t.Context(), request(b, "POST", "/second", randomBytes(23<<20+900)), longWait, nil)
	wantProblem(t, err, exchange.CodeChunkQuota, "all calls with this peer")
	_ = pw.Close()
	if err := <-over; err != nil {
		t.Error("the body that came first: ", err)
	}
	if up.count("/endless")+up.count("/second") != 0 || up.count("/slow") != 1 {
		t.Error("wrong calls were made")
	}
	nothingPinned(t, a, b)
	if !eventually(func() bool { return charged(t, b, a) == 0 }) {
		t.Errorf("%d bytes are still charged when all is over", charged(t, b, a))
	}
}
