package ingress

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
	"github.com/hoft/hoft/pkg/identity"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// fakeCaller answers as its functions say.
type fakeCaller struct {
	exchange.Caller // nil: what a test does not say must not be asked
	call            func(ctx context.Context, r *exchange.Request, wait time.Duration, accepted func(exchange.ID)) (*exchange.Response, error)
	state           func(id exchange.ID) (*exchange.State, error)
	result          func(id exchange.ID) (*exchange.Response, error)
}

func (f *fakeCaller) RetryAfter(string, time.Duration) int { return 1 }

func (f *fakeCaller) Call(ctx context.Context, r *exchange.Request, wait time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
	return f.call(ctx, r, wait, accepted)
}

func (f *fakeCaller) State(_ context.Context, id exchange.ID) (*exchange.State, error) {
	if f.state == nil {
		return nil, exchange.ErrUnknown
	}
	return f.state(id)
}

func (f *fakeCaller) Result(_ context.Context, id exchange.ID) (*exchange.Response, error) {
	if f.result == nil {
		return nil, exchange.ErrUnknown
	}
	return f.result(id)
}

// answer is a response of hoft's with a body; extra fields come in pairs.
func answer(status int, body string, fields ...string) *exchange.Response {
	r := &exchange.Response{Status: status, Length: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)), PeerName: "site-b",
		Trailers: func() exchange.Fields { return nil }}
	for i := 0; i < len(fields); i += 2 {
		r.Fields = append(r.Fields, exchange.Field{Name: fields[i], Value: fields[i+1]})
	}
	return r
}

var fixedID = uuid.MustParse("01a201e6-a330-7c55-9e1b-6a0d1c2b7e44")

// echoing accepts every request, keeps the last one, and answers with its body.
type echoing struct {
	fakeCaller
	mu   sync.Mutex
	last *exchange.Request
	body string
	wait time.Duration
}

func newEchoing() *echoing {
	e := &echoing{}
	e.call = func(_ context.Context, r *exchange.Request, wait time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
		var body []byte
		if r.Body != nil {
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				return nil, err
			}
		}
		accepted(fixedID)
		e.mu.Lock()
		e.last, e.body, e.wait = r, string(body), wait
		e.mu.Unlock()
		return answer(200, string(body)), nil
	}
	return e
}

func (e *echoing) got() (*exchange.Request, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.last
	e.last = nil
	return r, e.body
}

type running struct {
	*Server
	addr string
	log  *bytes.Buffer
}

func start(t *testing.T, caller exchange.Caller, change func(*config.Ingress)) running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Ingress{Listen: l.Addr().String(), MaxBody: 100, Routes: []config.Route{{Path: "/", Peer: "site-b", Upstream: "orders"}}}
	if change != nil {
		change(&cfg)
	}
	log := &bytes.Buffer{}
	s, err := New(cfg, "site-a", map[string]identity.ID{"site-b": {2}}, caller, zerolog.New(zerolog.SyncWriter(log)))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return running{s, l.Addr().String(), log}
}

// logged stops the server, as a line may be written after its answer has come, and gives all that was logged.
func (s running) logged(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	return s.log.String()
}

type got struct {
	*http.Response
	text    string
	problem httpproblem.Details
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// send writes raw text (HOST stands for the listener) and reads one answer. Whoever is refused may not be rid of all of its text,
// so it is the answer that counts.
func (s running) send(t *testing.T, text string) got {
	t.Helper()
	c := dial(t, s.addr)
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "HOST", s.addr)); err != nil {
		t.Log(err)
	}
	method, _, _ := strings.Cut(text, " ")
	return receive(t, bufio.NewReader(c), method)
}

func receive(t *testing.T, br *bufio.Reader, method string) got {
	t.Helper()
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	g := got{Response: resp, text: string(body)}
	if resp.Header.Get("Content-Type") == "application/problem+json" && method != "HEAD" {
		if err := json.Unmarshal(body, &g.problem); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if g.problem.Status != resp.StatusCode || g.problem.Type != "/.hoft/problems/"+g.problem.Code || g.problem.Title == "" {
			t.Errorf("problem %+v with status %d", g.problem, resp.StatusCode)
		}
	}
	return g
}

const end = "Connection: close\r\n\r\n"

