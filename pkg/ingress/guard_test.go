package ingress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
)

const testToken = "tok-0123456789abcdef"

func write(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWhoMayCall: without a name 407, with one only its routes; credentials for this site never cross.
func TestWhoMayCall(t *testing.T) {
	dir := t.TempDir()
	for _, field := range []string{"", "X-Hoft-Key", "Authorization"} {
		t.Run("by "+field, func(t *testing.T) {
			caller := newEchoing()
			s := start(t, caller, func(c *config.Ingress) {
				c.AuthField = field
				c.Callers = []config.Caller{{Name: "billing", TokenFile: write(t, dir, "t", []byte(testToken))}, {Name: "desk", PasswordFile: write(t, dir, "p", []byte("password"))}}
				c.Routes = []config.Route{{Path: "/", Peer: "site-b", Upstream: "all"}, {Path: "/bills", Peer: "site-b", Upstream: "bills", Callers: []string{"billing"}}}
			})
			name, status, code, asks := "Proxy-Authorization", 407, "proxy-login-needed", "Proxy-Authenticate"
			if field != "" {
				name, status, code, asks = field, 401, "login-needed", "Www-Authenticate"
			}
			token, basic := name+": Bearer "+testToken+"\r\n", name+": Basic ZGVzazpwYXNzd29yZA==\r\n"
			for what, c := range map[string]struct {
				line   string
				status int
				code   string
			}{
				"GET /x HTTP/1.1": {"", status, code},
				"GET /y HTTP/1.1": {name + ": Bearer wrong\r\n", status, code},
				"GET /.hoft/v1/exchanges/01a201e6-a330-7c55-9e1b-6a0d1c2b7e44 HTTP/1.1": {"", status, code},
				"GET /%2ehoft/problems/loop HTTP/1.1":                                   {"", status, code},
				"GET /.hoft/problems/loop HTTP/1.1":                                     {"", 200, ""},
				"POST /.hoft/problems/loop HTTP/1.1":                                    {"", status, code},
				"GET /z HTTP/1.1":                                                       {token, 200, ""},
				"GET /bills HTTP/1.1":                                                   {token, 200, ""},
				"GET /%62ills HTTP/1.1":                                                 {basic, 403, "caller-denied"},
				"GET /bills/1 HTTP/1.1":                                                 {basic, 403, "caller-denied"},
				"GET /v HTTP/1.1":                                                       {basic, 200, ""},
				"GET /bills/2 HTTP/1.1":                                                 {"", status, code}, // not: which routes there are
			} {
				g := s.send(t, what+"\r\nHost: HOST\r\n"+c.line+end)
				if g.StatusCode != c.status || g.problem.Code != c.code {
					t.Errorf("%s: %d %s, want %d %s", what, g.StatusCode, g.text, c.status, c.code)
				}
				if got := g.Header.Values(asks); (len(got) == 2) != (c.code == code) {
					t.Errorf("%s: %s: %q", what, asks, got)
				}
				if r, _ := caller.got(); r != nil {
					for _, f := range r.Fields {
						if strings.Contains(f.Value, testToken) || strings.Contains(f.Value, "ZGVzazpw") {
							t.Errorf("%s: %s crosses", what, f.Name)
						}
					}
				}
			}
			g := s.send(t, "GET /x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer callees\r\n"+token+end)
			if r, _ := caller.got(); field == "" && (g.StatusCode != 200 || fieldOf(r, "Authorization") != "Bearer callees") {
				t.Errorf("the callee's Authorization does not cross: %d", g.StatusCode)
			}
			if log := s.logged(t); strings.Contains(log, testToken) || strings.Contains(log, "wrong") || !strings.Contains(log, `"caller":"billing"`) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func fieldOf(r *exchange.Request, name string) string {
	for _, f := range r.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// TestRefusedBeforeTheUpload: an upload of nobody is not asked for.
func TestRefusedBeforeTheUpload(t *testing.T) {
	s := start(t, newEchoing(), func(c *config.Ingress) {
		c.Callers = []config.Caller{{Name: "a", TokenFile: write(t, t.TempDir(), "t", []byte(testToken))}}
		c.UploadStall = 100 * time.Millisecond
	})
	for _, expect := range []string{"Expect: 100-continue\r\n", ""} {
		c := dial(t, s.addr)
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 50\r\n\r\n", s.addr, expect)
		br := bufio.NewReader(c)
		if g := receive(t, br, "POST"); g.StatusCode != 407 || !g.Close {
			t.Errorf("%q: %d, close %v", expect, g.StatusCode, g.Close)
		}
		// net/http waits for what is left of a short body; the stall timeout ends that too.
		if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
			t.Errorf("%q: after the answer: %q, %v", expect, rest, err)
		}
	}
}

func TestOriginOfUnsafeRequests(t *testing.T) {
	caller := newEchoing()
	s := start(t, caller, nil)
	for text, want := range map[string]string{
		"DELETE /.hoft/v1/exchanges/x HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\n":     "cross-origin",
		"POST /.hoft/x HTTP/1.1\r\nHost: HOST\r\nSec-Fetch-Site: cross-site\r\n":                     "cross-origin",
		"POST /.hoft/y HTTP/1.1\r\nHost: HOST\r\nOrigin: null\r\n":                                   "cross-origin",
		"GET /.hoft/x HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\n":                     "no-route",
		"DELETE / HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: none\r\n": "",
	} {
		g := s.send(t, text+end)
		if g.problem.Code != want {
			t.Errorf("%q: %d %q, want %q", text, g.StatusCode, g.problem.Code, want)
		}
	}
	if g := s.send(t, "DELETE /.hoft/v1/exchanges/x HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\n"+end); g.problem.Code == "cross-origin" {
		t.Error("the same origin is refused")
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// sign gives a certificate for a name and its key, in PEM.
func (a *authority) sign(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// client trusts the authority and shows a certificate for name, none for "".
func (a *authority) client(t *testing.T, name string) *http.Client {
	t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(a.cert)
	if name != "" {
		pair, err := tls.X509KeyPair(a.sign(t, name))
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func secured(t *testing.T, a *authority, caller exchange.Caller) running {
	dir := t.TempDir()
	cert, key := a.sign(t, "localhost")
	return start(t, caller, func(c *config.Ingress) {
		c.TLS = config.IngressTLS{CertFile: write(t, dir, "cert", cert), KeyFile: write(t, dir, "key", key), ClientCAFile: write(t, dir, "ca", a.pem)}
		c.Callers = []config.Caller{{Name: "billing", Certificates: []string{"client.example"}}, {Name: "t", TokenFile: write(t, dir, "t", []byte(testToken))}}
	})
}

func TestMutualTLS(t *testing.T) {
	a := newAuthority(t)
	caller := newEchoing()
	s := secured(t, a, caller)
	for name, want := range map[string]int{"client.example": 200, "other.example": 407, "": 407} {
		resp, err := a.client(t, name).Post("https://"+s.addr+"/x?y", "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || resp.ProtoMajor != 2 {
			t.Errorf("%q: %d by %s: %s", name, resp.StatusCode, resp.Proto, text)
		}
		if r, body := caller.got(); want == 200 && (r == nil || body != "body" || r.Scheme != "https" || fieldOf(r, "Via") != "2 site-a" || r.Target != "/x?y") {
			t.Errorf("%q: %+v %q", name, r, body)
		}
	}
	stranger := newAuthority(t)
	c := stranger.client(t, "client.example")
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	c.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	if resp, err := c.Get("https://" + s.addr + "/"); err == nil {
		resp.Body.Close()
		t.Errorf("a certificate of another authority: %d", resp.StatusCode)
	}
	plain, err := http.Get("http://" + s.addr + "/")
	if err != nil || plain.StatusCode != 400 {
		t.Errorf("without TLS: %v %v", plain, err)
	} else {
		plain.Body.Close()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// TestBrokenAnswerOverTLS: an HTTP/1.0 caller knows the end of a body by the end of the connection alone, so
// that must not be a proper one.
func TestBrokenAnswerOverTLS(t *testing.T) {
	a := newAuthority(t)
	s := secured(t, a, answeringWith(func() *exchange.Response {
		r := answer(200, "")
		r.Length, r.Body = -1, newBroken("half")
		return r
	}))
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	c, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.0\r\nHost: %s\r\nProxy-Authorization: Bearer %s\r\n\r\n", s.addr, testToken)
	if text, err := io.ReadAll(c); err == nil {
		t.Errorf("the answer looks whole: %q", text)
	}
}

// TestHTTP2 in clear: bodies, trailers and broken answers cross as by HTTP/1.1.
func TestHTTP2(t *testing.T) {
	caller := newEchoing()
	s := start(t, caller, nil)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols}
	defer tr.CloseIdleConnections()
	pr, pw := io.Pipe()
	req, err := http.NewRequest("PUT", "http://"+s.addr+"/a%2Fb;c?", pr)
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Sum": nil}
	req.Header.Set("Te", "trailers")
	req.Header["X-Two"] = []string{"1", "2"}
	go func() {
		io.WriteString(pw, "body")
		req.Trailer.Set("X-Sum", "7")
		pw.Close()
	}()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	r, body := caller.got()
	if err != nil || string(text) != "body" || resp.ProtoMajor != 2 || body != "body" || r.Target != "/a%2Fb;c?" || r.Length != -1 {
		t.Errorf("%v %q %s %+v", err, text, resp.Proto, r)
	}
	if len(r.Trailers) != 1 || r.Trailers[0] != (exchange.Field{Name: "X-Sum", Value: "7"}) || fieldOf(r, "Te") != "trailers" {
		t.Errorf("trailers %v, TE %q", r.Trailers, fieldOf(r, "Te"))
	}
	long := bytes.Repeat([]byte("x"), 101)
	req, _ = http.NewRequest("PUT", "http://"+s.addr+"/", bytes.NewReader(long))
	if resp, err = tr.RoundTrip(req); err != nil || resp.StatusCode != 413 {
		t.Fatalf("too long: %v %v", resp, err)
	}
	resp.Body.Close()
}

func TestHTTP2Answers(t *testing.T) {
	var broken bool
	s := start(t, answeringWith(func() *exchange.Response {
		r := answer(200, "", "Trailer", "X-End")
		r.Length, r.Body = -1, io.NopCloser(strings.NewReader("whole"))
		if broken {
			r.Body = newBroken("half")
		}
		r.Trailers = func() exchange.Fields { return exchange.Fields{{Name: "X-End", Value: "1"}} }
		return r
	}), nil)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols}
	defer tr.CloseIdleConnections()
	for _, broken = range []bool{false, true} {
		req, _ := http.NewRequest("GET", "http://"+s.addr+"/", nil)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if broken != (err != nil) || !broken && (string(text) != "whole" || resp.Trailer.Get("X-End") != "1") {
			t.Errorf("broken %v: %q, %v, trailers %v", broken, text, err, resp.Trailer)
		}
	}
}

// TestConnectionCaps: one address, one caller, and all together hold so many and no more; what is let go is free again.
func TestConnectionCaps(t *testing.T) {
	token := write(t, t.TempDir(), "t", []byte(testToken))
	ask := func(t *testing.T, s running, c net.Conn) int {
		t.Helper()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer %s\r\n\r\n", s.addr, testToken)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0 // closed without a word
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		if (resp.StatusCode == 429) != resp.Close {
			t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
		}
		return resp.StatusCode
	}
	for name, c := range map[string]struct {
		change func(*config.Ingress)
		third  int
	}{
		"by address":              {func(c *config.Ingress) { c.PerAddress = 2 }, 0},
		"in all":                  {func(c *config.Ingress) { c.Connections = 2 }, 0},
		"by caller":               {func(c *config.Ingress) { c.PerCaller = 2 }, 429},
		"a trusted proxy's":       {func(c *config.Ingress) { c.PerAddress, c.TrustedProxies = 2, []string{"127.0.0.1"} }, 200},
		"no limit but a caller's": {func(c *config.Ingress) { c.PerCaller = 3 }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, newEchoing(), func(in *config.Ingress) {
				in.Callers = []config.Caller{{Name: "a", TokenFile: token}}
				c.change(in)
			})
			conns := []net.Conn{dial(t, s.addr), dial(t, s.addr)}
			for _, conn := range append(conns, conns...) { // twice each: a connection counts once
				if got := ask(t, s, conn); got != 200 {
					t.Fatalf("one of two: %d", got)
				}
			}
			if got := ask(t, s, dial(t, s.addr)); got != c.third {
				t.Errorf("the third: %d, want %d", got, c.third)
			}
			conns[0].Close()
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			for ctx.Err() == nil && ask(t, s, dial(t, s.addr)) != 200 { // until the closing was noticed
			}
			if ctx.Err() != nil {
				t.Error("what was let go is not free again")
			}
		})
	}
}

// TestDripping: a byte now and then is no upload.
func TestDripping(t *testing.T) {
	b := requestBody{stall: time.Minute, begun: time.Now().Add(-10 * time.Minute), read: 10}
	if !b.due().Before(time.Now()) {
		t.Error("ten bytes in ten minutes count as progress")
	}
	b.read = 10 * 60 * slowest
	if d := time.Until(b.due()); d < 50*time.Second || d > time.Minute {
		t.Errorf("at the least rate the next byte is due in %v", d)
	}
	for _, b.read = range []int64{1 << 30, 10 << 30, 1 << 53} {
		if d := time.Until(b.due()); d < 50*time.Second || d > time.Minute {
			t.Errorf("a fast upload of %d bytes may pause for %v", b.read, d)
		}
	}
}

// TestStalledUploadIsTold: a caller that is still there hears that its upload was given up, and no answer that looks good.
func TestStalledUploadIsTold(t *testing.T) {
	caller := newEchoing()
	s := start(t, caller, func(c *config.Ingress) { c.UploadStall = 50 * time.Millisecond })
	c := dial(t, s.addr)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 50\r\n\r\nhalf", s.addr)
	br := bufio.NewReader(c)
	g := receive(t, br, "POST")
	if g.StatusCode != http.StatusBadRequest || g.problem.Code != "bad-request" || !strings.Contains(g.problem.Detail, "4 bytes") || !g.Close {
		t.Errorf("%d %+v, close %v", g.StatusCode, g.problem, g.Close)
	}
}

// TestHeadLimits: narrower limits of a head than those of the protocol.
func TestHeadLimits(t *testing.T) {
	s := start(t, newEchoing(), func(c *config.Ingress) { c.MaxHead, c.MaxFields = 1000, 5 })
	for name, c := range map[string]struct {
		fields string
		status int
	}{
		"within":   {"A: 1\r\nB: 2\r\n", 200},
		"bytes":    {"A: " + strings.Repeat("x", 1000) + "\r\n", 431},
		"fields":   {"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\n", 431},
		"repeated": {strings.Repeat("A: 1\r\n", 6), 431},
	} {
		if got := s.send(t, "GET / HTTP/1.1\r\nHost: HOST\r\n"+c.fields+end); got.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, got.StatusCode, c.status)
		}
	}
}
