package egress_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/egress"
	"github.com/hoft/hoft/pkg/exchange/exchangetest"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/ingress"
)

// pair is an ingress joined to an egress in one process, in front of a callee.
type pair struct {
	callee, front string // host:port
}

func newPair(t *testing.T, handler http.Handler, routes []config.Route, change func(*config.Upstream)) pair {
	t.Helper()
	callee := listen(t)
	server := &http.Server{Handler: handler, DisableGeneralOptionsHandler: true}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(callee) }()
	t.Cleanup(func() { server.Close(); <-served })

	a, b := identity.ID{1}, identity.ID{2}
	u := config.Upstream{Name: "orders", URL: "http://" + callee.Addr().String(), Peers: []string{"site-a"}}
	if change != nil {
		change(&u)
	}
	out, err := egress.New(config.Egress{Upstreams: []config.Upstream{u}}, "site-b", map[identity.ID]string{a: "site-a"}, nil, egress.Secrets{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Close)
	if routes == nil {
		routes = []config.Route{{Path: "/", Peer: "site-b", Upstream: "orders"}}
	}
	front := listen(t)
	in, err := ingress.New(config.Ingress{Listen: front.Addr().String(), MaxBody: 1 << 20, Wait: time.Minute, Routes: routes},
		"site-a", map[string]identity.ID{"site-b": b}, &exchangetest.Direct{Upstreams: out, Self: a, PeerName: "site-b"}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- in.Serve(front) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := in.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return pair{callee.Addr().String(), front.Addr().String()}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// seen is one answer as a raw client reads it.
type seen struct {
	Status   int
	Header   http.Header
	Length   int64
	Coding   []string
	Body     string
	Trailer  http.Header
	BodyErr  bool
	Interims int
}

// ask sends text to addr and reads one answer to a request of the method.
func ask(t *testing.T, addr, method, text string) seen {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return read(t, bufio.NewReader(c), method)
}

func read(t *testing.T, br *bufio.Reader, method string) seen {
	t.Helper()
	interims := 0
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		if resp.StatusCode < 200 {
			interims++
			continue
		}
		body, err := io.ReadAll(resp.Body)
		return seen{resp.StatusCode, resp.Header, resp.ContentLength, resp.TransferEncoding, string(body), resp.Trailer, err != nil, interims}
	}
}

// without takes away what may differ behind a gateway.
func (s seen) without(names ...string) seen {
	s.Header = s.Header.Clone()
	for _, n := range append(names, "Date", "Via", "Proxy-Status", "Server-Timing", "Hoft-Exchange") {
		s.Header.Del(n)
	}
	// The callee's own Vary is compared; the ingress adds one of its own.
	if vary := slices.DeleteFunc(slices.Clone(s.Header["Vary"]), func(v string) bool { return v == "Prefer" }); len(vary) > 0 {
		s.Header["Vary"] = vary
	} else {
		s.Header.Del("Vary")
	}
	return s
}

// echo tells what it got, one line each, and answers as the query says.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		switch name { // what a gateway adds
		case "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Traceparent", "Connection", "Upgrade", "Http2-Settings", "Expect":
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s length=%d coding=%v body=%q err=%v\n", r.Method, r.RequestURI, r.ContentLength, r.TransferEncoding, body, err)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
	}
	fmt.Fprintf(&b, "trailer %v\n", r.Trailer)
	w.Header().Set("Content-Type", "text/plain")
	w.Header()["X-Many"] = []string{"1", "2", "1"}
	w.Header().Add("Set-Cookie", "a=b; Path=/")
	w.Header().Add("Set-Cookie", "c=d")
	io.WriteString(w, b.String())
}