func TestRefusals(t *testing.T) {
	caller := newEchoing()
	s := start(t, caller, func(c *config.Ingress) {
		c.Hosts = []string{"api.example", "*.wild.example", "port.example:81"}
		c.Routes = []config.Route{{Path: "/api", Peer: "site-b", Upstream: "orders"}, {Path: "/nobody", Peer: "site-x", Upstream: "orders"},
			{Host: "routed.example", Path: "/", Peer: "site-b", Upstream: "orders"}}
	})
	for name, c := range map[string]struct {
		text, code, proxyStatus string
		status                  int
	}{
		"no route":                     {"GET /x HTTP/1.1\r\nHost: HOST\r\n" + end, "no-route", "site-a; error=destination_not_found", 404},
		"not a segment":                {"GET /apix HTTP/1.1\r\nHost: HOST\r\n" + end, "no-route", "site-a; error=destination_not_found", 404},
		"no such peer":                 {"GET /nobody HTTP/1.1\r\nHost: HOST\r\n" + end, "no-such-peer", `site-a; error=destination_not_found; next-hop="site-x"`, 500},
		"foreign host":                 {"GET /api HTTP/1.1\r\nHost: evil.example\r\n" + end, "misdirected", "site-a; error=http_request_error", 421},
		"foreign address":              {"GET /api HTTP/1.1\r\nHost: 10.0.0.1\r\n" + end, "misdirected", "site-a; error=http_request_error", 421},
		"foreign absolute":             {"GET http://evil.example/api HTTP/1.1\r\nHost: HOST\r\n" + end, "misdirected", "site-a; error=http_request_error", 421},
		"foreign, own path":            {"GET /.hoft/problems/loop HTTP/1.1\r\nHost: evil.example\r\n" + end, "misdirected", "", 421},
		"wild itself":                  {"GET /api HTTP/1.1\r\nHost: wild.example\r\n" + end, "misdirected", "site-a; error=http_request_error", 421},
		"other port":                   {"GET /api HTTP/1.1\r\nHost: port.example:82\r\n" + end, "misdirected", "site-a; error=http_request_error", 421},
		"served host":                  {"GET /api HTTP/1.1\r\nHost: API.example.:99\r\n" + end, "", "", 200},
		"served wild":                  {"GET /api HTTP/1.1\r\nHost: a.b.wild.example\r\n" + end, "", "", 200},
		"served port":                  {"GET /api HTTP/1.1\r\nHost: port.example:81\r\n" + end, "", "", 200},
		"route's host":                 {"GET http://routed.example/x HTTP/1.1\r\nHost: evil\r\n" + end, "", "", 200},
		"localhost":                    {"GET /api HTTP/1.1\r\nHost: localhost:1\r\n" + end, "", "", 200},
		"loopback v6":                  {"GET /api HTTP/1.1\r\nHost: [::1]\r\n" + end, "", "", 200},
		"encoded segment":              {"GET /%61pi HTTP/1.1\r\nHost: HOST\r\n" + end, "", "", 200},
		"connect":                      {"CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n" + end, "upgrade-refused", "site-a; error=http_upgrade_failed", 501},
		"websocket":                    {"GET /api HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "upgrade-refused", `site-a; error=http_upgrade_failed; next-hop="site-b"`, 501},
		"websocket and h2c":            {"GET /api HTTP/1.1\r\nHost: HOST\r\nUpgrade: h2c, websocket\r\n" + end, "upgrade-refused", `site-a; error=http_upgrade_failed; next-hop="site-b"`, 501},
		"h2c":                          {"GET /api HTTP/1.1\r\nHost: HOST\r\nUpgrade: h2c\r\n" + end, "", "", 200},
		"loop":                         {"GET /api HTTP/1.1\r\nHost: HOST\r\nVia: 1.1 x, 1.1 site-a\r\n" + end, "loop", `site-a; error=proxy_loop_detected; next-hop="site-b"`, 502},
		"userinfo":                     {"GET http://u:p@HOST/api HTTP/1.1\r\nHost: HOST\r\n" + end, "bad-request", "site-a; error=http_request_error", 400},
		"ftp":                          {"GET ftp://HOST/api HTTP/1.1\r\nHost: HOST\r\n" + end, "bad-request", "site-a; error=http_request_error", 400},
		"fragment":                     {"GET /api#x HTTP/1.1\r\nHost: HOST\r\n" + end, "bad-request", "site-a; error=http_request_error", 400},
		"no UTF-8":                     {"GET /api/\xff HTTP/1.1\r\nHost: HOST\r\n" + end, "bad-request", "site-a; error=http_request_error", 400},
		"GET *":                        {"GET * HTTP/1.1\r\nHost: HOST\r\n" + end, "bad-request", "", 400},
		"two content types":            {"GET /api HTTP/1.1\r\nHost: HOST\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n" + end, "bad-request", "", 400},
		"bad deadline":                 {"GET /api HTTP/1.1\r\nHost: HOST\r\nHoft-Deadline: 90\r\n" + end, "bad-request", "", 400},
		"long fields":                  {"GET /api HTTP/1.1\r\nHost: HOST\r\nX: " + strings.Repeat("x", 50<<10) + "\r\n" + end, "fields-too-large", "", 431},
		"long target":                  {"GET /api/" + strings.Repeat("x", 50<<10) + " HTTP/1.1\r\nHost: HOST\r\n" + end, "fields-too-large", "", 431},
		"many fields":                  {"GET /api HTTP/1.1\r\nHost: HOST\r\n" + strings.Repeat("X: y\r\n", 300) + end, "fields-too-large", "", 431},
		"much too long":                {"GET /api HTTP/1.1\r\nHost: HOST\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n" + end, "-", "", 431},
		"too long":                     {"POST /api HTTP/1.1\r\nHost: HOST\r\nContent-Length: 101\r\n" + end + strings.Repeat("x", 101), "body-too-large", `site-a; error=http_request_error; next-hop="site-b"`, 413},
		"too long, in chunks":          {"POST /api HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n" + end + "65\r\n" + strings.Repeat("x", 101) + "\r\n0\r\n\r\n", "body-too-large", "", 413},
		"as long as may be":            {"POST /api HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n" + end + "64\r\n" + strings.Repeat("x", 100) + "\r\n0\r\n\r\n", "", "", 200},
		"too long, declared, not sent": {"POST /api HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1000000000\r\n\r\n", "body-too-large", "", 413},
		"too long, expecting":          {"POST /api HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", "body-too-large", "", 413},
		"malformed chunks":             {"POST /api HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n" + end + "zz\r\n", "bad-request", "", 400},
		"list of hosts":                {"GET /api HTTP/1.1\r\nHost: HOST,evil.example\r\n" + end, "bad-request", "site-a; error=http_request_error", 400},
		"list in a wild host":          {"GET /api HTTP/1.1\r\nHost: evil.example,a.wild.example\r\n" + end, "bad-request", "", 400},
		"port no number":               {"GET /api HTTP/1.1\r\nHost: api.example:http\r\n" + end, "bad-request", "", 400},
		"open bracket":                 {"GET /api HTTP/1.1\r\nHost: [::1\r\n" + end, "bad-request", "", 400},
		"no address":                   {"GET /api HTTP/1.1\r\nHost: [api.example]\r\n" + end, "bad-request", "", 400},
		"no port":                      {"GET /api HTTP/1.1\r\nHost: api.example:\r\n" + end, "", "", 200},
		"reserved":                     {"GET /.hoft HTTP/1.1\r\nHost: HOST\r\n" + end, "no-route", "", 404},
		"reserved, encoded":            {"GET /%2ehoft/x HTTP/1.1\r\nHost: HOST\r\n" + end, "no-route", "", 404},
		"trailers too large":           {"POST /api HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n" + end + "0\r\n" + strings.Repeat("X: y\r\n", 300) + "\r\n", "fields-too-large", "", 431},
	} {
		t.Run(name, func(t *testing.T) {
			g := s.send(t, c.text)
			code := c.code
			if code == "-" {
				code = "" // net/http's own answer
			}
			if g.StatusCode != c.status || g.problem.Code != code {
				t.Fatalf("%d %s, want %d %s", g.StatusCode, g.text, c.status, c.code)
			}
			if v := g.Header.Get("Proxy-Status"); c.proxyStatus != "" && v != c.proxyStatus {
				t.Errorf("Proxy-Status %q, want %q", v, c.proxyStatus)
			}
			if c.code != "" && g.Header.Get("Hoft-Exchange") != "" {
				t.Error("an exchange is named that was never accepted")
			}
		})
	}
}

// TestOwnPathsNeverCross: whatever a callee, or another hoft before it, could read as a path below /.hoft/ stays here.
func TestOwnPathsNeverCross(t *testing.T) {
	caller := newEchoing()
	s := start(t, caller, nil)
	for _, path := range []string{"/.hoft", "/.hoft/", "/%2Ehoft/x", "/.hoft%2fx", "//.hoft/x", "/./.hoft/x", "/a/../.hoft/x", "/a/%2e%2e/.hoft", "/.hoft\\x", "/\\.hoft/x", "//.hoft"} {
		g := s.send(t, "GET "+path+" HTTP/1.1\r\nHost: HOST\r\n"+end)
		if r, _ := caller.got(); g.StatusCode != 404 || g.problem.Code != "no-route" || g.Header.Get("Proxy-Status") != "" || r != nil {
			t.Errorf("%s: %d %s, crossed %v", path, g.StatusCode, g.text, r != nil)
		}
	}
	for _, path := range []string{"/.hoftx", "/x/.hoft/y", "/x.hoft", "/.HOFT/x", "/a/../b", "//a", "/?/.hoft/x"} {
		g := s.send(t, "GET "+path+" HTTP/1.1\r\nHost: HOST\r\n"+end)
		if r, _ := caller.got(); g.StatusCode != 200 || r == nil || r.Target != path {
			t.Errorf("%s: %d %s", path, g.StatusCode, g.text)
		}
	}
}

// TestRefusedUploadClosesTheConnection: what follows a refused body must not be read as a request.
func TestRefusedUploadClosesTheConnection(t *testing.T) {
	s := start(t, newEchoing(), nil)
	c := dial(t, s.addr)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 500000\r\n\r\n", s.addr)
	br := bufio.NewReader(c)
	if g := receive(t, br, "POST"); g.StatusCode != 413 || !g.Close {
		t.Errorf("%d, close %v", g.StatusCode, g.Close)
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the answer: %v", err)
	}
}

func TestExpectContinue(t *testing.T) {
	s := start(t, newEchoing(), nil)
	c := dial(t, s.addr)
	br := bufio.NewReader(c)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", s.addr)
	if g := receive(t, br, "POST"); g.StatusCode != 100 {
		t.Fatalf("%d", g.StatusCode)
	}
	io.WriteString(c, "ab")
	if g := receive(t, br, "POST"); g.StatusCode != 200 || g.text != "ab" {
		t.Errorf("%d %q", g.StatusCode, g.text)
	}
}

func TestWhatCrosses(t *testing.T) {
	caller := newEchoing()
	s := start(t, caller, func(c *config.Ingress) {
		c.Deadline = time.Hour
		c.Routes = []config.Route{
			{Path: "/", Peer: "site-b", Upstream: "all"},
			{Path: "/api/", StripPrefix: "/api/", Peer: "site-b", Upstream: "api", Wait: time.Second},
			{Path: "/api/deep", Peer: "site-b", Upstream: "deep"},
			{Host: "h.example", Path: "/", Peer: "site-b", Upstream: "host"},
			{Host: "*.example", Path: "/api/deep", Peer: "site-b", Upstream: "wild"},
		}
	})
	for _, c := range []struct{ target, host, upstream, want string }{
		{"/", "HOST", "all", "/"},
		{"/x%2Fy;z?", "HOST", "all", "/x%2Fy;z?"},
		{"/api", "HOST", "api", "/"},
		{"/api?q", "HOST", "api", "/?q"},
		{"/api/", "HOST", "api", "/"},
		{"/api//x/../y", "HOST", "api", "//x/../y"},
		{"/%61pi/x", "HOST", "api", "/x"},
		{"/apix", "HOST", "all", "/apix"},
		{"/api/deep/x", "HOST", "deep", "/api/deep/x"},
		{"/api/deeper", "HOST", "api", "/deeper"},
		{"/api/deep", "h.example", "host", "/api/deep"},
		{"/api/deep", "x.example", "wild", "/api/deep"},
		{"/api/x", "x.example", "api", "/x"},
		{"http://h.example?q", "evil", "host", "/?q"},
		{"http://h.example//x", "evil", "host", "//x"},
	} {
		g := s.send(t, "GET "+c.target+" HTTP/1.1\r\nHost: "+c.host+"\r\n"+end)
		r, _ := caller.got()
		if g.StatusCode != 200 || r == nil || r.Upstream != c.upstream || r.Target != c.want {
			t.Errorf("%s at %s: %d %s %+v", c.target, c.host, g.StatusCode, g.text, r)
		}
	}

	before := time.Now()
	g := s.send(t, "POST /api/x HTTP/1.1\r\nHost: HOST\r\nContent-Type: a/b\r\nIdempotency-Key: \"k\"\r\nHoft-Deadline: 90s\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nPrefer: return=minimal, wait=5; x\r\n"+
		"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nTracestate: a=b\r\n"+end+"2\r\nab\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n")
	r, body := caller.got()
	if body != "ab" || r.Length != -1 || r.Method != "POST" || r.Key != "k" || r.Client != "127.0.0.1" || r.Scheme != "http" || r.Host != s.addr || r.Peer != (identity.ID{2}) || r.Route != "/api/" {
		t.Errorf("%+v", r)
	}
	if caller.wait != 5*time.Second || g.Header.Get("Preference-Applied") != "wait=5" {
		t.Errorf("wait %s, applied %q", caller.wait, g.Header.Get("Preference-Applied"))
	}
	if d := r.Deadline.Sub(before); d < 90*time.Second || d > 10*time.Minute {
		t.Errorf("deadline in %s", d)
	}
	if fmt.Sprint(r.Trailers) != "[{X-Sum 1}]" {
		t.Errorf("trailers %v", r.Trailers)
	}
	for name, want := range map[string]string{"Hoft-Deadline": "", "Te": "trailers", "Idempotency-Key": `"k"`, "Content-Type": "a/b", "Transfer-Encoding": "", "Content-Length": "",
		"Via": "1.1 site-a", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate": "a=b", "Prefer": "return=minimal"} {
		if v := httpfields.Get(r.Fields, name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}

	s.send(t, "GET https://HOST/x HTTP/1.1\r\nHost: HOST\r\n"+end) // what the target wants is not how it came
	r, _ = caller.got()
	if v := httpfields.Get(r.Fields, "X-Forwarded-Proto"); v != "http" || !strings.Contains(httpfields.Get(r.Fields, "Forwarded"), ";proto=http;") || r.Scheme != "https" {
		t.Errorf("in clear: X-Forwarded-Proto %q, Forwarded %q, scheme of the target %s", v, httpfields.Get(r.Fields, "Forwarded"), r.Scheme)
	}

	s.send(t, "GET /api/x HTTP/1.1\r\nHost: HOST\r\nTraceparent: rubbish\r\nTracestate: a=b\r\n"+end)
	r, _ = caller.got()
	if !validTrace(httpfields.Get(r.Fields, "Traceparent")) || httpfields.Get(r.Fields, "Tracestate") != "" {
		t.Errorf("trace fields %v", r.Fields)
	}
	if caller.wait != time.Second {
		t.Errorf("the route's wait became %s", caller.wait)
	}
	if d := r.Deadline.Sub(before); d < time.Hour {
		t.Errorf("deadline in %s", d)
	}
	if r.Body != nil || r.Length != 0 {
		t.Errorf("a body from nowhere: %+v", r)
	}
}

func TestTrustedProxies(t *testing.T) {
	caller := newEchoing()
	s := start(t, caller, func(c *config.Ingress) { c.TrustedProxies = []string{"127.0.0.0/8", "10.0.0.1"} })
	s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=2.2.2.2\r\n"+end)
	r, _ := caller.got()
	if r.Client != "2.2.2.2" {
		t.Errorf("client %s", r.Client)
	}
	for name, want := range map[string]string{"X-Forwarded-For": "1.1.1.1, 2.2.2.2, 10.0.0.1, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": s.addr} {
		if v := httpfields.Values(r.Fields, name); len(v) != 1 || v[0] != want {
			t.Errorf("%s %q, want %q", name, v, want)
		}
	}
	if v := httpfields.Values(r.Fields, "Forwarded"); len(v) != 2 || v[0] != "for=2.2.2.2" {
		t.Errorf("Forwarded %q", v)
	}
}

func TestOverdue(t *testing.T) {
	for stage, code := range map[string]string{"queued": "not-arrived", "written": "not-arrived", "arrived": "not-answered", "calling": "not-answered"} {
		caller := &fakeCaller{
			call: func(_ context.Context, _ *exchange.Request, _ time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
				accepted(fixedID)
				return nil, exchange.ErrWait
			},
			state: func(id exchange.ID) (*exchange.State, error) {
				return &exchange.State{ID: id, Stage: stage, State: "running"}, nil
			},
		}
		s := start(t, caller, nil)
		g := s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\n"+end)
		if g.StatusCode != 504 || g.problem.Code != code || g.problem.Stage != stage || g.problem.Peer != "site-b" || g.problem.Exchange != fixedID.String() {
			t.Errorf("%s: %d %+v", stage, g.StatusCode, g.problem)
		}
		if g.Header.Get("Link") != "</.hoft/v1/exchanges/"+fixedID.String()+`>; rel="status"` || g.Header.Get("Hoft-Exchange") != fixedID.String() || g.Header.Get("Retry-After") != "1" {
			t.Errorf("header %v", g.Header)
		}
		if g.problem.Instance != "/.hoft/v1/exchanges/"+fixedID.String() {
			t.Errorf("instance %s", g.problem.Instance)
		}
		want := map[string]string{"not-arrived": `site-a; error=connection_timeout; next-hop="site-b"`, "not-answered": `site-a; error=http_response_timeout; next-hop="site-b"`}[code]
		if v := g.Header.Get("Proxy-Status"); v != want {
			t.Errorf("Proxy-Status %q, want %q", v, want)
		}
	}
}

// TestEveryProblemHasItsAnswer: status, code and Proxy-Status of each code, and a page that explains it.
func TestEveryProblemHasItsAnswer(t *testing.T) {
	var code string
	caller := &fakeCaller{call: func(_ context.Context, _ *exchange.Request, _ time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
		accepted(fixedID)
		return nil, exchange.Problemf(code, "why")
	}}
	s := start(t, caller, nil)
	for c, kind := range exchange.Kinds {
		code = c
		g := s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\n"+end)
		if g.StatusCode != kind.Status || g.problem.Code != c || g.problem.Detail != "why" {
			t.Errorf("%s: %d %+v", c, g.StatusCode, g.problem)
		}
		want := "site-a; error=" + kind.ProxyError + `; next-hop="site-b"`
		if farCodes[c] {
			want = "site-b; error=" + kind.ProxyError + `, site-a; next-hop="site-b"`
		}
		if v := g.Header.Get("Proxy-Status"); kind.ProxyError != "" && v != want {
			t.Errorf("%s: Proxy-Status %q, want %q", c, v, want)
		}
		if kind.Status == 503 && g.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", c)
		}
		for accept, want := range map[string]string{"": "text/plain; charset=utf-8", "text/html,*/*": "text/html; charset=utf-8", "application/json": "application/json"} {
			g := s.send(t, "GET "+"/.hoft/problems/"+c+" HTTP/1.1\r\nHost: HOST\r\nAccept: "+accept+"\r\n"+end)
			if g.StatusCode != 200 || g.Header.Get("Content-Type") != want || !strings.Contains(g.text, c) {
				t.Errorf("%s: %d %v %s", c, g.StatusCode, g.Header, g.text)
			}
		}
	}
	code = "a-code-of-a-later-version"
	if g := s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\n"+end); g.StatusCode != 500 || g.problem.Code != code {
		t.Errorf("%d %+v", g.StatusCode, g.problem)
	}
}

