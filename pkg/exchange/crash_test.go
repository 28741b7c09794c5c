package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// A crash of the callees' side in the middle of a call: a GET is made again, a POST ends uncertain.
func TestCrashDuringTheCall(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			began := make(chan struct{}, 2)
			first := true
			up := &callee{calls: map[string]int{}, slots: 1}
			up.do = func(r *exchange.Request, body []byte) *exchange.Response {
				began <- struct{}{}
				if first {
					first = false
					return nil // hangs until the crash
				}
				return echo(r, body)
			}
			a, b := pair(t, up)
			type result struct {
				resp *exchange.Response
				err  error
			}
			got := make(chan result, 1)
			go func() {
				resp, err := a.m.Call(context.Background(), request(b, method, "/x", nil), longWait, nil)
				got <- result{resp, err}
			}()
			<-began
			b.crash()
			b.start()
			r := <-got
			if method == "GET" {
				if r.err != nil || r.resp.Status != 200 || up.count("/x") != 2 {
					t.Fatalf("%+v after %d calls", r, up.count("/x"))
				}
				return
			}
			var p *exchange.Problem
			if !errors.As(r.err, &p) || p.Code != exchange.CodeUncertain || up.count("/x") != 1 {
				t.Fatalf("%v after %d calls, want %s after 1", r.err, up.count("/x"), exchange.CodeUncertain)
			}
		})
	}
}

// A crash of the callers' side: the answer is there after the restart.
func TestCrashOfTheCallersSide(t *testing.T) {
	began, release := make(chan struct{}, 1), make(chan struct{})
	up := &callee{calls: map[string]int{}, slots: 1}
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		began <- struct{}{}
		<-release
		return echo(r, body)
	}
	a, b := pair(t, up)
	ids := make(chan exchange.ID, 1)
	go func() {
		_, _ = a.m.Call(context.Background(), request(b, "POST", "/x", randomBytes(90_000)), longWait, func(id exchange.ID) { ids <- id })
	}()
	id := <-ids
	<-began
	a.crash()
	close(release)
	a.start()
	resp := awaitResult(t, a, id)
	body, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(body, randomBytes(90_000)) || up.count("/x") != 1 {
		t.Fatalf("%d bytes, %v, after %d calls", len(body), err, up.count("/x"))
	}
}

// The callees' side loses its state: what may have been done is uncertain, what may be repeated is repeated.
func TestCalleesSideLosesItsState(t *testing.T) {
	began := make(chan string, 10)
	var hang sync.Map
	up := &callee{calls: map[string]int{}, slots: 4}
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		if _, again := hang.LoadOrStore(r.Target, true); !again {
			began <- r.Target
			return nil
		}
		return echo(r, body)
	}
	a, b := pair(t, up)
	errs := make(chan error, 2)
	for _, method := range []string{"POST", "PUT"} {
		go func() {
			_, err := a.m.Call(context.Background(), request(b, method, "/"+strings.ToLower(method), randomBytes(50_000)), longWait, nil)
			if method == "PUT" && err != nil {
				err = fmt.Errorf("PUT: %w", err)
			}
			errs <- err
		}()
	}
	<-began
	<-began
	b.crash()
	b.db = store.NewMem()
	b.start()
	uncertain := 0
	for range 2 {
		err := <-errs
		var p *exchange.Problem
		switch {
		case err == nil:
		case errors.As(err, &p) && p.Code == exchange.CodeUncertain && !strings.HasPrefix(err.Error(), "PUT"):
			uncertain++
		default:
			t.Errorf("unexpected: %v", err)
		}
	}
	if uncertain != 1 || up.count("/post") != 1 || up.count("/put") != 2 {
		t.Errorf("%d uncertain, POST called %d times, PUT %d times", uncertain, up.count("/post"), up.count("/put"))
	}
}

// crashAt has the host lose power at its n-th commit from now: before it is durable, or right after,
// when nobody was told yet. The returned channel is closed at that moment.
func (h *host) crashAt(n int, before bool) <-chan struct{} {
	hit := make(chan struct{})
	count := 0
	var mu sync.Mutex
	hook := func(mine bool) func(*store.Batch) error {
		return func(*store.Batch) error {
			mu.Lock()
			defer mu.Unlock()
			if mine == before {
				count++
				if count == n {
					close(hit)
				}
			}
			if count >= n && mine == before || count > n {
				return errors.New("power lost")
			}
			return nil
		}
	}
	h.db.Fault(hook(true), hook(false))
	return hit
}

