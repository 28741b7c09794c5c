package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// deliver has a message of a peer come to a site, in an epoch.
func deliver(t *testing.T, at, from *host, kind frame.Kind, epoch uint64, data string, args ...any) {
	t.Helper()
	d := &node.Delivery{Peer: from.self.ID(), Delivery: link.Delivery{Message: frame.Message{Kind: kind, Data: fmt.Appendf(nil, data, args...)}, PeerEpoch: epoch}}
	if err := at.n.Do(func(s *node.Step) { d.Received = s.Now; at.m.Deliver(s, d) }); err != nil {
		t.Fatal(err)
	}
}

// ask has the request of a call to /x come.
func ask(t *testing.T, at, from *host, id exchange.ID, method string, attempt int, parts int) {
	t.Helper()
	deliver(t, at, from, frame.KindReq, uint64(attempt), `{"exchange":%q,"oep":1,"attempt":%d,"upstream":"orders","method":%q,"target":"/x","scheme":"http","host":"h","fields":[],"length":%d,"parts":%d,"at":1}`,
		id, attempt, method, parts, parts)
}

// said is what a site has said of an exchange: kind, number and problem of each message of the kinds, of all where none is named.
func said(t *testing.T, at *host, id exchange.ID, kinds ...frame.Kind) (out []string) {
	t.Helper()
	rows, err := at.db.OutboxExchange(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		var msg frame.Message
		var d struct {
			Attempt int `json:"attempt"`
			Problem struct {
				Code string `json:"code"`
			} `json:"problem"`
		}
		if len(kinds) > 0 && !slices.Contains(kinds, r.Kind) {
			continue
		}
		if err := json.Unmarshal(r.Data, &msg); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(msg.Data, &d); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %d %s", r.Kind, d.Attempt, d.Problem.Code))
	}
	return out
}

// word is an answer as said gives it; code: of its problem.
func word(attempt int, code string) string {
	return fmt.Sprintf("%s %d %s", frame.KindRes, attempt, code)
}

// awaitSaid waits until a site has said as much of an exchange as is wanted.
func awaitSaid(t *testing.T, at *host, id exchange.ID, want ...string) {
	t.Helper()
	await(t, func() []string { return said(t, at, id) }, want)
}

// awaitWords is awaitSaid of the words that a site gives on requests alone.
func awaitWords(t *testing.T, at *host, id exchange.ID, want ...string) {
	t.Helper()
	await(t, func() []string { return said(t, at, id, frame.KindRes) }, want)
}

func await(t *testing.T, look func() []string, want []string) {
	t.Helper()
	var got []string
	until(t, "all is said", func() bool { got = look(); return len(got) >= len(want) })
	if !slices.Equal(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
}

// alone is the callees' side of a pair whose other side does not run.
func alone(t *testing.T, up exchange.Upstreams, set func(b *host)) (a, b *host) {
	t.Helper()
	a, b = apart(t, up)
	set(b)
	b.start()
	t.Cleanup(func() { b.stop() })
	return a, b
}

// The word of a refusal is given again under the number of the newest try: a caller's side that was set back may have had a
// part of its answer, and takes what has a lower number for void.
func TestRefusalThatIsGivenAgainHasTheNumberOfTheNewestTry(t *testing.T) {
	g := newGate(1)
	a, b := apart(t, g)
	a.bare, b.bare = true, true
	a.start()
	b.start()
	t.Cleanup(func() { b.stop() })
	id := post(t, a, request(b, "PUT", "/x", randomBytes(100_000)))
	<-g.entered
	a.crash() // it takes no answer any more
	b.crash()
	b.up = &callee{calls: map[string]int{}} // what was called is no longer there
	b.start()
	ask(t, b, a, id, "PUT", 2, 100000)
	awaitWords(t, b, id, word(1001, exchange.CodeUncertain), word(2001, exchange.CodeUncertain))
}

// fickle is a callee that is not always there, or not always allowed to be called.
type fickle struct {
	*callee
	away, denied atomic.Bool
}

func (u *fickle) Admit(r *exchange.Request) *exchange.Problem {
	if u.denied.Load() {
		return exchange.Problemf(exchange.CodeDenied, "not any more")
	}
	return u.callee.Admit(r)
}

func (u *fickle) Do(ctx context.Context, r *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	if u.away.Load() {
		return nil, false, exchange.Problemf(exchange.CodeCalleeRefused, "connection refused")
	}
	return u.callee.Do(ctx, r)
}

// What cannot be made a second time may have been made the first time: nobody is told that the server was not called.
func TestRefusalAfterATryIsUncertain(t *testing.T) {
	for name, set := range map[string]func(u *fickle){
		"away":   func(u *fickle) { u.away.Store(true) },
		"denied": func(u *fickle) { u.denied.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			u := &fickle{callee: &callee{calls: map[string]int{}, slots: 1, do: echo}}
			a, b := alone(t, u, func(*host) {})
			made, never := exchange.NewID(time.Now()), exchange.NewID(time.Now())
			ask(t, b, a, made, "PUT", 1, 0)
			awaitWords(t, b, made, word(1001, ""))
			ended(t, b, made)
			set(u)
			code := map[string]string{"away": exchange.CodeCalleeRefused, "denied": exchange.CodeDenied}[name]
			try := map[string]int{"away": 1}[name]
			ask(t, b, a, never, "PUT", 1, 0)
			awaitWords(t, b, never, word(1000+try, code))
			ask(t, b, a, made, "PUT", 2, 0)
			awaitWords(t, b, made, word(1001, ""), word(2001+try, exchange.CodeUncertain))
			if n := u.count("/x"); n != 1 {
				t.Errorf("made %d times", n)
			}
		})
	}
}

