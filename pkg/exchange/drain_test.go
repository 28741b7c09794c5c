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