// scripted answers by the path, for what an echo cannot show.
func scripted(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	flush := http.NewResponseController(w).Flush
	switch r.URL.Path {
	case "/bare":
		h["Content-Type"] = nil
		io.WriteString(w, "<html>not sniffed")
	case "/204":
		w.WriteHeader(204)
	case "/304":
		h.Set("Etag", `"x"`)
		w.WriteHeader(304)
	case "/chunks":
		io.WriteString(w, "one")
		_ = flush()
		io.WriteString(w, "two")
	case "/trailers":
		h.Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		h.Set("X-Sum", "7")
		h.Set(http.TrailerPrefix+"X-Late", "8")
	case "/coded":
		h.Set("Content-Encoding", "gzip")
		h.Set("Etag", `"g"`)
		w.Write([]byte{0x1f, 0x8b, 0, 1, 2, 0xff})
	case "/range":
		http.ServeContent(w, r, "x.txt", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	case "/early":
		h.Set("Link", "</x>; rel=preload")
		w.WriteHeader(103)
		h.Del("Link")
		io.WriteString(w, "late")
	case "/problem":
		h.Set("Content-Type", "application/problem+json")
		w.WriteHeader(503)
		io.WriteString(w, `{"title":"the callee's own"}`)
	case "/large":
		h.Set("Content-Length", fmt.Sprint(300000))
		io.WriteString(w, strings.Repeat("x", 300000))
	case "/cut":
		h.Set("Content-Length", "10")
		io.WriteString(w, "abc")
		_ = flush()
		panic(http.ErrAbortHandler)
	case "/cutchunks":
		io.WriteString(w, "abc")
		_ = flush()
		panic(http.ErrAbortHandler)
	default:
		echo(w, r)
	}
}

// TestThroughHoftIsAsDirect sends the same bytes to the callee and to the ingress in front of it.
func TestThroughHoftIsAsDirect(t *testing.T) {
	p := newPair(t, http.HandlerFunc(scripted), nil, nil)
	const end = "Connection: close\r\n\r\n"
	for name, text := range map[string]string{
		"get":                    "GET / HTTP/1.1\r\nHost: %s\r\n" + end,
		"raw target":             "GET /a%%2Fb;c=d//e/../f?x=%%20+&y HTTP/1.1\r\nHost: %s\r\n" + end,
		"two slashes":            "GET //x/y HTTP/1.1\r\nHost: %s\r\n" + end,
		"empty query":            "GET /? HTTP/1.1\r\nHost: %s\r\n" + end,
		"odd characters":         "GET /a|b\"<>^`{}é HTTP/1.1\r\nHost: %s\r\n" + end,
		"method token":           "M-SEARCH! /x HTTP/1.1\r\nHost: %s\r\n" + end,
		"options *":              "OPTIONS * HTTP/1.1\r\nHost: %s\r\n" + end,
		"fields repeated":        "GET / HTTP/1.1\r\nHost: %s\r\nX: 1\r\nY: 2\r\nX: 3\r\nx: 1\r\nAccept-Encoding: br\r\nCookie: a=b\r\nAuthorization: Basic eA==\r\n" + end,
		"user agent":             "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: mine\r\n" + end,
		"latin-1 value":          "GET / HTTP/1.1\r\nHost: %s\r\nX: caf\xe9\r\n" + end,
		"post":                   "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\nContent-Type: a/b\r\nConnection: close\r\n\r\na\x00\xff\r\n",
		"post of nothing":        "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n" + end,
		"chunks":                 "PUT / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n3;ext=1\r\ncde\r\n0\r\n\r\n",
		"no chunk":               "PUT / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"get with a body":        "GET / HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
		"get in chunks":          "GET / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"request trailers":       "PUT / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\nX-Sum: 9\r\n\r\n",
		"te trailers":            "GET /trailers HTTP/1.1\r\nHost: %s\r\nTE: trailers\r\n" + end,
		"trailers":               "GET /trailers HTTP/1.1\r\nHost: %s\r\n" + end,
		"http 1.0":               "GET / HTTP/1.0\r\nHost: %s\r\n\r\n",
		"http 1.0 to chunks":     "GET /chunks HTTP/1.0\r\nHost: %s\r\n\r\n",
		"absolute-form":          "GET http://%s/x?y HTTP/1.1\r\nHost: evil\r\n" + end,
		"absolute-form, no path": "GET http://%s HTTP/1.1\r\nHost: evil\r\n" + end,
		"no content type":        "GET /bare HTTP/1.1\r\nHost: %s\r\n" + end,
		"204":                    "GET /204 HTTP/1.1\r\nHost: %s\r\n" + end,
		"304":                    "GET /304 HTTP/1.1\r\nHost: %s\r\n" + end,
		"head":                   "HEAD /large HTTP/1.1\r\nHost: %s\r\n" + end,
		"head of echo":           "HEAD / HTTP/1.1\r\nHost: %s\r\n" + end,
		"head of chunks":         "HEAD /chunks HTTP/1.1\r\nHost: %s\r\n" + end,
		"chunked answer":         "GET /chunks HTTP/1.1\r\nHost: %s\r\n" + end,
		"coded answer":           "GET /coded HTTP/1.1\r\nHost: %s\r\n" + end,
		"range":                  "GET /range HTTP/1.1\r\nHost: %s\r\nRange: bytes=2-4\r\n" + end,
		"many ranges":            "GET /range HTTP/1.1\r\nHost: %s\r\nRange: bytes=0-0,9-\r\nIf-Range: x\r\n" + end,
		"unmet range":            "GET /range HTTP/1.1\r\nHost: %s\r\nRange: bytes=99-\r\n" + end,
		"not modified":           "GET /range HTTP/1.1\r\nHost: %s\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n" + end,
		"problem of the callee":  "GET /problem HTTP/1.1\r\nHost: %s\r\n" + end,
		"large":                  "GET /large HTTP/1.1\r\nHost: %s\r\n" + end,
		"cut answer":             "GET /cut HTTP/1.1\r\nHost: %s\r\n" + end,
		"cut chunks":             "GET /cutchunks HTTP/1.1\r\nHost: %s\r\n" + end,
		"h2c offered":            "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
		"expect 100":             "PUT / HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
		"lengths twice":          "PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
		"lengths differ":         "PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
		"length and chunks":      "PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"unknown coding":         "PUT / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n",
		"length with a sign":     "PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: +2\r\nConnection: close\r\n\r\nab",
		"space before colon":     "GET / HTTP/1.1\r\nHost: %s\r\nX : y\r\n" + end,
		"NUL in a value":         "GET / HTTP/1.1\r\nHost: %s\r\nX: \x00\r\n" + end,
		"space in the target":    "GET /a b HTTP/1.1\r\nHost: %s\r\n" + end,
		"two hosts":              "GET / HTTP/1.1\r\nHost: %s\r\nHost: evil\r\n" + end,
	} {
		t.Run(name, func(t *testing.T) {
			method, _, _ := strings.Cut(text, " ")
			direct := ask(t, p.callee, method, fmt.Sprintf(text, p.callee))
			through := ask(t, p.front, method, fmt.Sprintf(text, p.front))
			want, got := direct.without(), through.without()
			want.Body = strings.ReplaceAll(want.Body, "http://"+p.callee, "") // the target that an origin sees of absolute-form
			want.Body = strings.Replace(want.Body, "GET  length", "GET / length", 1)
			if name == "many ranges" {
				want, got = unbound(want), unbound(got)
			}
			if strings.HasPrefix(name, "absolute-form") {
				want, got = want.without("Content-Length"), got.without("Content-Length")
				want.Length, got.Length = 0, 0
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("direct -, through hoft +\n%s", d)
			}
			if through.Status < 400 && !through.BodyErr {
				if v := through.Header.Get("Proxy-Status"); v != fmt.Sprintf(`site-b; received-status=%d, site-a; next-hop="site-b"`, through.Status) {
					t.Errorf("Proxy-Status %q", v)
				}
				if through.Header.Get("Hoft-Exchange") == "" || through.Header.Get("Server-Timing") == "" {
					t.Errorf("header %v", through.Header)
				}
				if via := through.Header["Via"]; !slices.Equal(via, []string{"1.1 site-b", "1.1 site-a"}) {
					t.Errorf("Via %q", via)
				}
			}
		})
	}
}

// unbound replaces the random boundary of a multipart answer.
func unbound(s seen) seen {
	_, boundary, _ := strings.Cut(s.Header.Get("Content-Type"), "boundary=")
	s.Header.Set("Content-Type", strings.Replace(s.Header.Get("Content-Type"), boundary, "B", 1))
	s.Body = strings.ReplaceAll(s.Body, boundary, "B")
	return s
}

// TestWhatAGatewayAdds shows the fields that the callee gets beyond the caller's.
func TestWhatAGatewayAdds(t *testing.T) {
	heads := make(chan http.Header, 1)
	hosts := make(chan string, 1)
	p := newPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heads <- r.Header; hosts <- r.Host }), nil, nil)
	ask(t, p.front, "GET", "GET / HTTP/1.1\r\nHost: "+p.front+"\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_Host: evil\r\nX-Forwarded-Ssl: on\r\nForwarded: for=6.6.6.6\r\nVia: 1.0 before\r\nConnection: close, x-forwarded-for\r\n\r\n")
	h := <-heads
	_, port, _ := net.SplitHostPort(p.front)
	trace := h.Get("Traceparent")
	h.Del("Traceparent")
	want := http.Header{
		"Via":               {"1.0 before", "1.1 site-a", "1.1 site-b"},
		"Forwarded":         {`for=127.0.0.1;host="127.0.0.1:` + port + `";proto=http;by=_site-a`},
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Host":  {p.front},
		"X-Forwarded-Proto": {"http"},
	}
	if d := cmp.Diff(want, h); d != "" {
		t.Error(d)
	}
	if len(trace) != 55 {
		t.Errorf("traceparent %q", trace)
	}
	if host := <-hosts; host != p.callee {
		t.Errorf("host %q", host)
	}
}

