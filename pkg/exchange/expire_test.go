package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// Parts of a request that never comes are deleted in the end.
func TestPartsWithoutARequestAreSwept(t *testing.T) {
	up := &callee{calls: map[string]int{}, do: echo, slots: 4}
	a, b := apart(t, up)
	b.now = func() time.Time { return time.Now().Add(2 * time.Hour) } // past Remember, whatever still comes
	a.start()
	b.start()
	defer func() { a.stop(); b.stop() }()
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
	parts := func() int {
		rows, err := b.db.InboxParts(t.Context())
		if err != nil {
			t.Error(err)
		}
		return len(rows)
	}
	until(t, "the parts arrive", func() bool { return parts() >= 1 })
	expire(t, b, func() bool { return parts() == 0 })
	pw.CloseWithError(errors.New("gone"))
	<-ended
}

// A result is served until its time is over, then it is gone: its state says so, its content is deleted.
func TestResultsExpire(t *testing.T) {
	up := &callee{calls: map[string]int{}, do: echo, slots: 4}
	a, b := pair(t, up)
	resp, _ := call(t, a, request(b, "POST", "/x", []byte("secret")))
	until(t, "the end is stored", func() bool {
		row, err := a.db.Exchange(t.Context(), resp.Exchange, store.SideIngress)
		return err == nil && row.State == exchange.StateSucceeded
	})
	a.stop()
	a.ttl = time.Nanosecond
	a.start()
	expire(t, a, func() bool { // not asked for the answer itself: what is being read stays
		st, err := a.m.State(t.Context(), resp.Exchange)
		return err == nil && st.Expired
	})
	if _, err := a.m.Result(t.Context(), resp.Exchange); !errors.Is(err, exchange.ErrGone) {
		t.Errorf("the answer: %v", err)
	}
	if rows, err := a.db.InboxExchange(t.Context(), resp.Exchange); err != nil || len(rows) != 0 {
		t.Errorf("%d rows of content are left, %v", len(rows), err)
	}
	if rows, err := a.db.OutboxExchange(t.Context(), resp.Exchange); err != nil || len(rows) != 0 {
		t.Errorf("%d rows of the request are left, %v", len(rows), err)
	}
}

// Of results that take too much room the oldest go, and no more of them than must.
func TestOldestResultsMakeRoom(t *testing.T) {
	up := &callee{calls: map[string]int{}, do: echo, slots: 4}
	a, b := pair(t, up)
	const each = 8 << 10 // and as much for the answer
	var ids []exchange.ID
	for range 8 {
		resp, _ := call(t, a, request(b, "POST", "/x", randomBytes(each)))
		ids = append(ids, resp.Exchange)
		until(t, "the end is stored", func() bool {
			row, err := a.db.Exchange(t.Context(), resp.Exchange, store.SideIngress)
			return err == nil && row.State == exchange.StateSucceeded
		})
	}
	a.stop()
	a.most = 7 * each
	a.start()
	kept := func() int64 {
		n, err := a.db.ResultBytes(t.Context())
		if err != nil {
			t.Error(err)
		}
		return n
	}
	expire(t, a, func() bool { return kept() <= a.most })
	if n := kept(); n < a.most-3*each {
		t.Errorf("%d bytes of results are left, of %d that may be", n, a.most)
	}
	if _, err := a.m.Result(t.Context(), ids[0]); err == nil {
		t.Error("the oldest result is still there")
	}
	if _, err := a.m.Result(t.Context(), ids[len(ids)-1]); err != nil {
		t.Errorf("the newest result: %v", err)
	}
}

