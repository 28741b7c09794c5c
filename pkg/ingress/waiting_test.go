package ingress

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
)

// waiting is a caller with one exchange, whose end the test decides.
type waiting struct {
	fakeCaller
	mu     sync.Mutex
	state_ exchange.State
	wait   time.Duration // of the last Call or Await
	out    *exchange.Request
	body   string
	ended  chan struct{}
	events []exchange.Event
	watch  *exchange.Watch
	filter exchange.Filter
}

func newWaiting() *waiting {
	w := &waiting{ended: make(chan struct{}), watch: exchange.NewWatch(nil), body: "0123456789"}
	w.state_ = exchange.State{ID: fixedID, Peer: "site-b", Upstream: "orders", Method: "POST", Stage: "written", State: "running", Created: time.Now()}
	w.call = func(_ context.Context, r *exchange.Request, wait time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
		if r.Body != nil {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return nil, err
			}
		}
		w.mu.Lock()
		w.out, w.wait = r, wait
		w.mu.Unlock()
		accepted(fixedID)
		return nil, exchange.ErrWait
	}
	w.state = func(id exchange.ID) (*exchange.State, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		st := w.state_
		if id != st.ID {
			return nil, exchange.ErrUnknown
		}
		return &st, nil
	}
	w.result = func(exchange.ID) (*exchange.Response, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.state_.State == "running" {
			return nil, exchange.ErrPending
		}
		return answer(w.state_.Status, w.body, "Content-Type", "text/plain"), nil
	}
	return w
}

func (w *waiting) end(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state_.State, w.state_.Stage, w.state_.Status, w.state_.ResBytes = "succeeded", "answered", status, int64(len(w.body))
	close(w.ended)
}

