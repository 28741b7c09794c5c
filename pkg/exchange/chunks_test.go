package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/node/nodetest"
	"github.com/hoft/hoft/pkg/store"
)

// bad puts a bad pipe between a host and its folder, before the host is started.
func bad(h *host, fate func(n int, data []byte) ([]byte, bool)) *nodetest.BadPipe {
	p := &nodetest.BadPipe{}
	p.SetFate(fate)
	h.wrap = func(inner node.Pipe) node.Pipe { p.Pipe = inner; return p }
	return p
}

func badPair(t *testing.T, up exchange.Upstreams, fateA, fateB func(n int, data []byte) ([]byte, bool)) (a, b *host, pa, pb *nodetest.BadPipe) {
	t.Helper()
	a, b = apart(t, up)
	pa, pb = bad(a, fateA), bad(b, fateB)
	a.settle, b.settle = 20*time.Millisecond, 20*time.Millisecond
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	return a, b, pa, pb
}

// known makes sure that each side knows what the other takes.
func known(t *testing.T, a, b *host) {
	t.Helper()
	call(t, a, request(b, "GET", "/known", nil))
}

// Long bodies travel as chunks, both ways, and what the peer holds is not sent again.
func TestLongBodies(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b, pa, pb := badPair(t, up, nil, nil)
	known(t, a, b)
	body := randomBytes(6 << 20)
	for round := range 3 {
		r := request(b, "POST", fmt.Sprint("/", round), body)
		if round == 1 {
			r.Length, r.Body = -1, struct{ io.Reader }{r.Body} // chunked, as a stream
		}
		if round == 2 { // a changed copy
			body = append(append(body[:3<<20:3<<20], "something else"...), body[3<<20:]...)
			r = request(b, "PUT", "/2", body)
		}
		packs, before := pa.Count()
		_, back := pb.Count()
		_, got := call(t, a, r)
		if !bytes.Equal(got, body) {
			t.Fatalf("round %d: %d bytes came back of %d, or not the same", round, len(got), len(body))
		}
		packsNow, after := pa.Count()
		_, backNow := pb.Count()
		switch {
		case round == 0 && (packsNow == packs || after-before < int64(len(body)) || after-before > int64(len(body))*101/100):
			t.Errorf("first: %d packs, %d bytes", packsNow-packs, after-before)
		case round == 1 && after != before:
			t.Errorf("the same again: %d bytes of %d", after-before, len(body))
		case round == 2 && after-before > 5<<20:
			t.Errorf("a changed copy: %d bytes of %d", after-before, len(body))
		}
		// Where an answer is cut depends on the callee's pauses too, so that only its length is a bound.
		if backNow-back > int64(len(body))*101/100 {
			t.Errorf("answer %d: %d bytes", round, backNow-back)
		}
	}
	if n := b.chunks.Pinned(); n != 0 && !eventually(func() bool { return b.chunks.Pinned() == 0 }) {
		t.Errorf("%d chunks are still pinned at the callees' side", n)
	}
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

// With fresh nothing is equal to what was sent before.
func TestFreshChunks(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b, pa, _ := badPair(t, up, nil, nil)
	known(t, a, b)
	body := randomBytes(1 << 20)
	for range 2 {
		_, before := pa.Count()
		r := request(b, "POST", "/x", body)
		r.Fresh, r.Fixed = true, true
		if _, got := call(t, a, r); !bytes.Equal(got, body) {
			t.Fatal("not the same")
		}
		if _, after := pa.Count(); after-before < int64(len(body)) {
			t.Errorf("%d bytes written of a fresh body", after-before)
		}
	}
}

// A pipe that loses, cuts and damages packs: everything arrives, nothing wrong is used.
func TestBadPacks(t *testing.T) {
	fate := func(n int, data []byte) ([]byte, bool) {
		switch n % 5 {
		case 0:
			return data[:len(data)/2], false
		case 1:
			data[len(data)/2] ^= 4
		case 2:
			return nil, true
		case 3:
			data[3] ^= 1 // in the header of the first record
		}
		return data, false
	}
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b, _, _ := badPair(t, up, fate, fate)
	known(t, a, b)
	body := randomBytes(5 << 20)
	_, got := call(t, a, request(b, "POST", "/x", body))
	if !bytes.Equal(got, body) {
		t.Fatalf("%d bytes came back of %d, or not the same", len(got), len(body))
	}
}

// A site is killed while the packs are on their way: the transfer goes on where it was.
func TestCrashInTheMiddleOfATransfer(t *testing.T) {
	for name, victim := range map[string]func(a, b *host) *host{
		"sender":   func(a, _ *host) *host { return a },
		"receiver": func(_, b *host) *host { return b },
	} {
		t.Run(name, func(t *testing.T) {
			up := &callee{calls: map[string]int{}, slots: 4, do: echo}
			third := make(chan struct{})
			var open atomic.Bool
			fate := func(n int, data []byte) ([]byte, bool) {
				if n == 3 {
					close(third)
				}
				return data, n >= 3 && !open.Load() // nothing more comes through before the crash
			}
			a, b, pa, _ := badPair(t, up, fate, nil)
			a.pack = 1 << 20
			a.crash()
			a.start()
			known(t, a, b)
			body := randomBytes(12 << 20)
			ids := make(chan exchange.ID, 1)
			go func() {
				if resp, err := a.m.Call(context.Background(), request(b, "POST", "/x", body), longWait, func(id exchange.ID) { ids <- id }); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body) // as a caller does: else the window holds the answer back
				}
			}()
			id := <-ids
			<-third
			v := victim(a, b)
			v.crash()
			open.Store(true)
			v.start()
			resp := awaitResult(t, a, id)
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, body) || up.count("/x") != 1 {
				t.Fatalf("%d bytes, %v, after %d calls", len(got), err, up.count("/x"))
			}
			if _, n := pa.Count(); n > int64(len(body))*2 {
				t.Errorf("%d bytes written for %d", n, len(body))
			}
		})
	}
}