// TestStreaming: each flushed piece reaches the caller while the callee still waits with the next.
func TestStreaming(t *testing.T) {
	next := make(chan struct{})
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(w)
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", "6")
		}
		_ = ctl.Flush()
		for i := range 3 {
			<-next
			fmt.Fprintf(w, "%d\n", i)
			_ = ctl.Flush()
		}
	}), nil, nil)
	for _, path := range []string{"/", "/known"} {
		if path == "/known" {
			go func() { next <- struct{}{} }() // with a known length the head may wait for the first byte
		}
		resp, err := http.Get("http://" + p.front + path)
		if err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(resp.Body)
		for i := range 3 {
			if path != "/known" || i > 0 {
				next <- struct{}{}
			}
			line, err := br.ReadString('\n')
			if err != nil || line != fmt.Sprintf("%d\n", i) {
				t.Fatalf("%s: %q, %v", path, line, err)
			}
		}
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestHangUpEndsTheCalleesRequest: after the head, leaving cancels.
func TestHangUpEndsTheCalleesRequest(t *testing.T) {
	left := make(chan struct{})
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, "more"); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	}), nil, nil)
	c, err := net.Dial("tcp", p.front)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", p.front)
	if _, err := c.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	select {
	case <-left:
	case <-time.After(time.Minute):
		t.Fatal("the callee was not told")
	}
}

