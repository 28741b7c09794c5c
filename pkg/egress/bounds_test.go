package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/guard/guardtest"
)

func TestHeaderPolicy(t *testing.T) {
	heads := make(chan string, 1)
	s := serveRaw(t, answering(heads, "HTTP/1.1 200 OK\r\nServer: secret/1\r\nX-Internal-Host: h\r\nX-Kept: 1\r\nTrailer: X-Internal-Sum\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Internal-Sum: 7\r\n\r\n"))
	e := open(t, config.Upstream{URL: s.url(), AllowRequestHeaders: []string{"content-type", "X-Amz-*"}, DropResponseHeaders: []string{"server", "X-Internal-*"}})
	r := post("/", "x")
	r.Fields = exchange.Fields{{Name: "Content-Type", Value: "a/b"}, {Name: "Cookie", Value: "c"}, {Name: "X-Amz-Date", Value: "d"}, {Name: "X-Am", Value: "e"}, {Name: "Via", Value: "1.1 site-a"}}
	r.Trailers = exchange.Fields{{Name: "X-Amz-Sum", Value: "1"}, {Name: "X-Sum", Value: "2"}}
	resp, _ := do(t, e, r)
	head := <-heads
	for text, want := range map[string]bool{"Content-Type: a/b": true, "X-Amz-Date: d": true, "Trailer: X-Amz-Sum\r\n": true, "Via: 1.1 site-a": true, "Cookie": false, "X-Am:": false, "X-Sum": false} {
		if strings.Contains(head, text) != want {
			t.Errorf("%s: sent is not %v in %q", text, want, head)
		}
	}
	if got := fmt.Sprint(resp.Fields, resp.Trailers()); got != "[{X-Kept 1} {Trailer X-Internal-Sum} {Via 1.1 site-b}] []" {
		t.Errorf("answer: %s", got)
	}
}

func TestRequestSize(t *testing.T) {
	s := serveRaw(t, func(int, net.Conn) { t.Error("was dialled") })
	e := open(t, config.Upstream{URL: s.url(), MaxRequest: 10})
	declared, chunked := post("/", strings.Repeat("x", 11)), post("/", strings.Repeat("x", 11))
	chunked.Length, chunked.Size = -1, 11
	for _, r := range []*exchange.Request{declared, chunked} {
		if p := e.Admit(r); p == nil || p.Code != exchange.CodeTooLarge {
			t.Errorf("length %d: %v", r.Length, p)
		}
	}
	if p := e.Admit(post("/", strings.Repeat("x", 10))); p != nil {
		t.Error(p)
	}
}

// headWithin gives a call's answer, whose body has yet to come, of the first of ever longer limits within which the head came:
// on a busy machine a short one may be over before.
func headWithin(t *testing.T, with func(limit time.Duration) *Egress) *exchange.Response {
	t.Helper()
	for limit := 50 * time.Millisecond; ; limit *= 2 {
		resp, _, p := with(limit).Do(t.Context(), get("/"))
		if p == nil {
			return resp
		}
		if p.Code != exchange.CodeCalleeTimeout || limit > guardTime {
			t.Fatalf("no head within %v: %v", limit, p)
		}
	}
}

// sentWithin makes calls that no answer ends, with ever longer limits, until one had begun to send when its limit ended it.
func sentWithin(t *testing.T, with func(limit time.Duration) (*Egress, *exchange.Request)) {
	t.Helper()
	for limit := 20 * time.Millisecond; ; limit *= 2 {
		e, r := with(limit)
		if fail(t, e, r, exchange.CodeCalleeTimeout) {
			return
		}
		if limit > guardTime/2 {
			t.Fatal("said to be not sent")
		}
	}
}

// TestWholeTime: a server that sends a byte now and then outlives every idle timeout, not max_time.
func TestWholeTime(t *testing.T) {
	stop := make(chan struct{})
	drip := func(head string) *rawServer {
		return serveRaw(t, func(_ int, c net.Conn) {
			if _, err := readHead(bufio.NewReader(c)); err != nil {
				return
			}
			for _, err := io.WriteString(c, head); err == nil; _, err = io.WriteString(c, "x") {
				select {
				case <-time.After(time.Millisecond):
				case <-stop:
					return
				}
			}
		})
	}
	defer close(stop)
	s := drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n")
	resp := headWithin(t, func(limit time.Duration) *Egress { return open(t, config.Upstream{URL: s.url(), MaxTime: limit}) })
	_, err := io.Copy(io.Discard, resp.Body)
	var abort *exchange.Abort
	if resp.Body.Close(); !errors.As(err, &abort) || !strings.Contains(abort.Reason, "longer than it may") {
		t.Errorf("%v", err)
	}
	s = drip("HTTP/1.1 200 OK\r\nX: ")
	fail(t, open(t, config.Upstream{URL: s.url(), MaxTime: 50 * time.Millisecond}), get("/"), exchange.CodeCalleeTimeout)
}

