package exchange_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// gate is a callee whose calls wait until they are let through.
type gate struct {
	callee
	open    chan struct{} // closed: calls are answered
	entered chan string
}

func newGate(slots int) *gate {
	g := &gate{open: make(chan struct{}), entered: make(chan string, 100)}
	g.calls, g.slots, g.do = map[string]int{}, slots, echo
	return g
}

func (g *gate) Do(ctx context.Context, r *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	g.entered <- r.Target
	select {
	case <-g.open:
	case <-ctx.Done():
		return nil, true, exchange.Problemf(exchange.CodeCalleeBroken, "ended")
	}
	return g.callee.Do(ctx, r)
}

// post accepts a call that nobody waits for.
func post(t *testing.T, a *host, r *exchange.Request) exchange.ID {
	t.Helper()
	var id exchange.ID
	if _, err := a.m.Call(t.Context(), r, 0, func(x exchange.ID) { id = x }); !errors.Is(err, exchange.ErrWait) {
		t.Fatalf("%s: %v", r.Target, err)
	}
	return id
}

func stateOf(t *testing.T, a *host, id exchange.ID) *exchange.State {
	t.Helper()
	st, err := a.m.State(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func problemCode(err error) string {
	var p *exchange.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func TestAwaitTellsTheEnd(t *testing.T) {
	g := newGate(9)
	a, b := pair(t, g)
	id := post(t, a, request(b, "POST", "/x", []byte("hello")))
	if err := a.m.Await(t.Context(), id, time.Millisecond); !errors.Is(err, exchange.ErrWait) {
		t.Fatalf("before the end: %v", err)
	}
	if err := a.m.Await(t.Context(), exchange.NewID(time.Now()), longWait); !errors.Is(err, exchange.ErrUnknown) {
		t.Fatalf("unknown: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.m.Await(ctx, id, longWait); !errors.Is(err, context.Canceled) {
		t.Fatalf("left: %v", err)
	}
	close(g.open)
	if err := a.m.Await(t.Context(), id, longWait); err != nil {
		t.Fatal(err)
	}
	resp, err := a.m.Result(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "hello" {
		t.Errorf("body %q", body)
	}
}

func TestCancelQueuedAtTheFarSide(t *testing.T) {
	g := newGate(1)
	a, b := pair(t, g)
	first := post(t, a, request(b, "POST", "/first", []byte("1")))
	<-g.entered // it holds the only slot
	second := post(t, a, request(b, "POST", "/second", []byte("2")))
	awaitStage(t, a, second, exchange.StageArrived)
	if err := a.m.Cancel(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if err := a.m.Cancel(t.Context(), second); err != nil {
		t.Errorf("a second time: %v", err)
	}
	_, err := outcome(t, a, second)
	if st := stateOf(t, a, second); problemCode(err) != exchange.CodeCanceled || st.State != exchange.StateCanceled {
		t.Errorf("%v, state %s", err, st.State)
	}
	close(g.open)
	awaitResult(t, a, first)
	if n := g.count("/second"); n != 0 {
		t.Errorf("the canceled call was made %d times", n)
	}
	if err := a.m.Cancel(t.Context(), first); err != nil {
		t.Error(err)
	}
	if st := stateOf(t, a, first); st.State != exchange.StateSucceeded {
		t.Errorf("a finished exchange became %s", st.State)
	}
	if err := a.m.Cancel(t.Context(), exchange.NewID(time.Now())); !errors.Is(err, exchange.ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
}

func TestCancelEndsARunningCall(t *testing.T) {
	g := newGate(1)
	a, b := pair(t, g)
	id := post(t, a, request(b, "POST", "/x", []byte("1")))
	<-g.entered
	if err := a.m.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeCanceled {
		t.Errorf("%v", err)
	}
}

func TestCancelingUntilTheFarSideSaysSo(t *testing.T) {
	g := newGate(1)
	a, b := apart(t, g)
	a.start()
	b.start()
	warm := post(t, a, request(b, "GET", "/warm", nil))
	<-g.entered
	g.open <- struct{}{} // this one alone
	awaitResult(t, a, warm)
	b.stop()
	id := post(t, a, request(b, "POST", "/x", []byte("1")))
	awaitStage(t, a, id, exchange.StageWritten)
	if err := a.m.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if st := stateOf(t, a, id); st.State != exchange.StateRunning || st.Stage != exchange.StageCanceling {
		t.Errorf("%s, %s", st.State, st.Stage)
	}
	a.crash()
	a.start()
	if st := stateOf(t, a, id); st.State != exchange.StateRunning || st.Stage != exchange.StageCanceling {
		t.Errorf("after a crash: %s, %s", st.State, st.Stage)
	}
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeCanceled {
		t.Errorf("%v", err)
	}
	if n := g.count("/x"); n != 0 {
		t.Errorf("made %d times", n)
	}
}

func TestCancelTakesBackWhatWasNotWritten(t *testing.T) {
	a, _ := apart(t, nil)
	a.start() // no peer: nothing is written before its epoch is known
	t.Cleanup(a.stop)
	_, b := a, a.peer
	r := &exchange.Request{Peer: b.ID, Upstream: "orders", Method: "POST", Target: "/x", Length: 0}
	id := post(t, a, r)
	if err := a.m.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if st := stateOf(t, a, id); st.State != exchange.StateCanceled {
		t.Errorf("state %s", st.State)
	}
}

// awaitStage waits until an exchange got that far, by its events.
func awaitStage(t *testing.T, a *host, id exchange.ID, stage string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	w, err := a.m.Watch(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for {
		if _, ok := stateOf(t, a, id).Stages[stage]; ok {
			return
		}
		select {
		case <-w.Changed():
		case <-ctx.Done():
			t.Fatalf("stage %s was not reached", stage)
		}
	}
}

func keyedRequest(to *host, target, key, body string) *exchange.Request {
	r := request(to, "POST", target, []byte(body))
	r.Key = key
	return r
}

func TestKeyStandsForOneCall(t *testing.T) {
	g := newGate(9)
	a, b := pair(t, g)
	first := post(t, a, keyedRequest(b, "/x", "k", "hello"))
	<-g.entered
	strict := keyedRequest(b, "/x", "k", "hello")
	strict.Strict = true
	if _, err := a.m.Call(t.Context(), strict, longWait, nil); problemCode(err) != exchange.CodeKeyBusy {
		t.Errorf("strict: %v", err)
	}
	if _, err := a.m.Call(t.Context(), keyedRequest(b, "/x", "k", "other"), longWait, nil); problemCode(err) != exchange.CodeKeyReused {
		t.Errorf("another body: %v", err)
	}
	var wg sync.WaitGroup
	for range 3 { // who comes while it runs is joined to it
		wg.Go(func() {
			var id exchange.ID
			resp, err := a.m.Call(t.Context(), keyedRequest(b, "/x", "k", "hello"), longWait, func(x exchange.ID) { id = x })
			if err != nil {
				t.Error(err)
				return
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != "hello" || !resp.Replayed || id != first {
				t.Errorf("%q, replayed %t, exchange %s", body, resp.Replayed, id)
			}
		})
	}
	other := post(t, a, keyedRequest(b, "/y", "k", "hello")) // another target
	mine := keyedRequest(b, "/x", "k", "hello")
	mine.Owner = "alice"
	third := post(t, a, mine) // another caller
	close(g.open)
	wg.Wait()
	awaitResult(t, a, other)
	awaitResult(t, a, third)
	if n := g.count("/x"); n != 2 {
		t.Errorf("made %d times, want once for each of two callers", n)
	}
	a.crash()
	a.start()
	resp, err := a.m.Call(t.Context(), keyedRequest(b, "/x", "k", "hello"), longWait, nil)
	if err != nil || !resp.Replayed {
		t.Fatalf("after a crash: %v", err)
	}
	get := request(b, "GET", "/x", nil)
	get.Key = "k"
	if resp, _ := call(t, a, get); resp.Replayed {
		t.Error("a safe method is made again")
	}
}

func TestKeyOfLongBody(t *testing.T) {
	c := &callee{calls: map[string]int{}, do: echo, slots: 9}
	a, b := pair(t, c)
	body := randomBytes(300 << 10)
	for i := range 2 {
		r := request(b, "PUT", "/x", body)
		r.Key = "k"
		resp, got := call(t, a, r)
		if resp.Replayed != (i == 1) || string(got) != string(body) {
			t.Errorf("call %d: replayed %t, %d bytes", i, resp.Replayed, len(got))
		}
	}
	if n := c.count("/x"); n != 1 {
		t.Errorf("made %d times", n)
	}
}

func TestKeyIsFreeWhenNothingWasCalled(t *testing.T) {
	c := &callee{calls: map[string]int{}, do: echo, slots: 9}
	a, b := pair(t, c)
	r := keyedRequest(b, "/x", "k", "hello")
	r.Upstream = "nobody"
	if _, err := a.m.Call(t.Context(), r, longWait, nil); problemCode(err) != exchange.CodeNoUpstream {
		t.Fatal(err)
	}
	r = keyedRequest(b, "/x", "k", "hello")
	r.Upstream = "nobody"
	var id exchange.ID
	if _, err := a.m.Call(t.Context(), r, longWait, func(x exchange.ID) { id = x }); problemCode(err) != exchange.CodeNoUpstream {
		t.Fatal(err)
	}
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeNoUpstream {
		t.Fatal(err)
	}
	if st, err := a.m.List(t.Context(), exchange.Filter{Limit: 9}); err != nil || len(st) != 2 {
		t.Errorf("%d exchanges, want a second try: %v", len(st), err)
	}
}

func eventTypes(events []exchange.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Type)
	}
	return strings.Join(out, " ")
}

func TestEventsGoOnAfterACrash(t *testing.T) {
	g := newGate(9)
	a, b := pair(t, g)
	id := post(t, a, request(b, "POST", "/x", []byte("hello")))
	awaitStage(t, a, id, exchange.StageCalling)
	before, err := a.m.Events(t.Context(), id, 0, 99)
	if err != nil || eventTypes(before) != "accepted queued written arrived calling" {
		t.Fatalf("%s, %v", eventTypes(before), err)
	}
	a.crash()
	a.start()
	close(g.open)
	if err := a.m.Await(t.Context(), id, longWait); err != nil {
		t.Fatal(err)
	}
	after, err := a.m.Events(t.Context(), id, before[len(before)-1].N, 99)
	if err != nil || eventTypes(after) != "answered completed" {
		t.Errorf("%s, %v", eventTypes(after), err)
	}
	all, err := a.m.Events(t.Context(), exchange.ID{}, 0, 99)
	if err != nil || !reflect.DeepEqual(all, append(before, after...)) {
		t.Errorf("all: %v, %v", all, err)
	}
	for i, e := range all {
		if i > 0 && e.N <= all[i-1].N || e.At.IsZero() {
			t.Errorf("event %+v after %+v", e, all[max(i-1, 0)])
		}
	}
}

func TestQuickCallHasOneEvent(t *testing.T) {
	c := &callee{calls: map[string]int{}, do: echo, slots: 9}
	a, b := pair(t, c)
	call(t, a, request(b, "GET", "/x", nil))
	for {
		events, err := a.m.Events(t.Context(), exchange.ID{}, 0, 99)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			continue // its commit follows the answer
		}
		if last := events[len(events)-1]; last.Type == exchange.EventCompleted {
			return
		}
	}
}

func TestTransientLeavesNothing(t *testing.T) {
	c := &callee{calls: map[string]int{}, do: echo, slots: 9}
	a, b := pair(t, c)
	body := randomBytes(2 << 20) // more than a waiter holds in memory
	r := request(b, "POST", "/secret", body)
	r.Transient = true
	var id exchange.ID
	resp, err := a.m.Call(t.Context(), r, longWait, func(x exchange.ID) { id = x })
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != string(body) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	resp.Body.Close()
	guard := time.After(longWait)
	for {
		rows, err := a.db.InboxExchange(t.Context(), id)
		sent, err2 := a.db.OutboxExchange(t.Context(), id)
		row, err3 := a.db.Exchange(t.Context(), id, store.SideIngress)
		if errors.Join(err, err2, err3) != nil {
			t.Fatal(err, err2, err3)
		}
		if len(rows)+len(sent) == 0 && row.Expired && row.Target == "" {
			break
		}
		select {
		case <-guard:
			t.Fatalf("%d rows received and %d sent are left", len(rows), len(sent))
		case <-time.After(time.Millisecond):
		}
	}
	if _, err := a.m.Result(t.Context(), id); !errors.Is(err, exchange.ErrGone) {
		t.Errorf("result: %v", err)
	}
}

func TestFlight(t *testing.T) {
	g := newGate(9)
	a, b := apart(t, g)
	a.flight = exchange.Flight{Caller: 2, Peer: 3}
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	from := func(client string) *exchange.Request {
		r := request(b, "POST", "/x", nil)
		r.Client = client
		return r
	}
	one := post(t, a, from("10.0.0.1"))
	post(t, a, from("10.0.0.1"))
	refused := func(client string) {
		t.Helper()
		_, err := a.m.Call(t.Context(), from(client), 0, nil)
		var p *exchange.Problem
		if !errors.As(err, &p) || p.Code != exchange.CodeRate || p.RetryAfter == 0 {
			t.Fatalf("%s: %v", client, err)
		}
	}
	refused("10.0.0.1") // two of this caller
	post(t, a, from("10.0.0.2"))
	refused("10.0.0.3") // three to this peer
	a.crash()
	a.start()
	refused("10.0.0.1") // also after a restart
	close(g.open)
	awaitResult(t, a, one)
	for _, st := range mustList(t, a, exchange.Filter{Limit: 9}) {
		awaitResult(t, a, st.ID)
	}
	post(t, a, from("10.0.0.1"))
}

func mustList(t *testing.T, a *host, f exchange.Filter) []*exchange.State {
	t.Helper()
	list, err := a.m.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestListPages(t *testing.T) {
	c := &callee{calls: map[string]int{}, do: echo, slots: 9}
	a, b := pair(t, c)
	for i := range 5 {
		r := request(b, "GET", "/x", nil)
		if i%2 == 0 {
			r.Owner = "alice"
		}
		post(t, a, r)
	}
	page := mustList(t, a, exchange.Filter{Owner: "alice", Limit: 2})
	rest := mustList(t, a, exchange.Filter{Owner: "alice", Limit: 2, After: page[1].ID})
	if len(page) != 2 || len(rest) != 1 || page[0].ID == rest[0].ID || page[0].Owner != "alice" {
		t.Errorf("%d and %d", len(page), len(rest))
	}
	if n := len(mustList(t, a, exchange.Filter{Peer: "site-b", Limit: 99})); n != 5 {
		t.Errorf("%d of site-b", n)
	}
	if n := len(mustList(t, a, exchange.Filter{Peer: "nobody", Limit: 99})); n != 0 {
		t.Errorf("%d of nobody", n)
	}
}

func TestCallbacksComeDueWithTheEnd(t *testing.T) {
	g := newGate(9)
	a, b := pair(t, g)
	with := func(target string, notify bool) exchange.ID {
		r := request(b, "POST", target, nil)
		r.Callback, r.Notify = "https://a.example/hook", notify
		return post(t, a, r)
	}
	quiet, chatty := with("/quiet", false), with("/chatty", true)
	awaitStage(t, a, chatty, exchange.StageArrived)
	due := func(id exchange.ID) map[string]bool {
		rows, err := a.db.Callbacks(t.Context(), store.CallbackFilter{Exchange: id})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, c := range rows {
			if c.ID != id.String()+"."+c.Type || c.URL != "https://a.example/hook" || c.State != store.CallbackDue {
				t.Errorf("%+v", c)
			}
			out[c.Type] = true
		}
		return out
	}
	if rows := due(quiet); len(rows) != 0 {
		t.Errorf("before the end: %v", rows)
	}
	if rows := due(chatty); !rows["accepted"] || !rows["queued"] || !rows["written"] || !rows["arrived"] || rows["completed"] {
		t.Errorf("stages: %v", rows)
	}
	a.crash()
	a.start()
	close(g.open)
	for _, id := range []exchange.ID{quiet, chatty} {
		if err := a.m.Await(t.Context(), id, longWait); err != nil {
			t.Fatal(err)
		}
	}
	if rows := due(quiet); len(rows) != 1 || !rows["completed"] {
		t.Errorf("after the end: %v", rows)
	}
	if rows := due(chatty); !rows["answered"] || !rows["completed"] {
		t.Errorf("after the end: %v", rows)
	}
}