// TestProblemsOfTheOtherSite: Proxy-Status names the site that found what is wrong, and the stage is that of the end.
func TestProblemsOfTheOtherSite(t *testing.T) {
	for far, want := range map[bool]string{true: `site-b; error=http_request_error, site-a; next-hop="site-b"`, false: `site-a; error=http_request_error; next-hop="site-b"`} {
		s := start(t, &fakeCaller{
			call: func(_ context.Context, _ *exchange.Request, _ time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
				accepted(fixedID)
				return nil, &exchange.Problem{Code: exchange.CodeTooLarge, Far: far, Stage: "calling"}
			},
			state: func(id exchange.ID) (*exchange.State, error) { // as it is stored until the commit
				return &exchange.State{ID: id, Stage: "queued", State: "running"}, nil
			},
		}, nil)
		g := s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\n"+end)
		if v := g.Header.Get("Proxy-Status"); v != want || g.StatusCode != 413 || g.problem.Stage != "calling" {
			t.Errorf("far %v: %d, Proxy-Status %q, stage %q", far, g.StatusCode, v, g.problem.Stage)
		}
	}
}

// TestPreferencesOfBoth: what the callee says it applied stays beside what was applied here.
func TestPreferencesOfBoth(t *testing.T) {
	s := start(t, answeringWith(func() *exchange.Response { return answer(200, "", "Preference-Applied", "return=minimal") }), nil)
	g := s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\nPrefer: wait=5, return=minimal\r\n"+end)
	if v := fmt.Sprint(g.Header["Preference-Applied"]); v != "[return=minimal wait=5]" {
		t.Error(v)
	}
}

