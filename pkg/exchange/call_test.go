package exchange_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
)

func TestCallIsAnswered(t *testing.T) {
	up := &callee{calls: map[string]int{}, do: echo, slots: 8}
	a, b := pair(t, up)
	for _, n := range []int{0, 1, 1000, 16 << 10, 16<<10 + 1, 100_000, 3 << 20} {
		body := randomBytes(n)
		resp, got := call(t, a, request(b, "POST", fmt.Sprintf("/%d", n), body))
		if resp.Status != 200 || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: status %d, %d bytes back, equal %v", n, resp.Status, len(got), bytes.Equal(got, body))
		}
		if c := up.count(fmt.Sprintf("/%d", n)); c != 1 {
			t.Errorf("%d bytes: called %d times", n, c)
		}
		st, err := a.m.State(t.Context(), resp.Exchange)
		if err != nil || st.State != exchange.StateSucceeded && st.State != exchange.StateRunning {
			t.Errorf("%d bytes: state %+v, %v", n, st, err)
		}
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	up := &callee{calls: map[string]int{}, do: echo, slots: 4}
	a, b := pair(t, up)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			body := randomBytes(i * 37)
			_, got := call(t, a, request(b, "POST", fmt.Sprintf("/%d", i), body))
			if !bytes.Equal(got, body) {
				t.Errorf("call %d: wrong answer", i)
			}
		})
	}
	wg.Wait()
}

func TestRefusalComesBackAsProblem(t *testing.T) {
	a, b := pair(t, &callee{calls: map[string]int{}, do: echo, slots: 1})
	r := request(b, "GET", "/", nil)
	r.Upstream = "other"
	_, err := a.m.Call(t.Context(), r, longWait, nil)
	var p *exchange.Problem
	if !errors.As(err, &p) || p.Code != exchange.CodeNoUpstream || !p.Far || p.Stage != exchange.StageArrived {
		t.Fatalf("got %+v, want %s, found by the other site, where the call had arrived", p, exchange.CodeNoUpstream)
	}
}

func TestWaitEndsAndTheAnswerIsStored(t *testing.T) {
	release := make(chan struct{})
	up := &callee{calls: map[string]int{}, slots: 1, do: func(r *exchange.Request, body []byte) *exchange.Response {
		<-release
		return echo(r, body)
	}}
	a, b := pair(t, up)
	var id exchange.ID
	_, err := a.m.Call(t.Context(), request(b, "POST", "/", []byte("x")), time.Millisecond, func(x exchange.ID) { id = x })
	if !errors.Is(err, exchange.ErrWait) {
		t.Fatalf("got %v, want ErrWait", err)
	}
	if _, err := a.m.Result(t.Context(), id); !errors.Is(err, exchange.ErrPending) {
		t.Errorf("result before the answer: %v, want ErrPending", err)
	}
	close(release)
	resp := awaitResult(t, a, id)
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "x" || resp.Status != 200 {
		t.Errorf("stored answer: %d %q", resp.Status, body)
	}
}

// An answer that the callee breaks off reaches the caller as far as it came, then as an abort, however soon that follows.
func TestBrokenAnswerIsAborted(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 1, do: func(*exchange.Request, []byte) *exchange.Response {
		return &exchange.Response{Status: 200, Length: 200_000, Body: io.NopCloser(io.MultiReader(bytes.NewReader(randomBytes(100_000)), failing{}))}
	}}
	a, b := pair(t, up)
	resp, err := a.m.Call(t.Context(), request(b, "GET", "/", nil), longWait, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	var ab *exchange.Abort
	if !errors.As(err, &ab) {
		t.Fatalf("body ended with %v, want an *Abort", err)
	}
}

// failing breaks off.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// A caller that leaves in the middle of the answer ends the callee's request.
func TestLeavingEndsTheCall(t *testing.T) {
	closed := make(chan struct{})
	up := &callee{calls: map[string]int{}, slots: 1, do: func(*exchange.Request, []byte) *exchange.Response {
		pr, pw := io.Pipe()
		go func() { _, _ = pw.Write([]byte("first")) }()
		return &exchange.Response{Status: 200, Length: -1, Body: &watched{pr, sync.OnceFunc(func() { close(closed) })}}
	}}
	a, b := pair(t, up)
	resp, err := a.m.Call(t.Context(), request(b, "GET", "/", nil), longWait, nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "first" {
		t.Fatalf("%q, %v", buf, err)
	}
	resp.Body.Close()
	<-closed
}

type watched struct {
	*io.PipeReader
	onClose func()
}

func (w *watched) Close() error { w.onClose(); return w.PipeReader.Close() }
