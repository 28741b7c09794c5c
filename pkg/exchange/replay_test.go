package exchange_test

import (
	"errors"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
)

func TestReplay(t *testing.T) {
	c := &callee{calls: map[string]int{}, do: echo, slots: 9}
	a, b := pair(t, c)
	body := randomBytes(300 << 10) // several parts
	done := func(r *exchange.Request) exchange.ID {
		t.Helper()
		id := post(t, a, r)
		if err := a.m.Await(t.Context(), id, longWait); err != nil {
			t.Fatal(err)
		}
		return id
	}
	again := func(id exchange.ID, force bool) *exchange.Response {
		t.Helper()
		fresh, err := a.m.Replay(t.Context(), id, force)
		if err != nil {
			t.Fatal(err)
		}
		if st := stateOf(t, a, fresh); st.ReplayOf != id || fresh == id {
			t.Errorf("%s repeats %s", fresh, st.ReplayOf)
		}
		return awaitResult(t, a, fresh)
	}
	put := done(request(b, "PUT", "/put", body))
	if got, err := io.ReadAll(again(put, false).Body); err != nil || string(got) != string(body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	plain := done(request(b, "POST", "/plain", []byte("short")))
	if _, err := a.m.Replay(t.Context(), plain, false); !errors.Is(err, exchange.ErrUnsafe) {
		t.Errorf("unsafe: %v", err)
	}
	if got, _ := io.ReadAll(again(plain, true).Body); string(got) != "short" {
		t.Errorf("forced: %q", got)
	}
	keyed := done(keyedRequest(b, "/keyed", "k", "hello"))
	again(keyed, false)
	resp, _ := call(t, a, keyedRequest(b, "/keyed", "k", "hello"))
	if n := c.count("/keyed"); n != 2 || !resp.Replayed || resp.Exchange == keyed {
		t.Errorf("made %d times; the key stands for %s, which was made first", n, resp.Exchange)
	}
	nowhere := request(b, "POST", "/nowhere", []byte("x"))
	nowhere.Upstream = "nobody"
	id := done(nowhere)
	if _, err := a.m.Replay(t.Context(), id, false); err != nil {
		t.Errorf("what was not made: %v", err)
	}
	short := request(b, "POST", "/gone", []byte("x"))
	short.Transient = true
	id = done(short)
	for {
		if _, err := a.m.Replay(t.Context(), id, true); errors.Is(err, exchange.ErrGone) {
			break // its content goes with the commit after its end
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.m.Replay(t.Context(), exchange.ID{1}, true); !errors.Is(err, exchange.ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
}

func TestReplayOfWhatRuns(t *testing.T) {
	g := newGate(9)
	a, b := pair(t, g)
	id := post(t, a, request(b, "GET", "/x", nil))
	if _, err := a.m.Replay(t.Context(), id, true); !errors.Is(err, exchange.ErrRunning) {
		t.Errorf("%v", err)
	}
	close(g.open)
	awaitResult(t, a, id)
}