func TestAnswersThatMustNotPass(t *testing.T) {
	for name, resp := range map[string]func() *exchange.Response{
		"header injection": func() *exchange.Response { return answer(200, "", "X", "a\r\nSet-Cookie: evil=1") },
		"interim status":   func() *exchange.Response { return answer(103, "") },
		"no status":        func() *exchange.Response { return answer(0, "") },
		"name no token":    func() *exchange.Response { return answer(200, "", "X y", "z") },
	} {
		s := start(t, answeringWith(resp), nil)
		if g := s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\n"+end); g.StatusCode != 502 || g.problem.Code != "callee-broken" {
			t.Errorf("%s: %d %s", name, g.StatusCode, g.text)
		}
	}
}

func answeringWith(resp func() *exchange.Response) *fakeCaller {
	return &fakeCaller{call: func(_ context.Context, _ *exchange.Request, _ time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
		accepted(fixedID)
		return resp(), nil
	}}
}

// broken is a body that gives text and then an Abort.
type broken struct{ io.Reader }

func newBroken(text string) io.ReadCloser {
	return io.NopCloser(broken{io.MultiReader(strings.NewReader(text), aborting{})})
}

type aborting struct{}

func (aborting) Read([]byte) (int, error) { return 0, &exchange.Abort{Reason: "test"} }

