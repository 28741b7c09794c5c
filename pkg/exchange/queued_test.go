package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// accept has calls accepted that nobody waits for, and gives their ids.
func accept(t *testing.T, a *host, reqs ...*exchange.Request) (ids []exchange.ID) {
	t.Helper()
	for _, r := range reqs {
		r.NoCompress = true // pooled encoders must not be made in a bubble and used outside
		if _, err := a.m.Call(t.Context(), r, 0, func(id exchange.ID) { ids = append(ids, id) }); !errors.Is(err, exchange.ErrWait) {
			t.Fatalf("%s: %v", r.Target, err)
		}
	}
	return ids
}

// queued says how many complete requests wait at the callees' side.
func queued(t *testing.T, b *host) int {
	t.Helper()
	n, err := b.m.Tally(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n.Jobs[exchange.StageArrived]
}

// What a callees' side finds when it comes back waits for its turn there, over a power cut too: each is made once, as it was
// asked for.
func TestManyWaitForTheirTurn(t *testing.T) {
	const many, slots = 600, 2
	synctest.Test(t, func(t *testing.T) {
		hang := func(*exchange.Request, []byte) *exchange.Response { return nil }
		up := &callee{calls: map[string]int{}, slots: slots, do: hang}
		a, b := apart(t, up)
		a.start()
		defer func() { a.stop() }()
		var reqs []*exchange.Request
		for i := range many {
			reqs = append(reqs, request(b, "POST", fmt.Sprintf("/%d", i), fmt.Appendf(nil, "body %d", i)))
		}
		long := randomBytes(100_000)
		reqs = append(reqs, request(b, "POST", "/long", long))
		ids := accept(t, a, reqs...)
		b.start()
		all := func() bool { return queued(t, b) == len(ids)-slots }
		until(t, "all have come", all)
		b.crash() // those under way end uncertain
		release := make(chan struct{})
		up.do = func(r *exchange.Request, body []byte) *exchange.Response {
			<-release
			return echo(r, body)
		}
		b.start()
		defer func() { b.stop() }()
		until(t, "all wait again", func() bool { return queued(t, b) == len(ids)-2*slots })
		if err := a.m.Cancel(t.Context(), ids[many-1]); err != nil {
			t.Fatal(err)
		}
		until(t, "the cancellation has come", func() bool {
			st, err := a.m.State(t.Context(), ids[many-1])
			return err == nil && st.State == exchange.StateCanceled
		})
		close(release)
		uncertain := 0
		for i, id := range ids {
			resp, err := outcome(t, a, id)
			var p *exchange.Problem
			switch {
			case i == many-1:
				if up.count(reqs[i].Target) != 0 || !errors.As(err, &p) || p.Code != exchange.CodeCanceled {
					t.Errorf("canceled: %v, %d calls", err, up.count(reqs[i].Target))
				}
				continue
			case errors.As(err, &p) && p.Code == exchange.CodeUncertain:
				uncertain++
				continue
			case err != nil:
				t.Fatalf("call %d: %v", i, err)
			}
			want := fmt.Sprintf("body %d", i)
			if i == many {
				want = string(long)
			}
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want || up.count(reqs[i].Target) != 1 {
				t.Errorf("call %d: %.40q, %v, made %d times", i, got, err, up.count(reqs[i].Target))
			}
			resp.Body.Close()
		}
		if uncertain != slots {
			t.Errorf("%d are uncertain; %d were under way when the power was cut", uncertain, slots)
		}
	})
}

// Those whose deadline passes while they wait end so, however many there are, and do not hold up what comes after them.
func TestOverdueOnesMakeRoom(t *testing.T) {
	t.Run("when a slot is free", func(t *testing.T) { overdueOnes(t, false) })
	t.Run("while none is", func(t *testing.T) { overdueOnes(t, true) })
}

// overdueOnes has many wait beyond their deadline. looks: they end because the site looks at them.
func overdueOnes(t *testing.T, looks bool) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		up := &callee{calls: map[string]int{}, slots: 1, do: func(r *exchange.Request, body []byte) *exchange.Response {
			if r.Target == "/first" {
				<-release
			}
			return echo(r, body)
		}}
		a, b := apart(t, up)
		a.start()
		b.start()
		defer func() { a.stop(); b.stop() }()
		accept(t, a, request(b, "POST", "/first", []byte("x")))
		until(t, "the slot is taken", func() bool { return up.count("/first") == 1 })
		var reqs []*exchange.Request
		for range 1200 {
			r := request(b, "POST", "/late", []byte("x"))
			r.Deadline = time.Now().Add(time.Minute)
			reqs = append(reqs, r)
		}
		late := accept(t, a, reqs...)
		last := accept(t, a, request(b, "POST", "/last", []byte("x")))
		until(t, "all have come", func() bool { return queued(t, b) == len(late)+len(last) })
		time.Sleep(2 * time.Minute)
		if looks {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { b.m.Expire(ctx); close(done) }()
			defer func() { cancel(); <-done }()
		} else {
			close(release)
		}
		for _, id := range late {
			_, err := outcome(t, a, id)
			wantDeadlinePassed(t, err)
		}
		if looks {
			close(release)
		}
		if _, err := outcome(t, a, last[0]); err != nil || up.count("/last") != 1 || up.count("/late") != 0 {
			t.Errorf("%v; calls %v", err, up.calls)
		}
	})
}

// A request that can no longer be read where it waits is not made, and its caller is told so.
func TestStoredRequestThatIsGone(t *testing.T) {
	release := make(chan struct{})
	up := &callee{calls: map[string]int{}, slots: 1, do: func(r *exchange.Request, body []byte) *exchange.Response {
		if r.Target == "/first" {
			<-release
		}
		return echo(r, body)
	}}
	a, b := pair(t, up)
	accept(t, a, request(b, "POST", "/first", []byte("x")))
	until(t, "the slot is taken", func() bool { return up.count("/first") == 1 })
	ids := accept(t, a, request(b, "POST", "/gone", []byte("x")))
	until(t, "the request is stored", func() bool {
		_, err := b.db.InboxRequest(t.Context(), ids[0], false)
		return err == nil
	})
	var gone store.Batch
	gone.DropInboxExchange(ids[0], -1)
	if err := b.db.Commit(context.Background(), &gone); err != nil {
		t.Fatal(err)
	}
	close(release)
	_, err := outcome(t, a, ids[0])
	var p *exchange.Problem
	if !errors.As(err, &p) || p.Code != exchange.CodeStoreFailed || up.count("/gone") != 0 {
		t.Errorf("%v, %d calls", err, up.count("/gone"))
	}
}