// Each commit of either side is cut off, before and after it is durable: an accepted call is answered
// or reported, and never made twice.
func TestPowerLossAtEveryCommit(t *testing.T) {
	for _, side := range []string{"callers", "callees"} {
		for n := 1; n <= 6; n++ {
			for _, before := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%d/before=%v", side, n, before), func(t *testing.T) { powerLoss(t, side, n, before) })
			}
		}
	}
}

func powerLoss(t *testing.T, side string, n int, before bool) {
	up := &callee{calls: map[string]int{}, do: echo, slots: 4}
	a, b := pair(t, up)
	if _, body := call(t, a, request(b, "POST", "/first", []byte("x"))); string(body) != "x" {
		t.Fatal("the sites do not work")
	}
	victim := a
	if side == "callees" {
		victim = b
	}
	hit := victim.crashAt(n, before)
	ids := make(chan exchange.ID, 1)
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	ended := make(chan error, 1)
	m := a.m // of this life: the power may go before the call begins
	go func() {
		resp, err := m.Call(ctx, request(b, "POST", "/x", []byte("hello")), longWait, func(id exchange.ID) { ids <- id })
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		ended <- err
	}()
	select {
	case <-hit:
	case err := <-ended: // the call needs fewer commits than that
		if err != nil || up.count("/x") != 1 {
			t.Fatalf("%v after %d calls", err, up.count("/x"))
		}
		victim.db.Fault(nil, nil)
		return
	}
	victim.crash()
	victim.db.Fault(nil, nil)
	victim.start()
	var id exchange.ID
	if side == "callers" {
		leave() // its connection died with the site
		<-ended
		select {
		case id = <-ids:
		default:
			if before && n == 1 && up.count("/x") != 0 {
				t.Errorf("called %d times without being accepted", up.count("/x"))
			}
			if up.count("/x") > 1 {
				t.Errorf("called %d times", up.count("/x"))
			}
			return
		}
	} else {
		id = <-ids
		err := <-ended
		checkOutcome(t, err, up.count("/x"))
	}
	_, err := outcome(t, a, id)
	checkOutcome(t, err, up.count("/x"))
}

// A crash in the middle of an upload: it was never accepted, and nothing of it stays on either side.
func TestCrashDuringAnUploadLeavesNothing(t *testing.T) {
	up := &callee{calls: map[string]int{}, do: echo, slots: 4}
	a, b := pair(t, up)
	pr, pw := io.Pipe()
	r := request(b, "POST", "/x", nil)
	r.Body, r.Length = pr, -1
	ended := make(chan error, 1)
	go func() {
		_, err := a.m.Call(context.Background(), r, longWait, nil)
		ended <- err
	}()
	if _, err := pw.Write(randomBytes(14 << 20)); err != nil {
		t.Fatal(err)
	}
	until(t, "the parts arrive", func() bool {
		rows, err := b.db.InboxParts(t.Context())
		return err == nil && len(rows) >= 1
	})
	a.crash()
	pw.CloseWithError(errors.New("gone"))
	<-ended
	a.start()
	until(t, "nothing is left", func() bool {
		parts, err := b.db.InboxParts(t.Context())
		if err != nil || len(parts) > 0 {
			return false
		}
		rows, err := a.db.Exchanges(t.Context(), store.ExchangeFilter{})
		if err != nil || len(rows) > 0 {
			return false
		}
		st, err := a.db.Stats(t.Context(), b.self.ID())
		return err == nil && st.Messages == 0 && a.chunks.Pinned() == 0 && b.chunks.Pinned() == 0
	})
	if up.count("/x") != 0 {
		t.Error("an upload that never ended was called")
	}
}