// TestBrokenAnswersAreSeenAsBroken: an answer that broke off must not look whole, in any framing.
func TestBrokenAnswersAreSeenAsBroken(t *testing.T) {
	for name, c := range map[string]struct {
		length  int64
		version string
	}{"length": {10, "1.1"}, "chunks": {-1, "1.1"}, "until close": {-1, "1.0"}, "length, 1.0": {10, "1.0"}} {
		s := start(t, answeringWith(func() *exchange.Response {
			r := answer(200, "")
			r.Length, r.Body = c.length, newBroken("abc")
			return r
		}), nil)
		conn := dial(t, s.addr)
		fmt.Fprintf(conn, "GET / HTTP/%s\r\nHost: %s\r\n\r\n", c.version, s.addr)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
		}
		if err == nil {
			t.Errorf("%s: the answer looks whole", name)
		}
	}
	short := start(t, answeringWith(func() *exchange.Response { r := answer(200, "abc"); r.Length = 10; return r }), nil)
	conn := dial(t, short.addr)
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", short.addr)
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("a short answer looks whole: %q", body)
		}
	}
}

// TestAnswerThatIsWholeIsNotBroken: what comes after the last byte that the head promised is not the caller's affair. It may
// have left with all of it.
func TestAnswerThatIsWholeIsNotBroken(t *testing.T) {
	s := start(t, answeringWith(func() *exchange.Response {
		r := answer(200, "")
		r.Length, r.Body = 3, newBroken("abc")
		return r
	}), nil)
	if g := s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\n"+end); g.StatusCode != 200 || g.text != "abc" {
		t.Errorf("%d %q", g.StatusCode, g.text)
	}
	if log := s.logged(t); strings.Contains(log, "broken-off") || !strings.Contains(log, `"message":"exchange done"`) {
		t.Errorf("log: %s", log)
	}
}

