package egress

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

func secrets(t *testing.T) Secrets {
	t.Helper()
	site, err := identity.Generate("site-b")
	if err != nil {
		t.Fatal(err)
	}
	box, err := site.Box()
	if err != nil {
		t.Fatal(err)
	}
	return Secrets{Vault: store.NewMem(), Sealer: box}
}

func openWith(t *testing.T, u config.Upstream, s Secrets, blocked ...netip.AddrPort) *Egress {
	t.Helper()
	u.Name, u.Peers = "orders", []string{"site-a"}
	e, err := New(config.Egress{Upstreams: []config.Upstream{u}}, "site-b", map[identity.ID]string{peerA: "site-a"}, blocked, s, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRefusedToken: a token that the server does not accept is replaced and the call made once more, if its body can
// be sent again. Only one more.
func TestRefusedToken(t *testing.T) {
	var made, calls atomic.Int64
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer","expires_in":3600}`, made.Add(1))
	}))
	defer tokens.Close()
	var good atomic.Value
	good.Store("Bearer token-2")
	callee := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != good.Load() {
			w.Header().Set("Www-Authenticate", "Bearer")
			w.WriteHeader(401)
			return
		}
		w.Write(body)
	}))
	defer callee.Close()
	s := secrets(t)
	var age atomic.Int64 // seconds that the clock is ahead
	began := time.Now()
	s.Now = func() time.Time { return began.Add(time.Duration(age.Load()) * time.Second) } // by itself a token grows no older
	auth := &config.Auth{OAuth2: &config.OAuth2{TokenURL: tokens.URL, ClientID: "me", ClientSecretFile: secretFile(t, "s")}}
	e := openWith(t, config.Upstream{URL: callee.URL, Auth: auth}, s)
	r := post("/", "body")
	r.Fields = exchange.Fields{{Name: "Authorization", Value: "Bearer of-the-caller"}}
	if resp, _ := do(t, e, r); resp.Status != 401 || calls.Load() != 1 {
		t.Errorf("a token just made: %d after %d calls", resp.Status, calls.Load())
	}
	age.Add(2)
	if resp, body := do(t, e, post("/", "body")); resp.Status != 200 || body != "body" || calls.Load() != 3 || made.Load() != 2 {
		t.Errorf("%d %q after %d calls and %d tokens", resp.Status, body, calls.Load(), made.Load())
	}
	good.Store("none")
	age.Add(2)
	if resp, _ := do(t, e, post("/", "body")); resp.Status != 401 || calls.Load() != 5 {
		t.Errorf("no token is good: %d after %d calls", resp.Status, calls.Load())
	}
	good.Store("Bearer token-4")
	age.Add(2)
	once := post("/", "")
	once.Length, once.Body = -1, io.MultiReader(strings.NewReader(strings.Repeat("x", 100))) // cannot be read twice
	if resp, _ := do(t, e, once); resp.Status != 401 || calls.Load() != 6 {
		t.Errorf("a body that cannot be sent again: %d after %d calls", resp.Status, calls.Load())
	}
	if resp, _ := do(t, e, get("/")); resp.Status != 200 {
		t.Errorf("the next call: %d", resp.Status)
	}
}

// TestCredentialsStay: what this side shows the server comes back to no caller.
func TestCredentialsStay(t *testing.T) {
	seen := make(chan string, 1)
	callee := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- fmt.Sprint(r.Header["X-Key"], r.Header["Authorization"], r.Header["Cookie"])
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret-session", Path: "/"})
		w.WriteHeader(204)
	}))
	defer callee.Close()
	e := openWith(t, config.Upstream{URL: callee.URL, Auth: &config.Auth{Basic: &config.Basic{User: "u", PasswordFile: secretFile(t, "p")},
		Fields: []config.AuthField{{Name: "X-Key", ValueFile: secretFile(t, "k")}}, Cookies: true}}, secrets(t))
	for i, want := range []string{"[k] [Basic dTpw] []", "[k] [Basic dTpw] [session=secret-session]"} {
		r := get("/x?y")
		r.Client = "10.0.0.1"
		r.Fields = exchange.Fields{{Name: "X-Key", Value: "forged"}, {Name: "Cookie", Value: "forged=1"}}
		resp, _ := do(t, e, r)
		if got := <-seen; got != want {
			t.Errorf("call %d: %s, want %s", i, got, want)
		}
		if all := fmt.Sprint(resp.Fields); strings.Contains(all, "secret-session") {
			t.Errorf("call %d: %s", i, all)
		}
	}
	for _, change := range []func(*exchange.Request){func(r *exchange.Request) { r.Client = "10.0.0.2" }, func(r *exchange.Request) { r.Owner = "10.0.0.1" }} {
		other := get("/")
		other.Client = "10.0.0.1"
		change(other)
		do(t, e, other)
		if got := <-seen; strings.Contains(got, "session") {
			t.Errorf("another caller: %s", got)
		}
	}
	trace := get("/")
	trace.Method = "TRACE"
	if p := e.Admit(trace); p == nil || p.Code != exchange.CodeDenied {
		t.Errorf("TRACE: %v", p)
	}
}

// TestNoToken: without one the server is not called, and neither problem nor status tells a secret or an address.
func TestNoToken(t *testing.T) {
	callee := serveRaw(t, func(int, net.Conn) { t.Error("was dialled") })
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, callee.url(), http.StatusTemporaryRedirect)
	}))
	defer tokens.Close()
	auth := &config.Auth{OAuth2: &config.OAuth2{TokenURL: tokens.URL, ClientID: "me", ClientSecretFile: secretFile(t, "very-secret")}}
	e := openWith(t, config.Upstream{URL: callee.url(), Auth: auth}, secrets(t))
	if fail(t, e, post("/", "x"), exchange.CodeCalleeLogin) {
		t.Error("said to be sent")
	}
	if h := e.Health()[0]; !strings.Contains(h.Login, "307") || h.Failures != 0 {
		t.Errorf("%+v", h)
	}
	own := netip.MustParseAddrPort(tokens.Listener.Addr().String())
	e = openWith(t, config.Upstream{URL: callee.url(), Auth: auth}, secrets(t), own)
	fail(t, e, get("/"), exchange.CodeCalleeLogin)
	auth.OAuth2.TokenURL = "http://169.254.169.254/token"
	e = openWith(t, config.Upstream{URL: callee.url(), Auth: auth}, secrets(t))
	fail(t, e, get("/"), exchange.CodeCalleeLogin)
	u := config.Upstream{Name: "orders", URL: callee.url(), Auth: auth}
	if _, err := New(config.Egress{Upstreams: []config.Upstream{u}}, "b", nil, nil, Secrets{}, zerolog.Nop()); err == nil {
		t.Error("auth without a vault")
	}
}