func (w *waiting) Await(ctx context.Context, _ exchange.ID, wait time.Duration) error {
	w.mu.Lock()
	w.wait = wait
	w.mu.Unlock()
	select {
	case <-w.ended:
		return nil
	case <-time.After(wait):
		return exchange.ErrWait
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *waiting) Cancel(context.Context, exchange.ID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state_.State == "running" {
		w.state_.Stage = exchange.StageCanceling
	}
	return nil
}

func (w *waiting) List(_ context.Context, f exchange.Filter) ([]*exchange.State, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.filter = f
	st := w.state_
	return []*exchange.State{&st, &st, &st}[:min(3, f.Limit)], nil
}

func (w *waiting) Watch(context.Context, exchange.ID) (*exchange.Watch, error) { return w.watch, nil }

func (w *waiting) Events(_ context.Context, _ exchange.ID, after int64, limit int) (out []exchange.Event, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.N > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (w *waiting) add(events ...exchange.Event) {
	w.mu.Lock()
	w.events = append(w.events, events...)
	w.mu.Unlock()
	w.watch.Poke()
}

const statePath = exchangesPath + "01a201e6-a330-7c55-9e1b-6a0d1c2b7e44"

type allowed string

func (a allowed) Check(url string) *exchange.Problem {
	if url == string(a) {
		return nil
	}
	return exchange.Problemf(exchange.CodeCallback, "no")
}

func TestAcceptedCalls(t *testing.T) {
	for name, c := range map[string]struct {
		route   config.Route
		fields  string
		status  int
		wait    time.Duration
		applied string
		code    string
		hook    string
		notify  bool
	}{
		"holds":              {config.Route{}, "", 504, time.Minute, "", "not-arrived", "", false},
		"holds as long":      {config.Route{}, "Prefer: wait=3\r\n", 504, 3 * time.Second, "", "not-arrived", "", false},
		"asked for":          {config.Route{}, "Prefer: respond-async\r\n", 202, 0, "respond-async", "", "", false},
		"after a while":      {config.Route{}, "Prefer: respond-async, wait=5\r\n", 202, 5 * time.Second, "respond-async, wait=5", "", "", false},
		"no longer than max": {config.Route{}, "Prefer: wait=99999\r\nPrefer: respond-async\r\n", 202, time.Hour, "respond-async, wait=3600", "", "", false},
		"route":              {config.Route{Mode: "async"}, "", 202, 0, "", "", "", false},
		"route, but waits":   {config.Route{Mode: "async"}, "Prefer: wait=5\r\n", 202, 5 * time.Second, "wait=5", "", "", false},
		"nothing kept":       {config.Route{Keep: "none"}, "Prefer: respond-async\r\n", 504, time.Minute, "", "not-arrived", "", false},
		"callback field":     {config.Route{}, "Hoft-Callback-Url: https://a.example/x\r\nHoft-Callback-Events: stages\r\n", 202, 0, "callback", "", "https://a.example/x", true},
		"callback":           {config.Route{}, "Prefer: respond-async, callback; url=\"https://a.example/x\"\r\n", 202, 0, "respond-async, callback", "", "https://a.example/x", false},
		"of OData":           {config.Route{}, "Prefer: odata.callback;url=\"https://a.example/x\"\r\n", 202, 0, "callback", "", "https://a.example/x", false},
		"callback refused":   {config.Route{}, "Prefer: callback; url=\"https://b.example/x\"\r\n", 403, 0, "", "callback-refused", "", false},
		"callback, unkept":   {config.Route{Keep: "none"}, "Hoft-Callback-Url: https://a.example/x\r\n", 400, 0, "", "answers-not-kept", "", false},
		"a comma in quotes":  {config.Route{}, "Prefer: x=\", respond-async\", wait=2\r\n", 504, 2 * time.Second, "", "not-arrived", "", false},
		"the first counts":   {config.Route{}, "Prefer: wait=2, wait=9\r\n", 504, 2 * time.Second, "", "not-arrived", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWaiting()
			s := start(t, w, func(cfg *config.Ingress) {
				c.route.Path, c.route.Peer, c.route.Upstream, c.route.Wait = "/", "site-b", "orders", time.Minute
				cfg.Routes = []config.Route{c.route}
			})
			s.With(Options{Receivers: allowed("https://a.example/x")})
			g := s.send(t, "POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n"+c.fields+end)
			if g.StatusCode != c.status || g.problem.Code != c.code {
				t.Fatalf("%d %s", g.StatusCode, g.text)
			}
			if c.status == 400 || c.status == 403 {
				return
			}
			if w.wait != c.wait || w.out.Callback != c.hook || w.out.Notify != c.notify || w.out.Transient != (c.route.Keep == "none") {
				t.Errorf("waited %s, request %+v", w.wait, w.out)
			}
			for _, f := range w.out.Fields {
				if strings.HasPrefix(f.Name, "Hoft-") || f.Name == "Prefer" && strings.Contains(f.Value, "async") && !strings.Contains(f.Value, `"`) {
					t.Errorf("%s: %s crosses", f.Name, f.Value)
				}
			}
			if c.status != 202 {
				return
			}
			want := fmt.Sprint(statePath, statePath, "1", fixedID, c.applied, "application/json")
			h := g.Header
			if got := fmt.Sprint(h.Get("Location"), h.Get("Operation-Location"), h.Get("Retry-After"), h.Get("Hoft-Exchange"), h.Get("Preference-Applied"), h.Get("Content-Type")); got != want {
				t.Errorf("header %s, want %s", got, want)
			}
			if !strings.Contains(g.text, `"status":"Running"`) {
				t.Errorf("body %s", g.text)
			}
		})
	}
}

func TestLongPoll(t *testing.T) {
	w := newWaiting()
	s := start(t, w, nil)
	g := s.send(t, "GET "+statePath+" HTTP/1.1\r\nHost: HOST\r\nPrefer: wait=0\r\n"+end)
	if g.StatusCode != 200 || !strings.Contains(g.text, `"done":false`) || g.Header.Get("Preference-Applied") != "wait=0" {
		t.Errorf("%d %s", g.StatusCode, g.text)
	}
	got := make(chan got, 2)
	for _, path := range []string{statePath, statePath + "/response"} {
		go func() { got <- s.send(t, "GET "+path+" HTTP/1.1\r\nHost: HOST\r\nPrefer: wait=60\r\n"+end) }()
	}
	w.end(201)
	for range 2 {
		if g := <-got; !(g.StatusCode == 201 && g.text == "0123456789") && !(g.StatusCode == 200 && strings.Contains(g.text, `"done":true`)) {
			t.Errorf("%d %s", g.StatusCode, g.text)
		}
	}
}

func TestPartsOfAnAnswer(t *testing.T) {
	w := newWaiting()
	w.end(200)
	s := start(t, w, nil)
	tag := `"` + fixedID.String() + `"`
	for name, c := range map[string]struct {
		fields string
		status int
		body   string
		rng    string
	}{
		"all":          {"", 200, "0123456789", ""},
		"a range":      {"Range: bytes=2-4\r\n", 206, "234", "bytes 2-4/10"},
		"the end":      {"Range: bytes=-3\r\n", 206, "789", "bytes 7-9/10"},
		"if the same":  {"Range: bytes=2-4\r\nIf-Range: " + tag + "\r\n", 206, "234", "bytes 2-4/10"},
		"if another":   {"Range: bytes=2-4\r\nIf-Range: \"x\"\r\n", 200, "0123456789", ""},
		"beyond":       {"Range: bytes=99-\r\n", 416, "-", "bytes */10"},
		"not again":    {"If-None-Match: " + tag + "\r\n", 304, "", ""},
		"if it is not": {"If-Match: \"x\"\r\n", 412, "-", ""},
		"other unit":   {"Range: items=2-4\r\n", 200, "0123456789", ""},
		"no unit":      {"Range: 2-4\r\n", 200, "0123456789", ""},
		"capitals":     {"Range: Bytes=2-4\r\n", 206, "234", "bytes 2-4/10"},
	} {
		g := s.send(t, "GET "+statePath+"/response HTTP/1.1\r\nHost: HOST\r\n"+c.fields+end)
		if g.StatusCode != c.status || c.body != "-" && g.text != c.body || g.Header.Get("Content-Range") != c.rng {
			t.Errorf("%s: %d %q %q", name, g.StatusCode, g.text, g.Header.Get("Content-Range"))
		}
		if code := map[int]string{412: "precondition-failed", 416: "range-outside"}[c.status]; g.problem.Code != code || code != "" && g.Header.Get("Hoft-Exchange") != fixedID.String() {
			t.Errorf("%s: %+v, header %v", name, g.problem, g.Header)
		}
		if c.status < 300 && (g.Header.Get("Etag") != tag || g.Header.Get("Accept-Ranges") != "bytes") {
			t.Errorf("%s: header %v", name, g.Header)
		}
	}
	g := s.send(t, "GET "+statePath+"/response HTTP/1.1\r\nHost: HOST\r\nRange: bytes=8-9,0-1,4-4\r\n"+end)
	if g.StatusCode != 206 || !strings.Contains(g.text, "bytes 8-9/10\r\n") || !strings.Contains(g.text, "\r\n\r\n89\r\n") || !strings.Contains(g.text, "\r\n\r\n01\r\n") {
		t.Errorf("several: %d %q", g.StatusCode, g.text)
	}
}

func TestCancelByDelete(t *testing.T) {
	w := newWaiting()
	s := start(t, w, nil)
	g := s.send(t, "DELETE "+statePath+" HTTP/1.1\r\nHost: HOST\r\n"+end)
	if g.StatusCode != 202 || !strings.Contains(g.text, `"stage":"canceling"`) {
		t.Errorf("%d %s", g.StatusCode, g.text)
	}
	w.end(200)
	if g := s.send(t, "DELETE "+statePath+" HTTP/1.1\r\nHost: HOST\r\n"+end); g.StatusCode != 200 || !strings.Contains(g.text, `"Succeeded"`) {
		t.Errorf("finished: %d %s", g.StatusCode, g.text)
	}
	if g := s.send(t, "DELETE "+strings.Replace(statePath, "44", "45", 1)+" HTTP/1.1\r\nHost: HOST\r\n"+end); g.StatusCode != 404 {
		t.Errorf("unknown: %d", g.StatusCode)
	}
}

// named gives the listener two callers.
func named(t *testing.T) func(*config.Ingress) {
	t.Setenv("TOKEN_ALICE", "alice-alice-alice-alice")
	t.Setenv("TOKEN_BOB", "bob-bob-bob-bob-bob-bob")
	return func(c *config.Ingress) {
		c.AuthField = config.DefaultAuthField
		c.Callers = []config.Caller{{Name: "alice", TokenFile: "env:TOKEN_ALICE"}, {Name: "bob", TokenFile: "env:TOKEN_BOB"}}
	}
}

// as is the field by which a caller shows its name.
func as(name string) string {
	return "Proxy-Authorization: Bearer " + strings.TrimSuffix(strings.Repeat(name+"-", map[string]int{"alice": 4, "bob": 6}[name]), "-") + "\r\n"
}

func TestWhoMayAsk(t *testing.T) {
	w := newWaiting()
	w.state_.Owner = "alice"
	s := start(t, w, named(t))
	for _, c := range []struct {
		request, who string
		status       int
	}{
		{"GET " + statePath, "alice", 200}, {"GET " + statePath, "bob", 404}, {"GET " + statePath, "", 407},
		{"DELETE " + statePath, "bob", 404}, {"GET " + statePath + "/events", "bob", 404}, {"GET " + statePath + "/response", "bob", 404},
		{"GET " + exchangesRoot, "alice", 200},
		{"GET " + exchangesRoot + "?limit=0", "alice", 400}, {"GET " + exchangesRoot + "?stat=x", "alice", 400}, {"GET " + exchangesRoot + "?state=x", "alice", 400},
		{"GET " + exchangesRoot + "?since=x", "alice", 400}, {"GET " + exchangesRoot + "?after=x", "alice", 400}, {"DELETE " + exchangesRoot, "alice", 405},
	} {
		if g := s.send(t, c.request+" HTTP/1.1\r\nHost: HOST\r\n"+as(c.who)+end); g.StatusCode != c.status {
			t.Errorf("%s by %q: %d %s", c.request, c.who, g.StatusCode, g.text)
		}
	}
	g := s.send(t, "GET "+exchangesRoot+"?limit=2&state=failed&peer=p&route=/r&since=2026-11-22T08:15:00Z&after="+fixedID.String()+" HTTP/1.1\r\nHost: HOST\r\n"+as("alice")+end)
	want := exchange.Filter{Owner: "alice", Peer: "p", State: "failed", Route: "/r", Since: time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC), After: fixedID, Limit: 3}
	if w.filter != want {
		t.Errorf("filter %+v", w.filter)
	}
	anonymous := start(t, w, nil)
	for request, status := range map[string]int{"GET " + exchangesRoot: 403, "GET " + eventsPath: 403, "GET " + statePath: 404} {
		if g := anonymous.send(t, request+" HTTP/1.1\r\nHost: HOST\r\n"+end); g.StatusCode != status {
			t.Errorf("%s by nobody: %d", request, g.StatusCode)
		}
	}
	var page listJSON
	if err := json.Unmarshal([]byte(g.text), &page); err != nil || len(page.Exchanges) != 2 || !strings.Contains(page.Next, "after="+fixedID.String()) || !strings.Contains(g.Header.Get("Link"), `rel="next"`) {
		t.Errorf("%s %v", g.text, err)
	}
}