func TestKeepAlive(t *testing.T) {
	s := start(t, newEchoing(), nil)
	c := dial(t, s.addr)
	br := bufio.NewReader(c)
	for range 3 {
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n\r\nab", s.addr)
		if g := receive(t, br, "POST"); g.StatusCode != 200 || g.text != "ab" || g.Close {
			t.Fatalf("%d %q close %v", g.StatusCode, g.text, g.Close)
		}
	}
}

func TestMaxForwards(t *testing.T) {
	caller := newEchoing()
	s := start(t, caller, nil)
	g := s.send(t, "TRACE /x HTTP/1.1\r\nHost: HOST\r\nMax-Forwards: 0\r\nAuthorization: secret\r\nX: y\r\n"+end)
	if g.StatusCode != 200 || !strings.HasPrefix(g.text, "TRACE /x HTTP/1.1\r\n") || strings.Contains(g.text, "secret") || !strings.Contains(g.text, "X: y\r\n") {
		t.Errorf("%d %q", g.StatusCode, g.text)
	}
	if g := s.send(t, "OPTIONS * HTTP/1.1\r\nHost: HOST\r\nMax-Forwards: 0\r\n"+end); g.StatusCode != 200 || g.text != "" {
		t.Errorf("%d %q", g.StatusCode, g.text)
	}
	if r, _ := caller.got(); r != nil {
		t.Error("a request went beyond Max-Forwards")
	}
	s.send(t, "OPTIONS /x HTTP/1.1\r\nHost: HOST\r\nMax-Forwards: 3\r\n"+end)
	if r, _ := caller.got(); r == nil || httpfields.Get(r.Fields, "Max-Forwards") != "2" {
		t.Errorf("%+v", r)
	}
	s.send(t, "GET /x HTTP/1.1\r\nHost: HOST\r\nMax-Forwards: 0\r\n"+end)
	if r, _ := caller.got(); r == nil || httpfields.Get(r.Fields, "Max-Forwards") != "0" {
		t.Errorf("%+v", r)
	}
}