// ended waits until an exchange has ended at the callees' side, durably.
func ended(t *testing.T, at *host, id exchange.ID) {
	t.Helper()
	until(t, "it has ended", func() bool {
		row, err := at.db.Exchange(t.Context(), id, store.SideEgress)
		return err == nil && !row.Ended.IsZero()
	})
}

// A request whose body never comes was not made, unless it was sent before: an earlier life of the site may have had all of it.
func TestBodyThatNeverComes(t *testing.T) {
	a, b := alone(t, &callee{calls: map[string]int{}, slots: 1, do: echo}, func(b *host) { b.keep = time.Nanosecond })
	first, again := exchange.NewID(time.Now()), exchange.NewID(time.Now())
	ask(t, b, a, first, "PUT", 1, 10)
	ask(t, b, a, again, "PUT", 2, 10)
	until(t, "both wait for their bodies", func() bool {
		n, err := b.m.Tally(t.Context())
		return err == nil && n.Jobs[exchange.StageWritten] == 2
	})
	expire(t, b, func() bool {
		return len(said(t, b, first, frame.KindRes)) == 1 && len(said(t, b, again, frame.KindRes)) == 1
	})
	awaitWords(t, b, first, word(1000, exchange.CodeDeadline))
	awaitWords(t, b, again, word(2000, exchange.CodeUncertain))
}

// expire has a site look for what is old and delete it until something holds. It looks again and again: what a look comes too early
// for has to wait for the next one, which comes after a minute.
func expire(t *testing.T, at *host, holds func() bool) {
	t.Helper()
	for pause := 100 * time.Millisecond; pause < 2*longWait; pause *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), pause)
		over := make(chan struct{})
		go func() { at.m.Expire(ctx); close(over) }()
		done := holds()
		for !done && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
			done = holds()
		}
		cancel()
		<-over
		if done {
			return
		}
	}
	t.Fatal("what is old is not deleted")
}

// A call that its caller gave up when it was over is not made once more when its request comes again.
func TestCancelOvertakesTheRepeatOfWhatIsOver(t *testing.T) {
	for _, method := range []string{"PUT", "POST"} {
		u := &callee{calls: map[string]int{}, slots: 1, do: echo}
		a, b := alone(t, u, func(*host) {})
		id := exchange.NewID(time.Now())
		ask(t, b, a, id, "PUT", 1, 0)
		awaitWords(t, b, id, word(1001, ""))
		ended(t, b, id)
		deliver(t, b, a, frame.KindCancel, 1, `{"exchange":%q}`, id)
		ask(t, b, a, id, method, 2, 0)
		awaitWords(t, b, id, word(1001, ""), word(2001, exchange.CodeCanceled))
		if row, err := b.db.Exchange(t.Context(), id, store.SideEgress); err != nil || row.State != exchange.StateSucceeded || u.count("/x") != 1 {
			t.Errorf("%s: it became %q, made %d times, %v", method, row.State, u.count("/x"), err)
		}
	}
}