// nextEvent reads one event of a stream.
func nextEvent(t *testing.T, r *bufio.Reader) map[string]string {
	t.Helper()
	out := map[string]string{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			out["end"] = err.Error()
			return out
		}
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			return out
		}
		name, value, _ := strings.Cut(line, ": ")
		out[name] = value
	}
}

func TestEventStream(t *testing.T) {
	w := newWaiting()
	s := start(t, w, nil)
	at := time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC)
	w.add(exchange.Event{N: 5, Exchange: fixedID, Type: "queued", At: at})
	open := func(last string) (*http.Response, *bufio.Reader) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.addr+statePath+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp, bufio.NewReader(resp.Body)
	}
	resp, r := open("")
	if h := resp.Header; h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" {
		t.Errorf("header %v", h)
	}
	if e := nextEvent(t, r); e["retry"] != "3000" {
		t.Errorf("first %v", e)
	}
	e := nextEvent(t, r)
	var ce exchange.CloudEvent
	if err := json.Unmarshal([]byte(e["data"]), &ce); err != nil {
		t.Fatal(err)
	}
	if e["id"] != "5" || e["event"] != "exchange.queued" || ce.ID != "5" || ce.Type != "hoft.exchange.queued" || ce.Source != "hoft://site-a" || ce.Subject != fixedID.String() ||
		ce.SpecVersion != "1.0" || !ce.Time.Equal(at) || ce.Data.Stage != "queued" || ce.Data.Peer != "site-b" {
		t.Errorf("%v: %+v", e, ce)
	}
	w.add(exchange.Event{N: 7, Exchange: fixedID, Type: "written", At: at})
	if e := nextEvent(t, r); e["id"] != "7" {
		t.Errorf("while it is open: %v", e)
	}
	w.end(404)
	w.add(exchange.Event{N: 9, Exchange: fixedID, Type: exchange.EventCompleted, At: at})
	if e = nextEvent(t, r); e["event"] != "exchange.completed" || !strings.Contains(e["data"], `"status":404`) || !strings.Contains(e["data"], `"state":"succeeded"`) {
		t.Errorf("last %v", e)
	}
	if e := nextEvent(t, r); e["end"] != "EOF" {
		t.Errorf("after the last: %v", e)
	}
	_, r = open("7")
	nextEvent(t, r)
	if e := nextEvent(t, r); e["id"] != "9" {
		t.Errorf("resumed: %v", e)
	}
	if resp, _ := open("9"); resp.StatusCode != 204 {
		t.Errorf("nothing left: %d", resp.StatusCode)
	}
	if resp, _ := open("x"); resp.StatusCode != 400 {
		t.Errorf("a bad id: %d", resp.StatusCode)
	}
}