// TestPrefixAndOrigin: references come back as the caller can use them, and go out as the callee knows them.
func TestPrefixAndOrigin(t *testing.T) {
	got := make(chan string, 1)
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.RequestURI + " " + r.Header.Get("Destination")
		w.Header().Set("Location", "http://"+r.Host+"/base/new")
		w.Header().Set("Content-Location", "/base/here")
		w.Header().Add("Set-Cookie", "a=b; Path=/base")
		w.WriteHeader(201)
	}), []config.Route{{Path: "/api/v1", StripPrefix: "/api", Peer: "site-b", Upstream: "orders"}}, func(u *config.Upstream) { u.URL += "/base" })
	answer := ask(t, p.front, "MOVE", "MOVE /api/v1/x%2Fy?z HTTP/1.1\r\nHost: "+p.front+"\r\nDestination: http://"+p.front+"/api/v1/to\r\nConnection: close\r\n\r\n")
	if g, want := <-got, "/base/v1/x%2Fy?z http://"+p.callee+"/base/v1/to"; g != want {
		t.Errorf("callee got %q, want %q", g, want)
	}
	h := answer.Header
	if h.Get("Location") != "http://"+p.front+"/api/new" || h.Get("Content-Location") != "/api/here" || h.Get("Set-Cookie") != "a=b; Path=/api" {
		t.Errorf("caller got %v", h)
	}
}

// TestSmuggling: whatever a caller puts behind its request, the callee sees one request per answer.
func TestSmuggling(t *testing.T) {
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %q", r.URL.Path, body)
	}), nil, nil)
	for name, c := range map[string]struct{ text, want string }{
		"te wins over length":  {"POST /1 HTTP/1.1\r\nHost: %s\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1e\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n0\r\n\r\n", `/1 "GET /admin HTTP/1.1\r\nHost: x\r"`},
		"request in the body":  {"POST /1 HTTP/1.1\r\nHost: %s\r\nContent-Length: 24\r\nConnection: close\r\n\r\nGET /admin HTTP/1.1\r\n\r\n\r\n", `/1 "GET /admin HTTP/1.1\r\n\r\n\r"`},
		"connection names te":  {"POST /1 HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\nConnection: close, content-length, host\r\n\r\na", `/1 "a"`},
		"body without framing": {"POST /1 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\nGET /admin HTTP/1.1\r\n\r\n", `/1 ""`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, p.front, "POST", fmt.Sprintf(c.text, p.front))
			if got.Status != 200 && got.Status != 400 || got.Status == 200 && !strings.HasPrefix(got.Body, "/1 ") {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			if strings.Contains(got.Body, "/admin \"") {
				t.Errorf("smuggled: %s", got.Body)
			}
		})
	}
}