// until waits for a condition of another goroutine's making.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	guard := time.After(longWait)
	for !ok() {
		select {
		case <-guard:
			t.Fatal("waited in vain until ", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// A disk that is full for a while: what had begun is answered once there is room, new calls are refused meanwhile.
func TestStoreThatFailsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &callee{calls: map[string]int{}, do: echo, slots: 4}
		a, b := apart(t, up)
		a.start()
		b.start()
		defer func() { a.stop(); b.stop() }()
		call(t, a, request(b, "POST", "/before", []byte("x")))
		var full atomic.Bool
		full.Store(true)
		a.db.Fault(func(*store.Batch) error {
			if full.Load() {
				return store.ErrFull
			}
			return nil
		}, nil)
		first := make(chan error, 1)
		go func() {
			resp, err := a.m.Call(context.Background(), request(b, "POST", "/during", []byte("x")), longWait, nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			first <- err
		}()
		synctest.Wait()
		_, err := a.m.Call(t.Context(), request(b, "POST", "/refused", nil), longWait, nil)
		var p *exchange.Problem
		if !errors.As(err, &p) || p.Code != exchange.CodeStoreFailed || p.RetryAfter == 0 {
			t.Errorf("while the disk is full: %v, want %s with Retry-After", err, exchange.CodeStoreFailed)
		}
		time.Sleep(10 * time.Second) // of the bubble's clock: commits are tried again and fail
		full.Store(false)
		if err := <-first; err != nil {
			t.Errorf("what had begun: %v", err)
		}
		call(t, a, request(b, "POST", "/after", []byte("x")))
		if up.count("/during") != 1 || up.count("/refused") != 0 || up.count("/after") != 1 {
			t.Errorf("calls: %v", up.calls)
		}
	})
}

// The callees' side has one slot: a call holds it, until the gate is closed or, without one, until the site ends. Another
// waits, and is in the store as not begun.
func oneWaits(t *testing.T, gate chan struct{}) (a, b *host, up *callee, answers chan error) {
	up = &callee{calls: map[string]int{}, slots: 1}
	began := make(chan struct{}, 2)
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		if r.Target == "/first" {
			began <- struct{}{}
			if gate == nil {
				return nil
			}
			<-gate
		}
		return echo(r, body)
	}
	a, b = pair(t, up)
	answers = make(chan error, 2)
	call := func(target string) {
		_, err := a.m.Call(context.Background(), request(b, "POST", target, []byte("once")), longWait, nil)
		answers <- err
	}
	go call("/first")
	<-began
	go call("/second")
	for { // no event tells of it
		list, err := b.db.Exchanges(context.Background(), store.ExchangeFilter{Running: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 2 {
			return a, b, up, answers
		}
		time.Sleep(time.Millisecond)
	}
}

// The callees' side is set back to a copy in which a call waits that was made since: it is not made again.
func TestCalleesSideIsSetBack(t *testing.T) {
	gate := make(chan struct{})
	a, b, up, answers := oneWaits(t, gate)
	older := b.db.Clone()
	close(gate)
	for range 2 {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	b.crash()
	b.db = older
	b.start()
	if _, err := a.m.Call(context.Background(), request(b, "PUT", "/later", nil), longWait, nil); err != nil {
		t.Fatal(err)
	}
	for {
		list, err := b.db.Exchanges(context.Background(), store.ExchangeFilter{})
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]string{}
		for _, e := range list {
			states[e.Target] = e.State
		}
		if states["/first"] == exchange.StateUncertain && states["/second"] == exchange.StateUncertain {
			break
		}
		if states["/second"] == exchange.StateSucceeded || t.Context().Err() != nil {
			t.Fatalf("ended as %v", states)
		}
		time.Sleep(time.Millisecond) // between two looks: what is asked for lies in the store
	}
	if n := up.count("/second"); n != 1 {
		t.Errorf("the call that waited in the copy was made %d times", n)
	}
}

// The callees' side crashes while a call waits: it is made once the other side has met the new run, without
// waiting for traffic.
func TestCallThatWaitedIsMadeAfterACrash(t *testing.T) {
	_, b, up, answers := oneWaits(t, nil)
	b.crash()
	b.start()
	uncertain := 0
	for range 2 {
		err := <-answers
		var p *exchange.Problem
		switch {
		case err == nil:
		case errors.As(err, &p) && p.Code == exchange.CodeUncertain:
			uncertain++
		default:
			t.Errorf("unexpected: %v", err)
		}
	}
	if uncertain != 1 || up.count("/first") != 1 || up.count("/second") != 1 {
		t.Errorf("%d uncertain, the first was made %d times, the second %d times", uncertain, up.count("/first"), up.count("/second"))
	}
}
