package exchange_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/pipe"
)

func wantDeadlinePassed(t *testing.T, err error) {
	t.Helper()
	var p *exchange.Problem
	if !errors.As(err, &p) || p.Code != exchange.CodeDeadline {
		t.Errorf("got %v, want %s", err, exchange.CodeDeadline)
	}
}

// Before a peer was heard of nothing is written to it: the deadline ends such a call here, and the peer never
// hears of it.
func TestDeadlinePassesBeforeTheRequestIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &callee{calls: map[string]int{}, slots: 4, do: echo}
		a, b := apart(t, up)
		a.start()
		defer func() { a.stop() }()
		for _, body := range [][]byte{[]byte("x"), randomBytes(200_000)} {
			r := request(b, "POST", "/late", body)
			r.NoCompress = true // pooled encoders must not be made in a bubble and used outside
			r.Deadline = time.Now().Add(time.Second)
			begun := time.Now()
			_, err := a.m.Call(t.Context(), r, longWait, nil)
			wantDeadlinePassed(t, err)
			if took := time.Since(begun); took < time.Second || took > 2*time.Second {
				t.Errorf("ended after %v, the deadline was a second", took)
			}
		}
		b.start()
		defer b.stop()
		if resp, _ := call(t, a, request(b, "POST", "/in-time", []byte("x"))); resp.Status != 200 {
			t.Errorf("status %d", resp.Status)
		}
		if up.count("/late") != 0 {
			t.Error("an overdue call was made")
		}
	})
}

// moved starts two sites; what the callers' side writes is moved to the other, while nobody stops that.
func moved(t *testing.T) (up *callee, a, b *host, stopped *atomic.Bool) {
	up = &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b = apart(t, up)
	b.in = pipe.NewMemFolder(nil)
	stopped = new(atomic.Bool)
	end := make(chan struct{})
	go move(a.out, b.in, stopped, end)
	a.start()
	b.start()
	t.Cleanup(func() { close(end); a.stop(); b.stop() })
	return up, a, b, stopped
}

// A request that lay in the pipe beyond its deadline is not begun, whatever the clocks of the two sites say.
func TestDeadlinePassesInThePipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, a, b, stopped := moved(t)
		r := request(b, "POST", "/in-time", []byte("x"))
		r.Deadline = time.Now().Add(time.Minute)
		call(t, a, r)

		stopped.Store(true)
		r = request(b, "POST", "/late", []byte("x"))
		r.Deadline = time.Now().Add(2 * time.Second)
		var id exchange.ID
		if _, err := a.m.Call(t.Context(), r, 10*time.Second, func(x exchange.ID) { id = x }); !errors.Is(err, exchange.ErrWait) {
			t.Fatalf("got %v, want ErrWait", err)
		}
		stopped.Store(false)
		_, err := outcome(t, a, id)
		wantDeadlinePassed(t, err)
		if up.count("/late") != 0 || up.count("/in-time") != 1 {
			t.Errorf("%d late calls and %d in time", up.count("/late"), up.count("/in-time"))
		}
	})
}

// A request that lay in the pipe beyond its deadline while the callees' side did not run is not begun, whether it may be
// repeated or not: what comes after the start shows how long it lay there.
func TestDeadlinePassesWhileTheCalleesSideIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, a, b, _ := moved(t)
		call(t, a, request(b, "POST", "/before", []byte("x")))
		b.stop()

		ids := map[string]exchange.ID{}
		for _, method := range []string{"POST", "GET"} {
			for target, left := range map[string]time.Duration{"/late": 3 * time.Second, "/in-time": time.Minute, "/tomorrow": 24 * time.Hour} {
				r := request(b, method, target, nil)
				r.Deadline = time.Now().Add(left)
				ids[method+" "+target] = post(t, a, r)
			}
		}
		time.Sleep(20 * time.Second)
		b.start()
		for what, id := range ids {
			_, err := outcome(t, a, id)
			if late := strings.HasSuffix(what, "/late"); late {
				wantDeadlinePassed(t, err)
			} else if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if up.count("/late") != 0 || up.count("/in-time") != 2 || up.count("/tomorrow") != 2 {
			t.Errorf("%v", up.calls)
		}
	})
}

// A cancellation that comes before its request ends it: the request that comes later is not made.
func TestCancelOvertakesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, a, b, stopped := moved(t)
		call(t, a, request(b, "POST", "/before", []byte("x")))

		stopped.Store(true)
		id := post(t, a, request(b, "POST", "/x", []byte("x")))
		awaitStage(t, a, id, exchange.StageWritten)
		withRequest := a.out.Paths()
		kept := map[string][]byte{}
		for _, path := range withRequest {
			kept[path], _ = a.out.ReadFile(path)
		}
		if err := a.m.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for len(a.out.Paths()) == len(withRequest) {
			time.Sleep(time.Millisecond) // of the simulated clock
		}
		for _, path := range a.out.Paths() {
			if kept[path] == nil { // the cancellation, without its request
				data, _ := a.out.ReadFile(path)
				b.in.WriteFile(path, data)
			}
		}
		time.Sleep(time.Second)
		for path, data := range kept {
			b.in.WriteFile(path, data)
		}
		stopped.Store(false)
		if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeCanceled {
			t.Errorf("%v", err)
		}
		if n := up.count("/x"); n != 0 {
			t.Errorf("made %d times", n)
		}
	})
}

// move carries each file once while it is not stopped.
func move(from, to *pipe.MemFolder, stopped *atomic.Bool, end <-chan struct{}) {
	carried := map[string]bool{}
	for {
		select {
		case <-end:
			return
		case <-time.After(5 * time.Millisecond):
		}
		for _, path := range from.Paths() {
			if data, ok := from.ReadFile(path); ok && !carried[path] && !stopped.Load() {
				carried[path] = true
				to.WriteFile(path, data)
			}
		}
	}
}
