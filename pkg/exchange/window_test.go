package exchange_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// running says how many calls to callees are under way.
func running(t *testing.T, b *host) int {
	t.Helper()
	n, err := b.m.Tally(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n.Jobs[exchange.StageCalling]
}

// long answers with more than a window lets through.
func long(r *exchange.Request, _ []byte) *exchange.Response {
	if r.Method == "HEAD" {
		return echo(r, nil)
	}
	body := randomBytes(6 << 20)
	return &exchange.Response{Status: 200, Length: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}
}

// A call that is made again while its answer is being read cannot be read on: it ends, and the new try does not wait for
// ever for somebody to read.
func TestTryThatNobodyReadsEnds(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 1, do: long}
	a, b := pair(t, up)
	call(t, a, request(b, "HEAD", "/first", nil)) // they know what each other takes
	resp, err := a.m.Call(context.Background(), request(b, "GET", "/x", nil), longWait, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	b.crash()
	b.start()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("two answers passed for one")
	}
	until(t, "the new try has ended", func() bool { return up.count("/x") == 2 && running(t, b) == 0 })
}

// The callers' side is set back while an answer waits for its window: nobody will read that answer on, and the call ends
// all the same. acked: the copy knows that the request has come.
func TestSetBackWhileTheAnswerWaits(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		for _, acked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/acked=%v", method, acked), func(t *testing.T) { setBackWhileTheAnswerWaits(t, method, acked) })
		}
	}
}

func setBackWhileTheAnswerWaits(t *testing.T, method string, acked bool) {
	up := &callee{calls: map[string]int{}, slots: 2, do: long}
	a, b := pair(t, up)
	call(t, a, request(b, "HEAD", "/first", nil)) // they know what each other takes
	b.stop()
	id, heads := accepted(t, a, request(b, method, "/x", nil))
	older := a.db.Clone()
	b.start()
	resp := <-heads
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if acked {
		until(t, "the head is durable", func() bool {
			rows, err := a.db.InboxExchange(t.Context(), id)
			return err == nil && len(rows) > 0
		})
		older = a.db.Clone()
	}
	call(t, a, request(b, "HEAD", "/later", nil))
	a.crash()
	a.db = older
	a.start()
	got, err := outcome(t, a, id)
	code := problemCode(err)
	switch {
	case err == nil:
		if body, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(body, randomBytes(6<<20)) {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	case method != "POST" || code != exchange.CodeUncertain && code != exchange.CodeChunksGone:
		t.Error(err)
	}
	if n := up.count("/x"); n > 1 && method == "POST" || n > 2 {
		t.Errorf("made %d times", n)
	}
	until(t, "no call is under way", func() bool { return running(t, b) == 0 })
}

// The callers' side is set back in the middle of an answer, to a copy that does not know that its request has come: what of
// the answer it had and said so does not come again. So a GET is made again, whether or not the first answer ever ends; a POST ends
// uncertain.
func TestSetBackInTheMiddleOfAStream(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			pr, pw := io.Pipe()
			up := &callee{calls: map[string]int{}, slots: 2}
			up.do = func(r *exchange.Request, body []byte) *exchange.Response {
				if r.Target != "/x" || up.count("/x") > 1 {
					return echo(r, []byte("whole"))
				}
				return &exchange.Response{Status: 200, Length: -1, Body: pr}
			}
			a, b := pair(t, up)
			call(t, a, request(b, "HEAD", "/first", nil))
			b.stop()
			id, heads := accepted(t, a, request(b, method, "/x", nil))
			older := a.db.Clone()
			b.start()
			if _, err := pw.Write([]byte("beginning")); err != nil {
				t.Fatal(err)
			}
			resp := <-heads
			if resp == nil {
				return
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, 9)); err != nil {
				t.Fatal(err)
			}
			until(t, "all is acked", func() bool {
				st, err := b.db.Stats(t.Context(), a.self.ID())
				return err == nil && st.Messages == 0
			})
			a.crash()
			a.db = older
			a.start()
			call(t, a, request(b, "HEAD", "/later", nil))
			if method == "POST" {
				if _, err := pw.Write([]byte("end")); err != nil {
					t.Fatal(err)
				}
				pw.Close()
			}
			got, err := outcome(t, a, id)
			if method == "POST" {
				if problemCode(err) != exchange.CodeUncertain || up.count("/x") != 1 {
					t.Errorf("%v after %d calls", err, up.count("/x"))
				}
			} else if err != nil || up.count("/x") != 2 {
				t.Errorf("%v after %d calls", err, up.count("/x"))
			} else if body, err := io.ReadAll(got.Body); err != nil || string(body) != "whole" {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}

// The callers' side has lost its state, and with it a call; the callees' side makes that again when it starts. Nobody reads the
// answer, so the callers' side has it ended.
func TestAnswerToAnUnknownCallEnds(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 2}
	up.do = func(r *exchange.Request, body []byte) *exchange.Response {
		if r.Target == "/x" && up.count("/x") == 1 {
			return nil // until the site ends
		}
		return long(r, body)
	}
	a, b := pair(t, up)
	call(t, a, request(b, "HEAD", "/first", nil)) // they know what each other takes
	go func() { _, _ = a.m.Call(context.Background(), request(b, "GET", "/x", nil), longWait, nil) }()
	until(t, "it is under way", func() bool { return up.count("/x") == 1 })
	a.crash()
	a.db = store.NewMem()
	a.start()
	call(t, a, request(b, "HEAD", "/second", nil))
	b.crash()
	b.start()
	until(t, "it was made again, and has ended", func() bool { return up.count("/x") == 2 && running(t, b) == 0 })
}

// accepted makes a call and gives its id as soon as it is accepted, and its response, nil without one, when that comes.
func accepted(t *testing.T, a *host, r *exchange.Request) (exchange.ID, <-chan *exchange.Response) {
	ids, heads := make(chan exchange.ID, 1), make(chan *exchange.Response, 1)
	go func() {
		resp, err := a.m.Call(context.Background(), r, longWait, func(id exchange.ID) { ids <- id })
		if err != nil {
			t.Error(err)
		}
		heads <- resp
	}()
	return <-ids, heads
}