// An answer that is larger than all that may be kept stays until those who read it are done; nothing else goes in its place.
func TestWhatIsReadIsNotDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &callee{calls: map[string]int{}, do: echo, slots: 4}
		a, b := apart(t, up)
		a.most = 200 << 10
		a.start()
		b.start()
		defer func() { a.stop(); b.stop() }()
		ask := func(body []byte) *exchange.Response {
			r := request(b, "POST", "/x", body)
			r.NoCompress = true // pooled encoders must not be made in a bubble and used outside
			resp, err := a.m.Call(t.Context(), r, longWait, nil)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		stored := func(id exchange.ID) bool {
			row, err := a.db.Exchange(t.Context(), id, store.SideIngress)
			return err == nil && row.State == exchange.StateSucceeded && !row.Expired
		}
		large := randomBytes(300_000)
		first := ask(large)
		until(t, "it has ended", func() bool { return stored(first.Exchange) })
		time.Sleep(time.Second) // the other one is younger
		small := ask([]byte("small"))
		small.Body.Close()
		until(t, "the other has ended", func() bool { return stored(small.Exchange) })
		again, err := a.m.Result(t.Context(), first.Exchange)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { a.m.Expire(ctx); close(done) }()
		for name, resp := range map[string]*exchange.Response{"the caller": first, "who asks again": again} {
			time.Sleep(5 * time.Minute)
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, large) {
				t.Errorf("%s got %d bytes, %v", name, len(got), err)
			}
			resp.Body.Close()
		}
		time.Sleep(5 * time.Minute)
		if _, err := a.m.Result(t.Context(), first.Exchange); !errors.Is(err, exchange.ErrGone) {
			t.Errorf("after it was read: %v", err)
		}
		if !stored(small.Exchange) {
			t.Error("another answer went in its place")
		}
		cancel()
		<-done
	})
}

// What a peer announces for an exchange of which nothing else ever comes is forgotten in the end, and what it was charged for is free.
func TestAnnouncementsOfNothingAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := apart(t, &callee{calls: map[string]int{}, do: echo, slots: 4})
		b.start()
		defer b.stop()
		announce := func(seq uint64, x byte) {
			recs := []chunk.Record{{Name: chunk.Name{x}, Hsh: chunk.Sum{x}, Len: 100}}
			err := b.n.Do(func(s *node.Step) {
				s.Bulk(a.self.ID()).Announce(s.Now, &bulk.PackData{Seq: seq, Exchange: exchange.ID{x}, Recs: recs})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		announced := func() (n int) {
			if err := b.n.Do(func(s *node.Step) { n = len(s.Bulk(a.self.ID()).Announcing()) }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return n
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.m.Expire(ctx); close(done) }()
		announce(1, 1)
		announce(2, 2)
		time.Sleep(50 * time.Minute)
		announce(3, 2) // goes on
		time.Sleep(5 * time.Minute)
		if n := announced(); n != 2 {
			t.Errorf("%d exchanges are announced, 2 were", n)
		}
		time.Sleep(10 * time.Minute) // an hour is what this site remembers
		if n := announced(); n != 1 {
			t.Errorf("%d exchanges are announced after an hour, one is young", n)
		}
		time.Sleep(time.Hour)
		if n := announced(); n != 0 {
			t.Errorf("%d exchanges are still announced", n)
		}
		cancel()
		<-done
	})
}

// A body may take longer to come than the site remembers what it did, as long as something of it comes.
func TestBodyThatTakesLong(t *testing.T) {
	got := make(chan string, 1)
	u := &callee{calls: map[string]int{}, slots: 1, do: func(r *exchange.Request, body []byte) *exchange.Response {
		got <- string(body)
		return echo(r, body)
	}}
	now := time.Now()
	long, never := exchange.NewID(now), exchange.NewID(now)
	a, b := alone(t, u, func(*host) {})
	part := func(n uint64, id exchange.ID, offset int64, body string, at time.Time) func(*node.Step) {
		return func(s *node.Step) {
			s.Store().AddInbox(store.In{Peer: a.self.ID(), PeerEpoch: 1, ID: n, Kind: frame.KindBody, Exchange: id, Offset: offset, Size: int64(len(body)), Part: true,
				Data: fmt.Appendf(nil, `{"exchange":%q,"offset":%d}`, id, offset), Body: []byte(body), Received: at, State: store.InHandled})
		}
	}
	before := now.Add(-2 * time.Hour)
	for _, add := range []func(*node.Step){part(1<<20, long, 0, "first", before), part(1<<20+1, long, 5, "last", now), part(1<<20+2, never, 0, "first", before)} {
		if err := b.n.Do(add); err != nil {
			t.Fatal(err)
		}
	}
	b.stop()
	b.start()
	waiting := func() int {
		n, err := b.m.Tally(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n.Jobs[exchange.StageWritten]
	}
	if n := waiting(); n != 2 {
		t.Fatalf("%d wait for the rest of their bodies", n)
	}
	expire(t, b, func() bool { return waiting() == 1 })
	ask(t, b, a, long, "PUT", 1, 9)
	awaitWords(t, b, long, word(1001, ""))
	if body := <-got; body != "firstlast" {
		t.Errorf("called with %q", body)
	}
}