// What a site has said of an exchange last is forgotten after what it has said of others before.
func TestNewerWordIsForgottenLast(t *testing.T) {
	u := &callee{calls: map[string]int{}, slots: 1, do: echo}
	a, b := alone(t, u, func(b *host) { b.keep, b.ttl = time.Nanosecond, time.Nanosecond })
	cancel := func(id exchange.ID) { deliver(t, b, a, frame.KindCancel, 1, `{"exchange":%q}`, id) }
	id := exchange.NewID(time.Now())
	cancel(id)
	until(t, "its end is past, in the milliseconds that are stored", func() bool {
		row, err := b.db.Exchange(t.Context(), id, store.SideEgress)
		return err == nil && time.Now().Add(-time.Microsecond).UnixMilli() > row.Ended.UnixMilli()
	})
	expire(t, b, func() bool {
		_, err := b.db.Exchange(t.Context(), id, store.SideEgress)
		return err != nil
	})
	for range 2 {
		cancel(id)
	}
	var last exchange.ID
	for range 4095 { // and itself: as many as are kept
		last = exchange.NewID(time.Now())
		cancel(last)
	}
	ended(t, b, last)
	ask(t, b, a, id, "PUT", 1, 0)
	awaitWords(t, b, id, word(1000, exchange.CodeCanceled))
	if n := u.count("/x"); n != 0 {
		t.Errorf("made %d times", n)
	}
}

// A message that is set aside says nothing of whether the server was called: a key whose call has ended so is not free.
func TestKeyOfACallThatWasSetAside(t *testing.T) {
	g := newGate(1)
	a, b := pair(t, g)
	id := post(t, a, keyedRequest(b, "/x", "k", "once"))
	<-g.entered
	poison(t, b, a, id)
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodePoison {
		t.Errorf("ended with %v", err)
	}
	if _, err := a.m.Call(t.Context(), keyedRequest(b, "/x", "k", "once"), longWait, func(again exchange.ID) {
		if again != id {
			t.Error("the call is made once more")
		}
	}); problemCode(err) != exchange.CodePoison {
		t.Errorf("with the same key: %v", err)
	}
	close(g.open)
}

// A message of an answer that cannot be used, or is set aside, ends the call at both sites: its caller does not wait for ever, and
// what is left of the answer does not wait for its window.
func TestAnswerThatCannotBeUsedEndsAtBothSites(t *testing.T) {
	for name, come := range map[string]func(t *testing.T, a, b *host, id exchange.ID){
		"part": func(t *testing.T, a, b *host, id exchange.ID) {
			deliver(t, a, b, frame.KindBody, 1, `{"exchange":%q,"attempt":1001,"offset":-1}`, id)
		},
		"set aside": func(t *testing.T, a, b *host, id exchange.ID) { poison(t, a, b, id) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, &callee{calls: map[string]int{}, slots: 1, do: long})
			call(t, a, request(b, "HEAD", "/first", nil))
			id, begun := accepted(t, a, request(b, "GET", "/x", nil))
			resp := <-begun // and it is not read
			defer resp.Body.Close()
			if running(t, b) != 1 {
				t.Fatal("the answer does not wait for its window")
			}
			come(t, a, b, id)
			until(t, "the call has ended", func() bool { return stateOf(t, a, id).State == exchange.StateFailed })
			until(t, "its slot is free", func() bool { return running(t, b) == 0 })
		})
	}
}

// A head that cannot be used ends the call.
func TestHeadThatCannotBeUsed(t *testing.T) {
	g := newGate(1)
	a, b := pair(t, g)
	id := post(t, a, request(b, "GET", "/x", nil))
	<-g.entered
	deliver(t, a, b, frame.KindRes, 1, `{"exchange":%q,"attempt":1001,"status":200,"fields":[],"length":1,"news":1}`, id)
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeInternal {
		t.Errorf("it ended with %v", err)
	}
	until(t, "its slot is free", func() bool { return running(t, b) == 0 })
}

// A part of a request that cannot be used ends the request, and what came of it is not kept.
func TestPartThatCannotBeUsedEndsTheRequest(t *testing.T) {
	a, b := alone(t, &callee{calls: map[string]int{}, slots: 1, do: echo}, func(*host) {})
	id := exchange.NewID(time.Now())
	ask(t, b, a, id, "PUT", 1, 10)
	deliver(t, b, a, frame.KindBody, 1, `{"exchange":%q,"attempt":0,"offset":-1}`, id)
	awaitWords(t, b, id, word(0, exchange.CodeInternal))
	n, err := b.m.Tally(t.Context())
	if err != nil || len(n.Jobs) > 0 {
		t.Errorf("left: %v, %v", n.Jobs, err)
	}
}