func TestCallerLeaves(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	s := start(t, &fakeCaller{call: func(ctx context.Context, _ *exchange.Request, _ time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
		accepted(fixedID)
		close(arrived)
		<-ctx.Done()
		close(left)
		return nil, ctx.Err()
	}}, nil)
	c := dial(t, s.addr)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", s.addr)
	<-arrived
	c.Close()
	<-left
}

// TestHalfClosed: a caller that shuts its sending side and reads on is told the truth, never an empty 200.
func TestHalfClosed(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		accept bool
		status int
		code   string
	}{
		"after the request":     {"abc", true, 504, "not-answered"},
		"before it is accepted": {"abc", false, 400, "bad-request"},
		"in the upload":         {"a", false, 400, "bad-request"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, &fakeCaller{call: func(ctx context.Context, r *exchange.Request, _ time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
				if _, err := io.ReadAll(r.Body); err != nil {
					return nil, err
				}
				if c.accept {
					accepted(fixedID)
				}
				<-ctx.Done()
				return nil, ctx.Err()
			}}, nil)
			conn := dial(t, s.addr)
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\n\r\n%s", s.addr, c.body)
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			g := receive(t, bufio.NewReader(conn), "POST")
			if g.StatusCode != c.status || g.problem.Code != c.code || (g.Header.Get("Link") != "") != c.accept {
				t.Errorf("%d %v %s", g.StatusCode, g.Header, g.text)
			}
		})
	}
}