func TestBreaker(t *testing.T) {
	var mu sync.Mutex
	answer := ""
	say := func(text string) { mu.Lock(); answer = text; mu.Unlock() }
	s := serveRaw(t, func(_ int, c net.Conn) {
		mu.Lock()
		text := answer
		mu.Unlock()
		if _, err := readHead(bufio.NewReader(c)); err == nil {
			io.WriteString(c, text)
		}
	})
	e := open(t, config.Upstream{URL: s.url(), BreakerFailures: 3, BreakerPause: time.Hour})
	state := func() Health { return e.Health()[0] }
	say("HTTP/1.1 500 no\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	for range 5 {
		do(t, e, get("/"))
	}
	if h := state(); h.State != "closed" || h.Failures != 0 {
		t.Errorf("answers of 500 count as failures: %+v", h)
	}
	say("")
	for range 2 {
		fail(t, e, get("/"), exchange.CodeCalleeBroken)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, p := e.Do(canceled, get("/")); p == nil || p.Code != exchange.CodeCanceled {
		t.Errorf("canceled: %v", p)
	}
	if h := state(); h.Failures != 2 || h.State != "closed" || h.Last != exchange.CodeCalleeBroken {
		t.Errorf("%+v", h)
	}
	fail(t, e, get("/"), exchange.CodeCalleeBroken)
	if fail(t, e, get("/"), exchange.CodeCalleeAway) {
		t.Error("said to be sent")
	}
	if h := state(); h.State != "open" || h.RetryIn < 59*time.Minute {
		t.Errorf("%+v", h)
	}

	e = open(t, config.Upstream{URL: s.url(), BreakerFailures: 1, BreakerPause: time.Millisecond})
	fail(t, e, get("/"), exchange.CodeCalleeBroken)
	// The breaker has a clock of its own, so its pause is waited for.
	for end := time.Now().Add(time.Minute); state().State != "half-open"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not tried again after its pause: %+v", state())
		}
	}
	say("HTTP/1.1 204 back\r\n\r\n")
	do(t, e, get("/"))
	if h := state(); h.State != "closed" {
		t.Errorf("after a call that worked: %+v", h)
	}
	e = open(t, config.Upstream{URL: s.url()})
	say("")
	for range 20 {
		fail(t, e, get("/"), exchange.CodeCalleeBroken)
	}
	if h := state(); h.State != "off" {
		t.Errorf("%+v", h)
	}
}