// Parts of a try that is void are not looked for in the store, although the commit that stores them ends after the next try began.
func TestPartsOfAVoidTryAreNotRead(t *testing.T) {
	a, b := apart(t, nil)
	a.start()
	t.Cleanup(func() { a.stop() })
	id, begun := accepted(t, a, request(b, "GET", "/x", nil))
	const size, parts = 40 << 10, 15 // more than waits in memory
	part := func(attempt, n int) *node.Delivery {
		last := ""
		if n == parts-1 {
			last = fmt.Sprintf(`,"total":%d`, size*parts)
		}
		data := fmt.Appendf(nil, `{"exchange":%q,"attempt":%d,"offset":%d%s}`, id, attempt, n*size, last)
		return &node.Delivery{Peer: b.self.ID(), Delivery: link.Delivery{Message: frame.Message{Kind: frame.KindBody, Data: data, Body: randomBytes(size)}, PeerEpoch: 1}}
	}
	come := func(ds ...*node.Delivery) {
		t.Helper()
		if err := a.m.Await(t.Context(), id, 0); !errors.Is(err, exchange.ErrWait) {
			t.Fatalf("it has ended: %v", err)
		}
		if err := a.n.Do(func(s *node.Step) {
			for _, d := range ds {
				a.m.Deliver(s, d)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	var void []*node.Delivery
	for n := range parts {
		void = append(void, part(1001, n))
	}
	come(append(void, part(1002, 0))...)
	deliver(t, a, b, frame.KindRes, 1, `{"exchange":%q,"attempt":1002,"status":200,"fields":[],"length":-1,"more":true}`, id)
	resp := <-begun
	defer resp.Body.Close()
	for n := range parts {
		if n > 0 {
			come(part(1002, n))
		}
		if got, err := io.ReadAll(io.LimitReader(resp.Body, size)); err != nil || !bytes.Equal(got, randomBytes(size)) {
			t.Fatalf("part %d: %d bytes, %v", n, len(got), err)
		}
	}
}

// An answer whose parts do not fit ends the call: nothing would ever make it whole, or who reads it would wait where no part begins.
func TestPartsThatDoNotFit(t *testing.T) {
	part := func(offset, n int, total int) *node.Delivery {
		last := ""
		if total > 0 {
			last = fmt.Sprintf(`,"total":%d`, total)
		}
		return &node.Delivery{Delivery: link.Delivery{Message: frame.Message{Kind: frame.KindBody, Data: fmt.Appendf(nil, `"attempt":1001,"offset":%d%s}`, offset, last),
			Body: randomBytes(100)[offset : offset+n]}, PeerEpoch: 1}}
	}
	for name, c := range map[string]struct {
		parts []*node.Delivery
		code  string
	}{
		"overlap":               {[]*node.Delivery{part(0, 10, 0), part(5, 10, 15)}, exchange.CodeInternal},
		"overlap, from behind":  {[]*node.Delivery{part(5, 10, 15), part(0, 10, 0)}, exchange.CodeInternal},
		"longer than was said":  {[]*node.Delivery{part(0, 10, 0), part(10, 10, 15)}, exchange.CodeInternal},
		"said after it came":    {[]*node.Delivery{part(0, 10, 0), part(10, 0, 5)}, exchange.CodeInternal},
		"repeated":              {[]*node.Delivery{part(0, 10, 0), part(0, 10, 0), part(10, 5, 15)}, ""},
		"repeated in other cut": {[]*node.Delivery{part(0, 10, 0), part(0, 7, 0), part(10, 5, 15)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := apart(t, nil)
			a.start()
			t.Cleanup(func() { a.stop() })
			id, begun := accepted(t, a, request(b, "GET", "/x", nil))
			deliver(t, a, b, frame.KindRes, 1, `{"exchange":%q,"attempt":1001,"status":200,"fields":[],"length":-1,"more":true}`, id)
			resp := <-begun
			defer resp.Body.Close()
			for _, d := range c.parts {
				d.Peer, d.Data = b.self.ID(), append(fmt.Appendf(nil, `{"exchange":%q,`, id), d.Data...)
				if err := a.n.Do(func(s *node.Step) { a.m.Deliver(s, d) }); err != nil {
					t.Fatal(err)
				}
			}
			got, err := io.ReadAll(resp.Body)
			var ab *exchange.Abort
			if c.code == "" && (err != nil || !bytes.Equal(got, randomBytes(100)[:15])) || c.code != "" && !errors.As(err, &ab) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			until(t, "the call has ended", func() bool { return stateOf(t, a, id).State != exchange.StateRunning })
			if st := stateOf(t, a, id); c.code == "" && st.Problem != nil || c.code != "" && (st.Problem == nil || st.Problem.Code != c.code) {
				t.Errorf("it ended with %v", st.Problem)
			}
		})
	}
}