// The receiver has evicted what the sender takes for held: it asks. The sender has lost it: the call fails.
func TestEvictedChunks(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b, pa, _ := badPair(t, up, nil, nil)
	known(t, a, b)
	body := randomBytes(3 << 20)
	call(t, a, request(b, "POST", "/x", body))
	sent := map[chunk.Name]bool{}
	for _, n := range a.chunks.Names() {
		sent[n] = true
	}
	var evicted []chunk.Name
	for _, n := range b.chunks.Names() {
		if sent[n] && b.chunks.Damage(n, true) == nil {
			evicted = append(evicted, n)
		}
	}
	_, before := pa.Count()
	if _, got := call(t, a, request(b, "POST", "/x", body)); !bytes.Equal(got, body) {
		t.Fatal("not the same")
	}
	if _, after := pa.Count(); after-before < int64(len(body)) {
		t.Errorf("%d bytes sent for %d that were evicted", after-before, len(body))
	}
	for _, n := range evicted {
		if b.chunks.Damage(n, true) != nil {
			continue
		}
	}
	ids := make(chan exchange.ID, 1)
	over := make(chan error, 1)
	go func() {
		_, err := a.m.Call(context.Background(), request(b, "POST", "/y", body), longWait, func(id exchange.ID) {
			for _, n := range evicted {
				_ = a.chunks.Damage(n, false)
			}
			ids <- id
		})
		over <- err
	}()
	<-ids
	var p *exchange.Problem
	if err := <-over; !errors.As(err, &p) || p.Code != exchange.CodeChunksGone || up.count("/y") != 0 {
		t.Fatalf("%v after %d calls", err, up.count("/y"))
	}
}

// A callee that streams: small pieces come at once, long runs as chunks, in order.
func TestStreamedAnswer(t *testing.T) {
	long := randomBytes(3 << 20)
	pr, pw := io.Pipe()
	up := &callee{calls: map[string]int{}, slots: 4}
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		if r.Target == "/known" {
			return echo(r, body)
		}
		return &exchange.Response{Status: 200, Length: -1, Body: pr, Trailers: func() exchange.Fields { return exchange.Fields{{Name: "X-Sum", Value: "1"}} }}
	}
	a, b, _, _ := badPair(t, up, nil, nil)
	known(t, a, b)
	resp, err := a.m.Call(t.Context(), request(b, "GET", "/s", nil), longWait, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i, piece := range [][]byte{[]byte("small"), long, []byte("again small"), long[:100_000], long} {
		go func() { _, _ = pw.Write(piece) }()
		got := make([]byte, len(piece))
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, piece) {
			t.Fatalf("piece %d: %v", i, err)
		}
	}
	_ = pw.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) != 0 || err != nil {
		t.Fatalf("%d bytes more, %v", len(rest), err)
	}
	if tr := resp.Trailers(); len(tr) != 1 || tr[0].Name != "X-Sum" {
		t.Errorf("trailers %v", tr)
	}
}

