package exchange_test

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// Who repeats a call whose acceptance is not durable yet waits for that, and gets its answer: it is not gone.
func TestKeyOfACallThatIsNotDurableYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &callee{calls: map[string]int{}, do: echo, slots: 9}
		a, b := pair(t, c)
		call(t, a, request(b, "GET", "/first", nil)) // they know each other
		synctest.Wait()
		var full atomic.Bool
		full.Store(true)
		a.db.Fault(func(*store.Batch) error {
			if full.Load() {
				return errors.New("disk full")
			}
			return nil
		}, nil)
		over := make(chan error, 2)
		told := make(chan exchange.ID, 2)
		for range cap(over) {
			go func() {
				resp, err := a.m.Call(t.Context(), keyedRequest(b, "/x", "k", "hello"), longWait, func(id exchange.ID) { told <- id })
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
				}
				over <- err
			}()
			synctest.Wait()
		}
		if len(over)+len(told) > 0 {
			t.Errorf("%d calls have ended, %d were told to be accepted, and nothing is durable", len(over), len(told))
		}
		full.Store(false)
		for range cap(over) {
			if err := <-over; err != nil {
				t.Error(err)
			}
		}
		if one, two := <-told, <-told; one != two || c.count("/x") != 1 {
			t.Errorf("exchanges %s and %s, made %d times", one, two, c.count("/x"))
		}
	})
}

// An answer that is not kept stays until everybody who reads it is done, also who was joined to the call by its key, and then it goes.
func TestTransientIsReadByAll(t *testing.T) {
	c := &callee{calls: map[string]int{}, do: echo, slots: 9}
	a, b := pair(t, c)
	body := string(randomBytes(2 << 20)) // more than comes with the head
	ask := func() *exchange.Response {
		r := keyedRequest(b, "/x", "k", body)
		r.Transient = true
		resp, err := a.m.Call(t.Context(), r, longWait, nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	first := ask()
	if _, err := io.Copy(io.Discard, first.Body); err != nil {
		t.Fatal(err)
	}
	second := ask()
	if err := first.Body.Close(); err != nil {
		t.Fatal(err)
	}
	call(t, a, request(b, "GET", "/y", nil)) // what the end of the first reader began is durable before this call is
	if got, err := io.ReadAll(second.Body); err != nil || string(got) != body || !second.Replayed {
		t.Errorf("%d bytes, replayed %t, %v", len(got), second.Replayed, err)
	}
	if err := second.Body.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is gone", func() bool {
		resp, err := a.m.Result(t.Context(), second.Exchange)
		if err == nil {
			resp.Body.Close()
		}
		return errors.Is(err, exchange.ErrGone)
	})
}