// Stopping the server ends streams and long polls: they must not hold it up.
func TestShutdownEndsStreams(t *testing.T) {
	w := newWaiting()
	s := start(t, w, nil)
	c := dial(t, s.addr)
	if _, err := io.WriteString(c, "GET "+statePath+"/events HTTP/1.1\r\nHost: "+s.addr+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no grace
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the stream ends by %v", err)
	}
}

func TestRates(t *testing.T) {
	w := newWaiting()
	s := start(t, w, func(c *config.Ingress) { named(t)(c); c.Routes[0].Mode = "async" })
	post := func(who, body string) got {
		return s.send(t, fmt.Sprintf("POST /x HTTP/1.1\r\nHost: HOST\r\n%sContent-Length: %d\r\n%s%s", as(who), len(body), end, body))
	}
	s.With(Options{Limits: Limits{CallerCalls: config.Rate{N: 2, Per: time.Hour}, PeerCalls: config.Rate{N: 3, Per: time.Hour}}})
	for i, c := range []struct {
		who    string
		status int
	}{{"alice", 202}, {"alice", 202}, {"alice", 429}, {"bob", 202}, {"bob", 429}} {
		g := post(c.who, "")
		if g.StatusCode != c.status || (c.status == 429) != (g.problem.Code == "rate-limited") || (c.status == 429) != (len(g.Header.Get("Retry-After")) == 4) {
			t.Errorf("call %d: %d %s, Retry-After %s", i, g.StatusCode, g.text, g.Header.Get("Retry-After"))
		}
	}
	s.With(Options{Limits: Limits{CallerBytes: config.Rate{N: 10, Per: time.Hour}}})
	for i, status := range []int{202, 202, 429} {
		if g := post("alice", "123456"); g.StatusCode != status {
			t.Errorf("bytes, call %d: %d %s", i, g.StatusCode, g.text)
		}
	}
	if g := post("bob", "123456"); g.StatusCode != 202 {
		t.Errorf("another caller: %d", g.StatusCode)
	}
}