// TestCutUpload: a body that ends early is an error of the caller, never a short body.
func TestCutUpload(t *testing.T) {
	result := make(chan error, 1)
	s := start(t, &fakeCaller{call: func(_ context.Context, r *exchange.Request, _ time.Duration, _ func(exchange.ID)) (*exchange.Response, error) {
		_, err := io.ReadAll(r.Body)
		result <- err
		return nil, err
	}}, nil)
	c := dial(t, s.addr)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\n\r\nabc", s.addr)
	c.Close()
	var p *exchange.Problem
	if err := <-result; !errors.As(err, &p) || p.Code != exchange.CodeBadRequest {
		t.Errorf("%v", err)
	}
}

func TestShutdown(t *testing.T) {
	arrived := make(chan struct{})
	s := start(t, &fakeCaller{call: func(ctx context.Context, _ *exchange.Request, _ time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
		accepted(fixedID)
		close(arrived)
		<-ctx.Done()
		return nil, ctx.Err()
	}}, nil)
	c := dial(t, s.addr)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", s.addr)
	<-arrived
	over, cancel := context.WithCancel(t.Context())
	cancel() // no grace left
	if err := s.Shutdown(over); err != nil {
		t.Error(err)
	}
	g := receive(t, bufio.NewReader(c), "GET")
	if g.StatusCode != 504 || g.problem.Exchange != fixedID.String() {
		t.Errorf("%d %s", g.StatusCode, g.text)
	}
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("still listening")
	}
}

func TestLogHoldsNoSecrets(t *testing.T) {
	s := start(t, newEchoing(), nil)
	s.send(t, "POST /canary?token=canary HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer canary\r\nCookie: a=canary\r\nX-Api-Key: canary\r\nContent-Length: 6\r\n"+end+"canary")
	log := s.logged(t)
	if strings.Contains(log, "canary") || !strings.Contains(log, `"message":"exchange done"`) || !strings.Contains(log, fixedID.String()) {
		t.Errorf("log: %s", log)
	}
}
