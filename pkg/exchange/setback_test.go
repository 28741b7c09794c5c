package exchange_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node/nodetest"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// A copy of the state of the callers' side takes an ack of the life that is gone for one of what it has just sent itself,
// a part of a body that is still coming. When it learns of that life, it sends the part again.
func TestSetBackDuringAnUpload(t *testing.T) { synctest.Test(t, setBackDuringAnUpload) }

func setBackDuringAnUpload(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 2, do: echo}
	a, b := apart(t, up)
	a.in, b.in = pipe.NewMemFolder(nil), pipe.NewMemFolder(nil)
	stopped, end := new(atomic.Bool), make(chan struct{})
	go move(a.out, b.in, stopped, end)
	go move(b.out, a.in, stopped, end)
	a.start()
	b.start()
	t.Cleanup(func() { close(end); a.stop(); b.stop() })
	call(t, a, request(b, "HEAD", "/first", nil))
	older := a.db.Clone()
	call(t, a, request(b, "HEAD", "/forgotten", nil))
	late, data := newestFrame(t, b.out)
	stopped.Store(true)
	a.crash()
	for _, path := range a.in.Paths() {
		a.in.Remove(path) // nothing tells it at once
	}
	a.db = older
	a.start()

	pr, pw := io.Pipe()
	r := request(b, "PUT", "/x", nil)
	r.NoCompress = true // pooled encoders must not be made in a bubble and used outside
	r.Body, r.Length, r.Exchange = pr, -1, exchange.NewID(time.Now())
	type result struct {
		resp *exchange.Response
		err  error
	}
	got := make(chan result, 1)
	go func() {
		resp, err := a.m.Call(context.Background(), r, longWait, nil)
		got <- result{resp, err}
	}()
	body := randomBytes(14 << 20)
	if _, err := pw.Write(body); err != nil {
		t.Fatal(err)
	}
	part := func(acked bool) bool {
		rows, err := a.db.OutboxExchange(t.Context(), r.Exchange)
		return err == nil && len(rows) > 0 && rows[0].Acked.IsZero() == !acked
	}
	until(t, "a part is stored", func() bool { return part(false) })
	a.in.WriteFile(late, data)
	until(t, "it is taken for acked", func() bool { return part(true) })
	stopped.Store(false)
	call(t, a, request(b, "HEAD", "/later", nil))
	pw.Close()
	res := <-got
	if res.err != nil {
		t.Fatal(res.err)
	}
	defer res.resp.Body.Close()
	if back, err := io.ReadAll(res.resp.Body); err != nil || !bytes.Equal(back, body) {
		t.Errorf("%d bytes came back, %v", len(back), err)
	}
}

// newestFrame gives the frame that was written last.
func newestFrame(t *testing.T, f *pipe.MemFolder) (path string, data []byte) {
	t.Helper()
	for _, p := range f.Paths() {
		if strings.HasSuffix(p, string(frame.ExtFrame)) {
			if d, ok := f.ReadFile(p); ok {
				path, data = p, d
			}
		}
	}
	if path == "" {
		t.Fatal("no frame lies there")
	}
	return path, data
}

// The callees' side loses its state, and the parts that it had of a body, while the request of that body is about to be
// accepted: the request goes out as it is, and the parts once more.
func TestStateLostAtTheMomentOfAcceptance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &callee{calls: map[string]int{}, slots: 2, do: echo}
		a, b := apart(t, up)
		a.start()
		b.start()
		defer func() { a.stop(); b.stop() }()
		call(t, a, request(b, "HEAD", "/first", nil))
		accepting, full := make(chan struct{}), new(atomic.Bool)
		a.db.Fault(func(batch *store.Batch) error {
			if !full.Load() && strings.Contains(fmt.Sprintf("%+v", *batch), "Stage:"+exchange.StageQueued) {
				full.Store(true)
				close(accepting)
			}
			if full.Load() {
				return store.ErrFull
			}
			return nil
		}, nil)
		r := request(b, "PUT", "/x", randomBytes(100_000))
		r.NoCompress = true // pooled encoders must not be made in a bubble and used outside
		got := make(chan error, 1)
		go func() {
			resp, err := a.m.Call(context.Background(), r, longWait, nil)
			if err == nil {
				var body []byte
				if body, err = io.ReadAll(resp.Body); err == nil && !bytes.Equal(body, randomBytes(100_000)) {
					err = fmt.Errorf("%d bytes came back", len(body))
				}
			}
			got <- err
		}()
		<-accepting
		synctest.Wait()
		b.crash()
		b.db, b.chunks = store.NewMem(), nodetest.NewChunks()
		b.start()
		time.Sleep(5 * time.Second) // of the bubble's clock: the callers' side hears of the loss, and its disk is still full
		a.db.Fault(nil, nil)
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// A call that was asked for again while it was under way is not made again when its caller gives it up.
func TestCancelOfACallAskedForAgain(t *testing.T) {
	began := make(chan struct{}, 9)
	up := &callee{calls: map[string]int{}, slots: 1}
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		if r.Target != "/x" {
			return echo(r, body)
		}
		began <- struct{}{}
		return nil // until it is ended
	}
	a, b := pair(t, up)
	call(t, a, request(b, "HEAD", "/first", nil))
	id := post(t, a, request(b, "GET", "/x", nil))
	older := a.db.Clone()
	<-began
	until(t, "its request is acked", func() bool {
		st, err := a.db.Stats(t.Context(), b.self.ID())
		return err == nil && st.Messages == 0
	})
	post(t, a, request(b, "POST", "/forgotten", nil))
	until(t, "another waits", func() bool { return queued(t, b) == 1 })
	a.crash()
	a.db = older
	a.start()
	until(t, "it is asked for again", func() bool {
		rows, err := b.db.InboxExchange(t.Context(), id)
		return err == nil && len(rows) == 2
	})
	if err := a.m.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeCanceled {
		t.Errorf("it ended with %v", err)
	}
	if n := up.count("/x"); n != 1 {
		t.Errorf("made %d times", n)
	}
}

// The callees' side has lost its state, and refuses a request that is sent again: nothing of the body that follows is kept.
func TestBodyBehindARefusalIsNotKept(t *testing.T) {
	hang := &callee{calls: map[string]int{}, slots: 1, do: func(*exchange.Request, []byte) *exchange.Response { return nil }}
	a, b := apart(t, hang)
	b.bare = true
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	post(t, a, request(b, "PUT", "/first", nil))
	until(t, "it is under way", func() bool { return running(t, b) == 1 })
	id := post(t, a, request(b, "PUT", "/x", randomBytes(300_000)))
	until(t, "another waits", func() bool { return queued(t, b) == 1 })
	b.crash()
	b.db, b.up = store.NewMem(), refuser{hang}
	b.start()
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeUncertain { // the life that is gone may have made it
		t.Errorf("it ended with %v", err)
	}
	until(t, "all has come", func() bool {
		st, err := a.db.Stats(t.Context(), b.self.ID())
		return err == nil && st.Messages == 0
	})
	if parts, err := b.db.InboxParts(t.Context()); err != nil || len(parts) > 0 {
		t.Errorf("%d parts are left, %v", len(parts), err)
	}
	if n, err := b.m.Tally(t.Context()); err != nil || len(n.Jobs) > 0 {
		t.Errorf("%v, %v", n.Jobs, err)
	}
}

// refuser is a callee that nothing is allowed to call.
type refuser struct{ *callee }

func (refuser) Admit(*exchange.Request) *exchange.Problem {
	return exchange.Problemf(exchange.CodeDenied, "not any more")
}