func TestIdempotencyKeyField(t *testing.T) {
	for text, want := range map[string]string{`"a b"`: "a b", "8e03978e-40d5": "8e03978e-40d5", "a b": "!", `a"`: "!", "a,b": "!", `"a\"b"`: `a"b`, "": "!", `""`: "!", "é": "!", strings.Repeat("x", 256): "!"} {
		key, p := idempotencyKey(http.Header{keyField: {text}})
		if p != nil {
			key = "!"
		}
		if key != want {
			t.Errorf("%q: %q", text, key)
		}
	}
	if _, p := idempotencyKey(http.Header{keyField: {"a", "b"}}); p == nil {
		t.Error("two keys")
	}
}

// A call that was accepted is answered with 202 also where its state cannot be had: the caller must not take it for refused.
func TestAcceptedWhateverTheState(t *testing.T) {
	w := newWaiting()
	w.state = func(exchange.ID) (*exchange.State, error) { return nil, context.DeadlineExceeded }
	s := start(t, w, nil)
	g := s.send(t, "POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\nPrefer: respond-async\r\n"+end)
	if g.StatusCode != 202 || g.Header.Get("Location") != statePath || !strings.Contains(g.text, `"stage":"accepted"`) {
		t.Errorf("%d %v %s", g.StatusCode, g.Header, g.text)
	}
}