// TestRebinding: a name that has an allowed address at one look-up and a forbidden one at the next gains nothing,
// because each dial is judged by the address that it goes to.
func TestRebinding(t *testing.T) {
	s := serveRaw(t, answering(make(chan string, 10), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
	to := guardtest.Names(t)
	_, port, _ := net.SplitHostPort(s.l.Addr().String())
	e := open(t, config.Upstream{URL: "http://rebinding.example:" + port})
	for _, c := range []struct{ addr, code string }{
		{"127.0.0.1", ""}, {"169.254.169.254", exchange.CodeAddressRefused}, {"127.0.0.1", ""}, {"0.0.0.0", exchange.CodeAddressRefused},
		{"100.100.100.200", exchange.CodeAddressRefused}, {"224.0.0.1", exchange.CodeAddressRefused},
	} {
		to <- netip.MustParseAddr(c.addr)
		if c.code == "" {
			do(t, e, get("/"))
		} else if fail(t, e, get("/"), c.code) {
			t.Errorf("%s: said to be sent", c.addr)
		}
		<-to
	}
}

// secureServer speaks TLS, with HTTP/2 or not, and gives its CA file.
func secureServer(t *testing.T, h2 bool, clients *x509.CertPool, handle http.HandlerFunc) (*httptest.Server, string) {
	t.Helper()
	s := httptest.NewUnstartedServer(handle)
	s.EnableHTTP2 = h2
	s.TLS = &tls.Config{ClientCAs: clients}
	if clients != nil {
		s.TLS.ClientAuth = tls.RequireAnyClientCert
	}
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, writeCert(t, s.Certificate().Raw)
}

// TestHTTP2ToCallees: where the server offers it; targets, fields and trailers are the same as by HTTP/1.1.
func TestHTTP2ToCallees(t *testing.T) {
	for _, c := range []struct {
		server bool
		http2  string
		want   string
	}{{true, "", "2"}, {true, "off", "1.1"}, {false, "auto", "1.1"}} {
		seen := make(chan *http.Request, 1)
		s, ca := secureServer(t, c.server, nil, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header()["X-Two"] = []string{"1", "2"}
			w.Header().Set("Trailer", "X-End")
			fmt.Fprintf(w, "%s %s", r.RequestURI, body)
			w.Header().Set("X-End", "9")
			seen <- r
		})
		e := open(t, config.Upstream{URL: s.URL, CAFile: ca, HTTP2: c.http2})
		for _, target := range []string{"/a%2Fb;c=d?", "//x/y", "/%41?a=%zz&b=;", "/"} {
			r := get(target)
			r.Method, r.Length, r.Body = "PROPPATCH", -1, strings.NewReader("body")
			r.Fields = exchange.Fields{{Name: "Te", Value: "trailers"}, {Name: "Idempotency-Key", Value: "k"}, {Name: "X-A", Value: "1"}, {Name: "X-A", Value: "2"}}
			r.Trailers = exchange.Fields{{Name: "X-Sum", Value: "7"}}
			resp, body := do(t, e, r)
			got := <-seen
			if body != target+" body" || fmt.Sprint(resp.Trailers()) != "[{X-End 9}]" || got.Trailer.Get("X-Sum") != "7" {
				t.Errorf("%+v: %s: %q, trailers %v and %v", c, target, body, got.Trailer, resp.Trailers())
			}
			if got.Header.Get("Te") != "trailers" || fmt.Sprint(got.Header["X-A"]) != "[1 2]" || got.Header.Get("Idempotency-Key") != "k" || got.Method != "PROPPATCH" {
				t.Errorf("%+v: %s %v", c, got.Method, got.Header)
			}
			if via := resp.Fields[len(resp.Fields)-1]; via.Value != c.want+" site-b" {
				t.Errorf("%+v: %v", c, via)
			}
		}
	}
}

// TestHTTP2CallsEndAlone: calls share a connection by HTTP/2; one that is given up must not take the others with it.
func TestHTTP2CallsEndAlone(t *testing.T) {
	begun, release := make(chan struct{}, 2), make(chan struct{})
	s, ca := secureServer(t, true, nil, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		if r.URL.Path == "/slow" {
			<-release
		} else {
			<-r.Context().Done()
		}
		io.WriteString(w, "whole")
	})
	e := open(t, config.Upstream{URL: s.URL, CAFile: ca})
	answer := make(chan string, 1)
	go func() {
		resp, _, p := e.Do(t.Context(), get("/slow"))
		if p != nil {
			answer <- p.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan *exchange.Problem, 1)
	go func() { _, _, p := e.Do(ctx, get("/gone")); gone <- p }()
	<-begun
	cancel()
	if p := <-gone; p == nil || p.Code != exchange.CodeCanceled {
		t.Errorf("canceled: %v", p)
	}
	close(release)
	if got := <-answer; got != "whole" {
		t.Errorf("the other call: %s", got)
	}
}

func TestClientCertificate(t *testing.T) {
	s, _ := secureServer(t, false, nil, nil)
	dir := t.TempDir()
	leaf := s.TLS.Certificates[0]
	keyDER, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	shown := make(chan int, 1)
	mutual, ca := secureServer(t, false, pool, func(_ http.ResponseWriter, r *http.Request) { shown <- len(r.TLS.PeerCertificates) })
	cert := writeCert(t, s.Certificate().Raw)
	do(t, open(t, config.Upstream{URL: mutual.URL, CAFile: ca, CertFile: cert, KeyFile: key}), get("/"))
	if n := <-shown; n != 1 {
		t.Errorf("%d certificates shown", n)
	}
	fail(t, open(t, config.Upstream{URL: mutual.URL, CAFile: ca}), get("/"), exchange.CodeCalleeTLS)
	for name, u := range map[string]config.Upstream{"no key": {CertFile: cert, KeyFile: "/nowhere"}, "no certificate": {CertFile: "/nowhere", KeyFile: key}, "no pair": {CertFile: key, KeyFile: key}} {
		u.Name, u.URL = "orders", mutual.URL
		if _, err := newUpstream(u, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := newUpstream(config.Upstream{URL: mutual.URL, CertFile: cert, KeyFile: key}, nil); err == nil {
		t.Error("a key that others may read is accepted")
	}
}

// TestResponseHeadLimits: narrower limits of an answer's head than those of the protocol.
func TestResponseHeadLimits(t *testing.T) {
	for name, c := range map[string]struct {
		fields, code string
	}{
		"within": {"A: 1\r\n", ""},
		"bytes":  {"A: " + strings.Repeat("x", 1000) + "\r\n", exchange.CodeCalleeBroken},
		"fields": {"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n", exchange.CodeCalleeBroken},
	} {
		s := serveRaw(t, func(_ int, conn net.Conn) {
			if _, err := readHead(bufio.NewReader(conn)); err == nil {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+c.fields+"\r\n")
			}
		})
		e := open(t, config.Upstream{URL: s.url(), MaxHead: 1000, MaxFields: 4})
		resp, _, p := e.Do(t.Context(), get("/"))
		if got := ""; p != nil {
			if got = p.Code; got != c.code {
				t.Errorf("%s: %s: %s", name, got, p.Detail)
			}
			continue
		} else if c.code != "" {
			t.Errorf("%s: passed", name)
		}
		resp.Body.Close()
	}
}
