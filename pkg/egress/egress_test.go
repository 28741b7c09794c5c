package egress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

func TestMain(m *testing.M) { leaks.Main(m) }

var peerA = identity.ID{1}

// guardTime ends a test that hangs; nothing is expected to take that long.
const guardTime = time.Minute

// rawServer is a TCP server whose connections are served by handle, one goroutine each.
type rawServer struct {
	l     net.Listener
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
}

func serveRaw(t *testing.T, handle func(n int, c net.Conn)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{l: l}
	s.wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.wg.Go(func() {
				defer c.Close()
				handle(n, c)
			})
		}
	})
	t.Cleanup(s.close)
	return s
}

func (s *rawServer) close() {
	s.l.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *rawServer) url() string { return "http://" + s.l.Addr().String() }

// readHead reads up to the empty line.
func readHead(br *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := br.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

// answering gives a handler that sends each request head to heads and answers with text.
func answering(heads chan<- string, text string) func(int, net.Conn) {
	return func(_ int, c net.Conn) {
		br := bufio.NewReader(c)
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			heads <- head
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

func open(t *testing.T, u config.Upstream, blocked ...netip.AddrPort) *Egress {
	t.Helper()
	if u.Name == "" {
		u.Name = "orders"
	}
	if u.Peers == nil {
		u.Peers = []string{"site-a"}
	}
	e, err := New(config.Egress{Upstreams: []config.Upstream{u}}, "site-b", map[identity.ID]string{peerA: "site-a"}, blocked, Secrets{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func get(target string) *exchange.Request {
	return &exchange.Request{Exchange: uuid.Must(uuid.NewV7()), Peer: peerA, Upstream: "orders", Method: "GET", Target: target,
		Scheme: "http", Host: "caller.example", Attempt: 1}
}

func post(target, body string) *exchange.Request {
	r := get(target)
	r.Method, r.Length, r.Body = "POST", int64(len(body)), strings.NewReader(body)
	return r
}

// do makes a call that must be answered and reads the whole answer.
func do(t *testing.T, e *Egress, r *exchange.Request) (*exchange.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guardTime)
	t.Cleanup(cancel)
	resp, _, p := e.Do(ctx, r)
	if p != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Target, p)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	return resp, string(body)
}

// fail makes a call that must end with the code.
func fail(t *testing.T, e *Egress, r *exchange.Request, code string) (sent bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guardTime)
	defer cancel()
	resp, sent, p := e.Do(ctx, r)
	if p == nil {
		resp.Body.Close()
		t.Fatalf("answered with %d, want problem %s", resp.Status, code)
	}
	if p.Code != code {
		t.Fatalf("problem %v, want code %s", p, code)
	}
	if strings.Contains(p.Detail, "127.0.0.1") {
		t.Errorf("detail tells an address: %s", p.Detail)
	}
	return sent
}

const empty204 = "HTTP/1.1 204 No Content\r\n\r\n"

func TestTargetsAreSentByteForByte(t *testing.T) {
	heads := make(chan string, 1)
	s := serveRaw(t, answering(heads, empty204))
	plain := open(t, config.Upstream{URL: s.url()})
	based := open(t, config.Upstream{URL: s.url() + "/base/"})
	for _, target := range []string{
		"/", "/a%2Fb", "/a%2fb", "/a;b=c", "/a?", "/?", "/a??b", "//x", "//x/y?z", "//user@host/", "/a//b", "/./a", "/a/../b", "/a/%2e%2e/b",
		"/%zz", "/a%", "/a|b", `/a"b`, "/a<b>", `/a\b`, "/é", "/%C3%A9", "/a?b=c;d=e&f", "/a?b#"[:4], "/a?%20+", "/a:b", "/http://x/", "/{x}", "/a^b`", "/~x", "/a'b(c)*",
	} {
		for prefix, e := range map[string]*Egress{"": plain, "/base": based} {
			if prefix != "" && strings.Contains(target, "..") || prefix != "" && strings.Contains(target, "%2e") {
				continue
			}
			do(t, e, get(target))
			line, _, _ := strings.Cut(<-heads, "\r\n")
			if want := "GET " + prefix + target + " HTTP/1.1"; line != want {
				t.Errorf("sent %q, want %q", line, want)
			}
		}
	}
	r := get("*")
	r.Method = "OPTIONS"
	for _, e := range []*Egress{plain, based} {
		do(t, e, r)
		if head := <-heads; !strings.HasPrefix(head, "OPTIONS * HTTP/1.1\r\n") {
			t.Errorf("sent %q", head)
		}
	}
}

func TestHostileTargetsAreRefused(t *testing.T) {
	free := open(t, config.Upstream{URL: "http://127.0.0.1:1"})
	based := open(t, config.Upstream{URL: "http://127.0.0.1:1/public"})
	narrow := open(t, config.Upstream{URL: "http://127.0.0.1:1", Paths: []string{"/public/**", "/v1/*/lines", "/exact"}})
	for _, c := range []struct {
		e      *Egress
		target string
		code   string
	}{
		{free, "/a b", exchange.CodeBadRequest},
		{free, "/a\tb", exchange.CodeBadRequest},
		{free, "/a\r\nHost: evil", exchange.CodeBadRequest},
		{free, "/a\x00", exchange.CodeBadRequest},
		{free, "/a\x7f", exchange.CodeBadRequest},
		{free, "/a#b", exchange.CodeBadRequest},
		{free, "http://evil/", exchange.CodeBadRequest},
		{free, "evil", exchange.CodeBadRequest},
		{free, "", exchange.CodeBadRequest},
		{free, "*", exchange.CodeBadRequest}, // GET *
		{free, "//a|b", exchange.CodeBadRequest},
		{free, "@evil/", exchange.CodeBadRequest},
		{based, "/../admin", exchange.CodeBadRequest},
		{based, "/%2e%2e/admin", exchange.CodeBadRequest},
		{based, "/x/..%2fadmin", exchange.CodeBadRequest},
		{based, `/..\admin`, exchange.CodeBadRequest},
		{based, "/..;x/admin", exchange.CodeBadRequest},
		{narrow, "/public/../admin", exchange.CodeBadRequest},
		{narrow, "/public/%2E%2e/admin", exchange.CodeBadRequest},
		{narrow, "/public/./x", exchange.CodeBadRequest},
		{narrow, "/public/..;/admin", exchange.CodeBadRequest},
		{narrow, "/public/..%2fadmin", exchange.CodeBadRequest},
		{narrow, "/public/..%5cadmin", exchange.CodeBadRequest},
		{narrow, `/public/..\admin`, exchange.CodeBadRequest},
		{narrow, "/public/%00", exchange.CodeBadRequest},
		{narrow, "/public/%c0%ae%c0%ae/admin", exchange.CodeBadRequest},
		{narrow, "/public/%zz", exchange.CodeBadRequest},
		{narrow, "/v1/a%2Fb/lines", exchange.CodeBadRequest}, // one segment or two
		{narrow, "/public%2fx", exchange.CodeBadRequest},
		{narrow, "/admin", exchange.CodeDenied},
		{narrow, "/publicx", exchange.CodeDenied},
		{narrow, "//public/x", exchange.CodeDenied},
		{narrow, "/v1//lines", exchange.CodeDenied},
		{narrow, "/exact/", exchange.CodeDenied},
		{narrow, "/exact;x", exchange.CodeDenied},
		{narrow, "/Exact", exchange.CodeDenied},
		{narrow, "/", exchange.CodeDenied},
	} {
		p := c.e.Admit(get(c.target))
		if p == nil || p.Code != c.code {
			t.Errorf("%q: %v, want %s", c.target, p, c.code)
		}
	}
	for _, target := range []string{"/public", "/public/", "/public/x/y", "/public/a%2Fb", "/%70ublic/x", "/v1/7/lines", "/exact?x=../..", "/exact"} {
		if p := narrow.Admit(get(target)); p != nil {
			t.Errorf("%q: %v", target, p)
		}
	}
}

func TestAdmit(t *testing.T) {
	e := open(t, config.Upstream{URL: "http://127.0.0.1:1", Methods: []string{"GET", "PROPFIND", "MOVE", "OPTIONS"}, Paths: []string{"/dav/**"}})
	change := func(f func(*exchange.Request)) *exchange.Request {
		r := get("/dav/x")
		f(r)
		return r
	}
	field := func(name, value string) *exchange.Request {
		return change(func(r *exchange.Request) { r.Fields = exchange.Fields{{Name: name, Value: value}} })
	}
	for name, c := range map[string]struct {
		r    *exchange.Request
		code string
	}{
		"fine":                {get("/dav/x"), ""},
		"token method":        {change(func(r *exchange.Request) { r.Method = "PROPFIND" }), ""},
		"unknown upstream":    {change(func(r *exchange.Request) { r.Upstream = "x" }), exchange.CodeNoUpstream},
		"unknown peer":        {change(func(r *exchange.Request) { r.Peer = identity.ID{9} }), exchange.CodeDenied},
		"method":              {change(func(r *exchange.Request) { r.Method = "POST" }), exchange.CodeDenied},
		"method case":         {change(func(r *exchange.Request) { r.Method = "get" }), exchange.CodeDenied},
		"no token":            {change(func(r *exchange.Request) { r.Method = "GET / HTTP/1.1\r\nX: y" }), exchange.CodeBadRequest},
		"empty method":        {change(func(r *exchange.Request) { r.Method = "" }), exchange.CodeBadRequest},
		"connect":             {change(func(r *exchange.Request) { r.Method = "CONNECT" }), exchange.CodeUpgrade},
		"options *":           {change(func(r *exchange.Request) { r.Method, r.Target = "OPTIONS", "*" }), exchange.CodeDenied},
		"CRLF value":          {field("X", "a\r\nY: b"), exchange.CodeBadRequest},
		"NUL value":           {field("X", "a\x00"), exchange.CodeBadRequest},
		"LF name":             {field("X\n", "a"), exchange.CodeBadRequest},
		"colon name":          {field("X:", "a"), exchange.CodeBadRequest},
		"empty name":          {field("", "a"), exchange.CodeBadRequest},
		"space name":          {field("Content-Length ", "1"), exchange.CodeBadRequest},
		"second host":         {field("host", "evil"), exchange.CodeBadRequest},
		"loop":                {field("Via", "1.1 site-a, 1.1 site-b (x, y)"), exchange.CodeLoop},
		"loop in any case":    {field("via", "HTTP/1.1 SITE-B"), exchange.CodeLoop},
		"name in a comment":   {field("Via", "1.1 other (1.1 site-b, x)"), ""},
		"other site":          {field("Via", "1.1 site-bb"), ""},
		"destination inside":  {field("Destination", "http://caller.example/dav/y"), ""},
		"destination outside": {field("Destination", "http://caller.example/admin"), exchange.CodeDenied},
		"destination path":    {field("Destination", "/admin"), exchange.CodeDenied},
		"destination dots":    {field("Destination", "/dav/../admin"), exchange.CodeBadRequest},
		"two content types": {change(func(r *exchange.Request) {
			r.Fields = exchange.Fields{{Name: "Content-Type", Value: "a/b"}, {Name: "content-type", Value: "a/b"}}
		}), exchange.CodeBadRequest},
		"two lengths": {change(func(r *exchange.Request) {
			r.Fields = exchange.Fields{{Name: "Content-Length", Value: "1"}, {Name: "Content-Length", Value: "2"}}
		}), exchange.CodeBadRequest},
		"long fields": {field("X", strings.Repeat("x", 49<<10)), exchange.CodeFieldsLarge},
		"many fields": {change(func(r *exchange.Request) {
			r.Fields = make(exchange.Fields, 257)
			for i := range r.Fields {
				r.Fields[i].Name = "X"
			}
		}), exchange.CodeFieldsLarge},
		"bad trailer": {change(func(r *exchange.Request) { r.Trailers = exchange.Fields{{Name: "X", Value: "\n"}} }), exchange.CodeBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			p := e.Admit(c.r)
			if c.code == "" && p != nil || c.code != "" && (p == nil || p.Code != c.code) {
				t.Errorf("got %v, want %q", p, c.code)
			}
		})
	}
	nobody, err := New(config.Egress{Upstreams: []config.Upstream{{Name: "orders", URL: "http://127.0.0.1:1"}}}, "site-b", map[identity.ID]string{peerA: "site-a"}, nil, Secrets{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if p := nobody.Admit(get("/")); p == nil || p.Code != exchange.CodeDenied {
		t.Errorf("an upstream without peers is open: %v", p)
	}
	if e.Slots("orders") != defaultSlots || e.Slots("x") != 0 {
		t.Errorf("slots %d, %d", e.Slots("orders"), e.Slots("x"))
	}
}

func TestConfigErrors(t *testing.T) {
	for name, u := range map[string]config.Upstream{
		"scheme":      {URL: "ftp://x"},
		"no host":     {URL: "http:///x"},
		"userinfo":    {URL: "http://u:p@x"},
		"query":       {URL: "http://x/?a"},
		"fragment":    {URL: "http://x/#a"},
		"dots":        {URL: "http://x/a/../b"},
		"ca missing":  {URL: "https://x", CAFile: "/nonexistent"},
		"ca no cert":  {URL: "https://x", CAFile: "egress_test.go"},
		"pattern":     {URL: "http://x", Paths: []string{"x"}},
		"stars":       {URL: "http://x", Paths: []string{"/a/**/b"}},
		"method":      {URL: "http://x", Methods: []string{"CONNECT"}},
		"addresses":   {URL: "http://x", Addresses: []string{"x"}},
		"not a token": {URL: "http://x", Methods: []string{"G T"}},
	} {
		if _, err := New(config.Egress{Upstreams: []config.Upstream{u}}, "b", nil, nil, Secrets{}, zerolog.Nop()); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: tells a password: %v", name, err)
		}
	}
	two := []config.Upstream{{Name: "a", URL: "http://x"}, {Name: "a", URL: "http://y"}}
	if _, err := New(config.Egress{Upstreams: two}, "b", nil, nil, Secrets{}, zerolog.Nop()); err == nil {
		t.Error("two upstreams of one name accepted")
	}
}

func TestHeadsThatAreSent(t *testing.T) {
	heads := make(chan string, 1)
	s := serveRaw(t, func(_ int, c net.Conn) {
		br := bufio.NewReader(c)
		head, _ := readHead(br)
		heads <- head
		io.WriteString(c, "HTTP/1.1 204 x\r\nConnection: close\r\n\r\n")
		io.Copy(io.Discard, br)
	})
	host := s.l.Addr().String()
	e := open(t, config.Upstream{URL: s.url()})
	keep := open(t, config.Upstream{URL: s.url(), PreserveHost: true})
	for name, c := range map[string]struct {
		e    *Egress
		r    func(*exchange.Request)
		want string
	}{
		"bare":     {e, func(*exchange.Request) {}, "GET / HTTP/1.1\r\nHost: " + host + "\r\nVia: 1.1 site-b\r\n\r\n"},
		"own host": {keep, func(*exchange.Request) {}, "GET / HTTP/1.1\r\nHost: caller.example\r\nVia: 1.1 site-b\r\n\r\n"},
		"no host":  {keep, func(r *exchange.Request) { r.Host = "" }, "GET / HTTP/1.1\r\nHost: " + host + "\r\nVia: 1.1 site-b\r\n\r\n"},
		"fields in order, hop-by-hop removed": {e, func(r *exchange.Request) {
			r.Fields = exchange.Fields{{Name: "X", Value: "1"}, {Name: "Connection", Value: "close, x-gone"}, {Name: "X-Gone", Value: "y"}, {Name: "X", Value: "2"}, {Name: "Keep-Alive", Value: "1"},
				{Name: "Transfer-Encoding", Value: "chunked"}, {Name: "Content-Length", Value: "7"}, {Name: "Expect", Value: "100-continue"}, {Name: "Upgrade", Value: "h2c"}, {Name: "Proxy", Value: "x"},
				{Name: "Proxy-Authorization", Value: "x"}, {Name: "Accept-Encoding", Value: "br"}, {Name: "User-Agent", Value: "u"}, {Name: "Via", Value: "1.1 site-a"}}
		}, "GET / HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: u\r\nAccept-Encoding: br\r\nVia: 1.1 site-a\r\nVia: 1.1 site-b\r\nX: 1\r\nX: 2\r\n\r\n"},
		"te": {e, func(r *exchange.Request) { r.Fields = exchange.Fields{{Name: "Te", Value: "gzip;q=1, trailers"}} },
			"GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: TE\r\nTe: trailers\r\nVia: 1.1 site-b\r\n\r\n"},
		"length": {e, func(r *exchange.Request) { r.Method, r.Length, r.Body = "PUT", 3, strings.NewReader("abc") },
			"PUT / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 3\r\nVia: 1.1 site-b\r\n\r\n"},
		"empty post": {e, func(r *exchange.Request) { r.Method = "POST" },
			"POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\nVia: 1.1 site-b\r\n\r\n"},
		"chunks": {e, func(r *exchange.Request) { r.Method, r.Length, r.Body = "PUT", -1, strings.NewReader("abc") },
			"PUT / HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\nVia: 1.1 site-b\r\n\r\n"},
		"empty chunks by GET": {e, func(r *exchange.Request) { r.Length, r.Body = -1, strings.NewReader("") },
			"GET / HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\nVia: 1.1 site-b\r\n\r\n"},
		"GET with a body": {e, func(r *exchange.Request) { r.Length, r.Body = 2, strings.NewReader("ab") },
			"GET / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 2\r\nVia: 1.1 site-b\r\n\r\n"},
		"trailers": {e, func(r *exchange.Request) {
			r.Method, r.Length, r.Body, r.Trailers = "PUT", -1, strings.NewReader("abc"), exchange.Fields{{Name: "X-Sum", Value: "1"}, {Name: "Host", Value: "evil"}}
		}, "PUT / HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nVia: 1.1 site-b\r\n\r\n"},
		"destination": {e, func(r *exchange.Request) {
			r.Method, r.Fields = "MOVE", exchange.Fields{{Name: "Destination", Value: "http://caller.example/a%2Fb"}}
		}, "MOVE / HTTP/1.1\r\nHost: " + host + "\r\nDestination: http://" + host + "/a%2Fb\r\nVia: 1.1 site-b\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := get("/")
			c.r(r)
			do(t, c.e, r)
			if head := <-heads; head != c.want {
				t.Errorf("sent\n%q, want\n%q", head, c.want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	long := strings.Repeat("x", 100)
	for name, c := range map[string]struct {
		method, answer string
		status         int
		length         int64
		body           string
		code           string // of the problem
		abort          bool
	}{
		"length":               {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, 2, "ab", "", false},
		"chunks":               {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 200, -1, "ab", "", false},
		"until close":          {"GET", "HTTP/1.0 200 OK\r\n\r\nab", 200, -1, "ab", "", false},
		"head":                 {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", 200, 77, "", "", false},
		"204":                  {"GET", "HTTP/1.1 204 No\r\n\r\n", 204, 0, "", "", false},
		"304":                  {"GET", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", 304, 9, "", "", false},
		"redirect":             {"GET", "HTTP/1.1 302 x\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", 302, 0, "", "", false},
		"1xx first":            {"GET", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, 0, "", "", false},
		"odd status":           {"GET", "HTTP/1.1 799 x\r\nContent-Length: 0\r\n\r\n", 799, 0, "", "", false},
		"101":                  {"GET", "HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0, 0, "", exchange.CodeCalleeBroken, false},
		"1xx flood":            {"GET", strings.Repeat("HTTP/1.1 103 Early\r\nLink: "+long+"\r\n\r\n", 2000), 0, 0, "", exchange.CodeCalleeBroken, false},
		"no HTTP":              {"GET", "SSH-2.0\r\n\r\n", 0, 0, "", exchange.CodeCalleeBroken, false},
		"nothing":              {"GET", "", 0, 0, "", exchange.CodeCalleeBroken, false},
		"two lengths":          {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 0, 0, "", exchange.CodeCalleeBroken, false},
		"length and chunks":    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200, -1, "a", "", false},
		"negative length":      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0, 0, "", exchange.CodeCalleeBroken, false},
		"NUL in a value":       {"GET", "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n", 0, 0, "", exchange.CodeCalleeBroken, false},
		"bare CR in a value":   {"GET", "HTTP/1.1 200 OK\r\nX: a\rY: b\r\nContent-Length: 0\r\n\r\n", 0, 0, "", exchange.CodeCalleeBroken, false},
		"space in a name":      {"GET", "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n", 0, 0, "", exchange.CodeCalleeBroken, false},
		"long head":            {"GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 60<<10) + "\r\nContent-Length: 0\r\n\r\n", 0, 0, "", exchange.CodeCalleeBroken, false},
		"too long, declared":   {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n" + long[:65], 0, 0, "", exchange.CodeResponseLarge, false},
		"long HEAD":            {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", 200, 65, "", "", false},
		"as long as may be":    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + long[:64] + "\r\n0\r\n\r\n", 200, -1, long[:64], "", false},
		"too long, in chunks":  {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n" + long[:65] + "\r\n0\r\n\r\n", 200, -1, long[:64], "", true},
		"cut":                  {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 200, 5, "ab", "", true},
		"cut chunks":           {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 200, -1, "ab", "", true},
		"malformed chunks":     {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n", 200, -1, "ab", "", true},
		"unknown coding":       {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 0, 0, "", exchange.CodeCalleeBroken, false},
		"two answers":          {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb", 200, 1, "a", "", false},
		"coded body untouched": {"GET", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 200, 3, "abc", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveRaw(t, func(_ int, conn net.Conn) {
				if _, err := readHead(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, c.answer)
				}
			})
			e := open(t, config.Upstream{URL: s.url(), MaxResponse: 64})
			r := get("/")
			r.Method = c.method
			if c.code != "" {
				if !fail(t, e, r, c.code) {
					t.Error("said to be not sent")
				}
				return
			}
			resp, sent, p := e.Do(t.Context(), r)
			if p != nil {
				t.Fatal(p)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			var abort *exchange.Abort
			if errors.As(err, &abort) != c.abort || !c.abort && err != nil {
				t.Errorf("body ended with %v, want abort %v", err, c.abort)
			}
			if !sent || resp.Status != c.status || resp.Length != c.length || string(body) != c.body {
				t.Errorf("sent %v status %d length %d body %q", sent, resp.Status, resp.Length, body)
			}
			if resp.Callee.Addr != s.l.Addr().String() || resp.Callee.Duration <= 0 || resp.Callee.Answered.Before(resp.Callee.Called) {
				t.Errorf("callee %+v", resp.Callee)
			}
		})
	}
}

func TestResponseFieldsAndTrailers(t *testing.T) {
	s := serveRaw(t, answering(make(chan string, 1), "HTTP/1.1 200 OK\r\nX: 1\r\nConnection: x-gone\r\nX-Gone: y\r\nKeep-Alive: 5\r\nX: 2\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"+
		"Proxy-Status: near; received-status=200\r\nTrailer: X-Sum, X-Late\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\nX-Unannounced: 8\r\nContent-Length: 5\r\n\r\n"))
	resp, body := do(t, open(t, config.Upstream{URL: s.url()}), get("/"))
	want := "[{Proxy-Status near; received-status=200} {Set-Cookie a=b} {Set-Cookie c=d} {X 1} {X 2} {Trailer X-Late, X-Sum} {Via 1.1 site-b}]"
	if got := fmt.Sprint(resp.Fields); got != want || body != "a" {
		t.Errorf("fields %s\nwant   %s", got, want)
	}
	if got := fmt.Sprint(resp.Trailers()); got != "[{X-Sum 7} {X-Unannounced 8}]" {
		t.Errorf("trailers %s", got)
	}
}

func TestOriginsAreMapped(t *testing.T) {
	var origin string
	s := serveRaw(t, func(_ int, c net.Conn) {
		if _, err := readHead(bufio.NewReader(c)); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 201 x\r\nContent-Length: 0\r\nConnection: close\r\nLocation: %s/base/new?a=/base\r\nContent-Location: /base/x\r\nSet-Cookie: a=b; Path=/base/x; Domain=127.0.0.1; Secure\r\n\r\n", origin)
		}
	})
	origin = s.url()
	no := false
	for name, c := range map[string]struct {
		u    config.Upstream
		want string
	}{
		"mapped": {config.Upstream{URL: s.url() + "/base"},
			"[{Content-Location /x} {Location http://caller.example/new?a=/base} {Set-Cookie a=b; Path=/x; Domain=caller.example; Secure} {Via 1.1 site-b}]"},
		"left": {config.Upstream{URL: s.url() + "/base", RewriteOrigin: &no},
			"[{Content-Location /base/x} {Location " + s.url() + "/base/new?a=/base} {Set-Cookie a=b; Path=/base/x; Domain=127.0.0.1; Secure} {Via 1.1 site-b}]"},
		"left with the caller's host": {config.Upstream{URL: s.url() + "/base", PreserveHost: true},
			"[{Content-Location /base/x} {Location " + s.url() + "/base/new?a=/base} {Set-Cookie a=b; Path=/base/x; Domain=127.0.0.1; Secure} {Via 1.1 site-b}]"},
	} {
		resp, _ := do(t, open(t, c.u), get("/"))
		if got := fmt.Sprint(resp.Fields); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
}

func TestFailuresBeforeAnythingWasSent(t *testing.T) {
	// The local port of an open connection is taken, and nobody listens there.
	taken, err := net.Dial("tcp", serveRaw(t, func(_ int, c net.Conn) { io.Copy(io.Discard, c) }).l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	closed := "http://" + taken.LocalAddr().String()
	listening := serveRaw(t, func(int, net.Conn) { t.Error("was dialled") })
	own := netip.MustParseAddrPort(listening.l.Addr().String())
	for name, c := range map[string]struct {
		u       config.Upstream
		blocked []netip.AddrPort
		code    string
	}{
		"refused":            {config.Upstream{URL: closed}, nil, exchange.CodeCalleeRefused},
		"no such name":       {config.Upstream{URL: "http://nothing.invalid"}, nil, exchange.CodeCalleeDNS},
		"not listed":         {config.Upstream{URL: listening.url(), Addresses: []string{"10.0.0.0/8"}}, nil, exchange.CodeAddressRefused},
		"own listener":       {config.Upstream{URL: listening.url()}, []netip.AddrPort{own}, exchange.CodeAddressRefused},
		"own, all addresses": {config.Upstream{URL: listening.url()}, []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), own.Port())}, exchange.CodeAddressRefused},
		"own, mapped":        {config.Upstream{URL: fmt.Sprintf("http://[::ffff:127.0.0.1]:%d", own.Port())}, []netip.AddrPort{own}, exchange.CodeAddressRefused},
		"a name's address":   {config.Upstream{URL: fmt.Sprintf("http://localhost:%d", own.Port()), Addresses: []string{"10.0.0.0/8"}}, nil, exchange.CodeAddressRefused},
		"metadata":           {config.Upstream{URL: "http://169.254.169.254"}, nil, exchange.CodeAddressRefused},
		"metadata, mapped":   {config.Upstream{URL: "http://[::ffff:169.254.169.254]"}, nil, exchange.CodeAddressRefused},
		"unspecified":        {config.Upstream{URL: "http://0.0.0.0:" + fmt.Sprint(own.Port())}, nil, exchange.CodeAddressRefused},
	} {
		t.Run(name, func(t *testing.T) {
			if fail(t, open(t, c.u, c.blocked...), post("/", "x"), c.code) {
				t.Error("said to be sent")
			}
		})
	}
}

func TestNoAnswerInTime(t *testing.T) {
	s := serveRaw(t, func(_ int, c net.Conn) { io.Copy(io.Discard, c) })
	sentWithin(t, func(limit time.Duration) (*Egress, *exchange.Request) {
		return open(t, config.Upstream{URL: s.url(), Timeout: limit}), post("/", "x")
	})
}

func TestBodyStops(t *testing.T) {
	s := serveRaw(t, func(_ int, c net.Conn) {
		if _, err := readHead(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
			io.Copy(io.Discard, c) // until the egress hangs up
		}
	})
	resp := headWithin(t, func(limit time.Duration) *Egress { return open(t, config.Upstream{URL: s.url(), Timeout: limit}) })
	defer resp.Body.Close()
	var abort *exchange.Abort
	if body, err := io.ReadAll(resp.Body); string(body) != "ab" || !errors.As(err, &abort) {
		t.Errorf("%q, %v", body, err)
	}
}

func TestCancel(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	s := serveRaw(t, func(_ int, c net.Conn) {
		if _, err := readHead(bufio.NewReader(c)); err == nil {
			close(arrived)
			io.Copy(io.Discard, c)
			close(left)
		}
	})
	e := open(t, config.Upstream{URL: s.url()})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, sent, p := e.Do(ctx, get("/"))
	if p == nil || p.Code != exchange.CodeCanceled || !sent {
		t.Errorf("%v, sent %v", p, sent)
	}
	<-left
}

func TestCloseEndsTheCalleesRequest(t *testing.T) {
	left := make(chan struct{})
	s := serveRaw(t, func(_ int, c net.Conn) {
		if _, err := readHead(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
			io.Copy(io.Discard, c)
			close(left)
		}
	})
	resp, _, p := open(t, config.Upstream{URL: s.url()}).Do(t.Context(), get("/"))
	if p != nil {
		t.Fatal(p)
	}
	resp.Body.Close()
	<-left
}

// TestAtMostOnce: a server that takes a request on a kept connection and closes it without an answer must not
// get a POST again, whatever its fields say; a GET it may.
func TestAtMostOnce(t *testing.T) {
	for name, c := range map[string]struct {
		r     func() *exchange.Request
		times int
	}{
		"POST":       {func() *exchange.Request { return post("/act", "x") }, 1},
		"empty POST": {func() *exchange.Request { r := post("/act", ""); r.Body = nil; return r }, 1},
		"key": {func() *exchange.Request {
			r := post("/act", "x")
			r.Fields = exchange.Fields{{Name: "Idempotency-Key", Value: "1"}, {Name: "X-Idempotency-Key", Value: "1"}}
			return r
		}, 1},
		"empty POST with key": {func() *exchange.Request {
			r := post("/act", "")
			r.Body, r.Fields = nil, exchange.Fields{{Name: "Idempotency-Key", Value: "1"}}
			return r
		}, 1},
		"PUT":    {func() *exchange.Request { r := post("/act", "x"); r.Method = "PUT"; return r }, 1},
		"DELETE": {func() *exchange.Request { r := get("/act"); r.Method = "DELETE"; return r }, 1},
		"GET":    {func() *exchange.Request { return get("/act") }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			acted, kept := actOnKept(t, c.r)
			for !kept { // net/http may have given the first connection up, if it was slow to note that it can be kept
				acted, kept = actOnKept(t, c.r)
			}
			if acted != c.times {
				t.Errorf("acted %d times, want %d", acted, c.times)
			}
		})
	}
}

// actOnKept makes a call whose server closes the connection instead of answering, after one that was answered. It gives how often the
// server had it, and whether the first time was on the connection of the call before.
func actOnKept(t *testing.T, r func() *exchange.Request) (acted int, kept bool) {
	t.Helper()
	var mu sync.Mutex
	times, again := 0, false
	s := serveRaw(t, func(_ int, conn net.Conn) {
		br := bufio.NewReader(conn)
		for first := true; ; first = false {
			head, err := readHead(br)
			if err != nil {
				return
			}
			if strings.Contains(head, " /act ") {
				mu.Lock()
				again = again || times == 0 && !first
				times++
				mu.Unlock()
				return // and close
			}
			io.WriteString(conn, empty204)
		}
	})
	e := open(t, config.Upstream{URL: s.url()})
	do(t, e, get("/warm"))
	if !fail(t, e, r(), exchange.CodeCalleeBroken) {
		t.Error("said to be not sent")
	}
	mu.Lock()
	defer mu.Unlock()
	return times, again
}

// TestKeptConnectionGone: a callee that closed a kept connection gets the next POST on a new one.
func TestKeptConnectionGone(t *testing.T) {
	s := serveRaw(t, func(_ int, c net.Conn) {
		br := bufio.NewReader(c)
		if _, err := readHead(br); err == nil {
			io.WriteString(c, empty204) // promises to stay, and closes
		}
	})
	e := open(t, config.Upstream{URL: s.url()})
	ok, lost := 0, 0
	for range 50 {
		resp, sent, p := e.Do(t.Context(), post("/", "x"))
		switch {
		case p == nil:
			resp.Body.Close()
			ok++
		case !sent:
			t.Errorf("not sent and not tried again: %v", p)
		default:
			lost++ // the closing crossed the request: nobody can know
		}
	}
	if ok == 0 {
		t.Errorf("%d answered, %d lost", ok, lost)
	}
}

// TestSentCountsBytes: the witness tells writes of this call from those before it.
func TestSentCountsBytes(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go io.Copy(io.Discard, b)
	c := &countedConn{Conn: a}
	c.Write([]byte("earlier call"))
	var w witness
	w.tries = append(w.tries, try{c, c.count(), false})
	if w.sent() {
		t.Error("nothing was written by this call")
	}
	if _, err := c.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after the verdict: %v", err)
	}
	d := &countedConn{Conn: a}
	w.tries = append(w.tries, try{d, d.count(), false})
	d.Write([]byte("x"))
	if !w.sent() {
		t.Error("a write was missed")
	}
}

// TestBodyIsNotTouchedAfterDo: net/http's write loop must not read a body that was given back.
func TestBodyIsNotTouchedAfterDo(t *testing.T) {
	s := serveRaw(t, func(_ int, c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	e := open(t, config.Upstream{URL: s.url()})
	for range 20 {
		body := &strictReader{r: bytes.NewReader(make([]byte, 4<<20))}
		r := post("/", "")
		r.Length, r.Body = 4<<20, body
		resp, _, p := e.Do(t.Context(), r)
		if p == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		body.over()
	}
}

// strictReader fails the race detector when it is read after over.
type strictReader struct {
	r    io.Reader
	done bool
}

func (s *strictReader) Read(p []byte) (int, error) {
	if s.done {
		panic("read after the call")
	}
	return s.r.Read(p)
}
func (s *strictReader) over() { s.done = true }

func TestUnreadableBody(t *testing.T) {
	s := serveRaw(t, func(_ int, c net.Conn) { io.Copy(io.Discard, c) })
	e := open(t, config.Upstream{URL: s.url()})
	broken := errors.New("disk")
	r := post("/", "")
	r.Length, r.Body = 5, io.MultiReader(strings.NewReader("ab"), failing{broken})
	if fail(t, e, r, exchange.CodeInternal) {
		t.Error("a short body that could not be read was sent")
	}
	r.Length, r.Body = 1<<20, io.MultiReader(strings.NewReader("ab"), failing{broken})
	fail(t, e, r, exchange.CodeInternal)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	s := serveRaw(t, answering(make(chan string, 1), empty204))
	e := open(t, config.Upstream{URL: s.url()})
	if e.upstreams["orders"].transport.Proxy != nil {
		t.Fatal("a proxy is used")
	}
	do(t, e, get("/"))
}