// A caller that does not read holds the callee back; one that leaves ends it.
func TestWindow(t *testing.T) {
	var produced atomic.Int64
	ended := make(chan struct{})
	up := &callee{calls: map[string]int{}, slots: 4}
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		if r.Target == "/known" {
			return echo(r, body)
		}
		return &exchange.Response{Status: 200, Length: -1, Body: &endless{n: &produced, ended: ended}}
	}
	a, b, _, _ := badPair(t, up, nil, nil)
	known(t, a, b)
	resp, err := a.m.Call(t.Context(), request(b, "GET", "/endless", nil), longWait, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	if !eventually(func() bool { // it stands still
		n := produced.Load()
		still := n == last
		last = n
		time.Sleep(50 * time.Millisecond) // between two looks; that nothing more is produced no event tells
		return still
	}) || last > 6<<20 {
		t.Fatalf("%d bytes were produced for a caller that has read none", last)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 20<<20); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case <-ended:
	case <-time.After(longWait):
		t.Fatal("the callee's answer was not ended")
	}
}

// endless is a body without an end.
type endless struct {
	n     *atomic.Int64
	at    int64
	ended chan struct{}
	once  sync.Once
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.ended:
		return 0, io.ErrClosedPipe
	default:
	}
	for i := range p {
		p[i] = byte(e.at * 2654435761 >> 13)
		e.at++
	}
	e.n.Add(int64(len(p)))
	return len(p), nil
}

func (e *endless) Close() error {
	e.once.Do(func() { close(e.ended) })
	return nil
}

// An upload that breaks off leaves nothing.
func TestUploadBreaksOff(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b, _, _ := badPair(t, up, nil, nil)
	known(t, a, b)
	r := request(b, "POST", "/x", randomBytes(2<<20))
	r.Body = io.MultiReader(r.Body, brokenReader{})
	r.Length = 4 << 20
	_, err := a.m.Call(t.Context(), r, longWait, nil)
	var p *exchange.Problem
	if !errors.As(err, &p) || p.Code != exchange.CodeBadRequest || !strings.Contains(p.Detail, "broke off") {
		t.Fatal(err)
	}
	if !eventually(func() bool { return a.chunks.Pinned() == 0 && b.chunks.Pinned() == 0 }) {
		t.Errorf("pinned: %d and %d", a.chunks.Pinned(), b.chunks.Pinned())
	}
	if up.count("/x") != 0 {
		t.Error("the callee was called")
	}
}

// The callees' side loses its state in the middle of an upload: what it had of the body is sent again.
func TestUploadGoesOnWhenTheCalleesSideLosesItsState(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b := pair(t, up)
	known(t, a, b)
	body, w := io.Pipe()
	r := request(b, "POST", "/x", nil)
	r.Exchange, r.Length, r.Body = exchange.NewID(time.Now()), -1, body
	const first = 6 << 20
	text := randomBytes(first + 1<<20)
	go func() {
		_, _ = w.Write(text[:first])
		if !eventually(func() bool { return partAcked(a, r.Exchange) }) {
			t.Error("nothing of the body was acked")
		}
		b.crash()
		b.db, b.chunks = store.NewMem(), nodetest.NewChunks()
		b.start()
		_, _ = a.m.Call(context.Background(), request(b, "GET", "/known", nil), longWait, nil) // now this side knows of it
		_, _ = w.Write(text[first:])
		_ = w.Close()
	}()
	_, got := call(t, a, r)
	if !bytes.Equal(got, text) || up.count("/x") != 1 {
		t.Errorf("%d bytes of %d, after %d calls", len(got), len(text), up.count("/x"))
	}
}

// partAcked says whether the other side has acked a part of a request's body.
func partAcked(h *host, id exchange.ID) bool {
	rows, err := h.db.OutboxExchange(context.Background(), id)
	return err == nil && slices.ContainsFunc(rows, func(r store.Out) bool { return r.Kind == frame.KindBody && !r.Acked.IsZero() })
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
