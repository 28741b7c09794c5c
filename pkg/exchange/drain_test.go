package exchange_test

import (
	"context"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// A callees' side that is stopped in order lets a call under way end, begins no other, and leaves nothing uncertain.
func TestDrainLetsCallsEndAndBeginsNone(t *testing.T) {
	began, release := make(chan struct{}, 2), make(chan struct{})
	up := &callee{calls: map[string]int{}, slots: 4, do: func(r *exchange.Request, body []byte) *exchange.Response {
		began <- struct{}{}
		<-release
		return echo(r, body)
	}}
	a, b := pair(t, up)
	errs := make(chan error, 2)
	send := func(target string, accepted func(exchange.ID)) {
		resp, err := a.m.Call(context.Background(), request(b, "POST", target, []byte("x")), longWait, accepted)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		errs <- err
	}
	go send("/under-way", nil)
	<-began
	over, cancel := context.WithCancel(t.Context())
	cancel()
	b.m.Drain(over) // from here on nothing is begun; it does not wait, its context is over
	ids := make(chan exchange.ID, 1)
	go send("/late", func(id exchange.ID) { ids <- id })
	late := <-ids
	until(t, "the late request is stored", func() bool {
		row, err := b.db.Exchange(t.Context(), late, store.SideEgress)
		return err == nil && row.Stage == exchange.StageArrived
	})
	close(release)
	b.m.Drain(t.Context())
	b.stop()
	if up.count("/late") != 0 {
		t.Error("a call was begun while draining")
	}
	b.start()
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if up.count("/under-way") != 1 || up.count("/late") != 1 {
		t.Errorf("calls: %v", up.calls)
	}
}

// A callers' side that is stopped in order in the middle of an answer does not give the call up, as if its caller had left.
func TestAnswerUnderWayGoesOnAfterAStop(t *testing.T) {
	pr, pw := io.Pipe()
	up := &callee{calls: map[string]int{}, slots: 1, do: func(*exchange.Request, []byte) *exchange.Response {
		return &exchange.Response{Status: 200, Length: -1, Body: pr}
	}}
	a, b := pair(t, up)
	id, heads := accepted(t, a, request(b, "POST", "/x", nil))
	if _, err := pw.Write([]byte("beginning, ")); err != nil {
		t.Fatal(err)
	}
	resp := <-heads
	if resp == nil {
		return
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 11)); err != nil {
		t.Fatal(err)
	}
	a.m.Drain(t.Context())
	resp.Body.Close() // its connection ends with the site
	a.stop()
	a.start()
	if _, err := pw.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	got := awaitResult(t, a, id)
	if body, err := io.ReadAll(got.Body); err != nil || string(body) != "beginning, end" {
		t.Errorf("%q, %v", body, err)
	}
}
