package exchange_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
)

// A part of a body for which there is no room is dropped for good: its request ends for that, also where the site was
// started again and there is room when it comes.
func TestPartBeyondTheShareIsRememberedOverARestart(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 1}
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		if r.Target == "/first" {
			return nil // until the site ends
		}
		return echo(r, body)
	}
	a, b := apart(t, up)
	b.share = 28 << 10 // a call of 10 KiB, or one with a body in parts
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	post(t, a, request(b, "POST", "/first", randomBytes(10<<10)))
	until(t, "it is under way", func() bool { return running(t, b) == 1 })
	pr, pw := io.Pipe()
	r := request(b, "POST", "/x", nil)
	r.Body, r.Length, r.Exchange = pr, -1, exchange.NewID(time.Now())
	ended := make(chan error, 1)
	go func() {
		_, err := a.m.Call(context.Background(), r, longWait, nil)
		ended <- err
	}()
	if _, err := pw.Write(randomBytes(14 << 20)); err != nil {
		t.Fatal(err)
	}
	until(t, "a part is acked", func() bool {
		rows, err := a.db.OutboxExchange(t.Context(), r.Exchange)
		return err == nil && len(rows) > 0 && !rows[0].Acked.IsZero()
	})
	b.crash()
	b.start()
	until(t, "there is room", func() bool { return running(t, b) == 0 })
	pw.Close()
	if err := <-ended; problemCode(err) != exchange.CodeRate {
		t.Errorf("it ended with %v", err)
	}
	if n := up.count("/x"); n != 0 {
		t.Errorf("made %d times", n)
	}
	if parts, err := b.db.InboxParts(t.Context()); err != nil || len(parts) > 0 {
		t.Errorf("%d parts are left, %v", len(parts), err)
	}
}

// What a peer has here counts over a restart: it does not get its share anew.
func TestShareIsCountedAtTheStart(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 1, do: func(*exchange.Request, []byte) *exchange.Response { return nil }} // until the site ends
	a, b := apart(t, up)
	b.share = 30 << 10 // two calls of 10 KiB
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	post(t, a, request(b, "PUT", "/first", randomBytes(10<<10)))
	until(t, "it is under way", func() bool { return running(t, b) == 1 })
	post(t, a, request(b, "PUT", "/second", randomBytes(10<<10)))
	until(t, "another waits", func() bool { return queued(t, b) == 1 })
	refused := func(when string) {
		t.Helper()
		id := post(t, a, request(b, "PUT", "/more", randomBytes(10<<10)))
		until(t, "it comes", func() bool { return stateOf(t, a, id).State != exchange.StateRunning || queued(t, b) == 2 })
		if st := stateOf(t, a, id); st.Problem == nil || st.Problem.Code != exchange.CodeRate {
			t.Errorf("%s one more is taken", when)
		}
	}
	refused("before a restart")
	b.crash()
	b.start()
	until(t, "both are there again", func() bool { return running(t, b) == 1 && queued(t, b) == 1 })
	refused("after a restart")
}

// A body that lies in chunks is charged to its peer as chunks, before a restart and after it.
func TestChunksAreNoBytesOfTheShareAfterARestart(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 1, do: func(*exchange.Request, []byte) *exchange.Response { return nil }}
	a, b := apart(t, up)
	b.share = 1 << 20
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	post(t, a, request(b, "PUT", "/long", randomBytes(6<<20)))
	until(t, "it is under way", func() bool { return running(t, b) == 1 })
	b.crash()
	b.start()
	until(t, "it is there again", func() bool { return running(t, b) == 1 })
	id := post(t, a, request(b, "PUT", "/short", []byte("x")))
	until(t, "another comes", func() bool { return stateOf(t, a, id).State != exchange.StateRunning || queued(t, b) == 1 })
	if st := stateOf(t, a, id); st.Problem != nil {
		t.Errorf("it is refused: %v", st.Problem)
	}
}
