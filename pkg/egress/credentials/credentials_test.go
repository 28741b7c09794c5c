package credentials

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rs/zerolog"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bed is what a Keeper needs, with a token server that answers as told.
type bed struct {
	t    *testing.T
	opts Options
	mem  *store.Mem
	log  *bytes.Buffer
	url  string

	mu     sync.Mutex
	answer func(n int, form url.Values, r *http.Request) (status int, header, body string)
	asked  int
}

func newBed(t *testing.T) *bed {
	t.Helper()
	site, err := identity.Generate("site-b")
	if err != nil {
		t.Fatal(err)
	}
	box, err := site.Box()
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, mem: store.NewMem(), log: &bytes.Buffer{}}
	s := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(s.Close)
	b.url = s.URL + "/token"
	b.opts = Options{Vault: b.mem, Sealer: box, Client: s.Client(), Log: zerolog.New(zerolog.SyncWriter(b.log))}
	b.answer = func(n int, _ url.Values, _ *http.Request) (int, string, string) {
		return 200, "", fmt.Sprintf(`{"access_token":"access-%d","token_type":"bearer","expires_in":100}`, n)
	}
	return b
}

func (b *bed) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = r.ParseForm()
	b.asked++
	status, header, body := b.answer(b.asked, r.PostForm, r)
	if name, value, ok := strings.Cut(header, ": "); ok {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func (b *bed) says(f func(n int, form url.Values, r *http.Request) (int, string, string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = f
}

func (b *bed) count() int { b.mu.Lock(); defer b.mu.Unlock(); return b.asked }

func (b *bed) keeper(c *config.Auth) *Keeper {
	b.t.Helper()
	k, err := New("orders", c, b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(k.Close)
	return k
}

func (b *bed) client() *config.Auth {
	return &config.Auth{OAuth2: &config.OAuth2{TokenURL: b.url, ClientID: "me", ClientSecretFile: file(b.t, "client-secret")}}
}

// at sets the clock of a Keeper.
func (k *Keeper) at(now time.Time) {
	k.tokens.mu.Lock()
	defer k.tokens.mu.Unlock()
	k.tokens.now = func() time.Time { return now }
}

var where = &url.URL{Scheme: "http", Host: "orders.example", Path: "/a/b"}

// shows gives the Authorization of the next request, or what went wrong.
func shows(t *testing.T, k *Keeper) (Shown, string) {
	t.Helper()
	h := http.Header{"Authorization": {"the caller's"}}
	s, err := k.Show(t.Context(), h, where, "")
	if err != nil {
		return s, err.Error()
	}
	return s, strings.Join(h["Authorization"], "|")
}

func TestFixedCredentials(t *testing.T) {
	b := newBed(t)
	t.Setenv("API_KEY", "key-1")
	for want, c := range map[string]*config.Auth{
		"Basic dXNlcjpwYTpzcw==": {Basic: &config.Basic{User: "user", PasswordFile: file(t, "pa:ss\n")}},
		"Bearer tok":             {BearerFile: file(t, "tok")},
		"the caller's":           {Fields: []config.AuthField{{Name: "x-api-key", ValueFile: "env:API_KEY"}}},
	} {
		k := b.keeper(c)
		if _, got := shows(t, k); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if k.Refused(Shown{}) || k.Failing() != "" {
			t.Error("something fixed can be replaced")
		}
	}
	h := http.Header{"X-Api-Key": {"forged", "twice"}}
	if _, err := b.keeper(&config.Auth{Fields: []config.AuthField{{Name: "x-api-key", ValueFile: "env:API_KEY"}}}).Show(t.Context(), h, where, ""); err != nil || fmt.Sprint(h["X-Api-Key"]) != "[key-1]" {
		t.Errorf("%v %v", h, err)
	}
	if _, got := shows(t, b.keeper(&config.Auth{BearerFile: file(t, "two\nlines")})); !strings.Contains(got, "no header field") {
		t.Errorf("a secret with a line break: %q", got)
	}
	if k, err := New("orders", nil, b.opts); k != nil || err != nil {
		t.Errorf("%v %v", k, err)
	}
	if _, err := New("orders", &config.Auth{BearerFile: "/nowhere"}, b.opts); err == nil {
		t.Error("a secret that is not there")
	}
	var none *Keeper
	none.Close()
	none.Keep(t.Context(), nil, nil, "")
	if _, got := shows(t, none); got != "the caller's" || none.Refused(Shown{}) || none.Failing() != "" {
		t.Errorf("no keeper: %q", got)
	}
}

// TestOneFlight: however many calls wait, the token server is asked once, and a restart asks it not at all.
func TestOneFlight(t *testing.T) {
	b := newBed(t)
	b.says(func(n int, form url.Values, r *http.Request) (int, string, string) {
		user, password, _ := r.BasicAuth()
		if user != "me" || password != "client-secret" || form.Get("grant_type") != "client_credentials" || form.Get("scope") != "a b" || form.Get("audience") != "api" {
			return 400, "", `{"error":"invalid_request"}`
		}
		return 200, "", fmt.Sprintf(`{"access_token":"access-%d","token_type":"bearer","expires_in":3600}`, n)
	})
	c := b.client()
	c.OAuth2.Scopes, c.OAuth2.Audience = []string{"a", "b"}, "api"
	k := b.keeper(c)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, got := shows(t, k); got != "Bearer access-1" {
				t.Errorf("%q", got)
			}
		})
	}
	wg.Wait()
	if _, got := shows(t, b.keeper(c)); got != "Bearer access-1" || b.count() != 1 {
		t.Errorf("after a restart: %q, asked %d times", got, b.count())
	}
	row, err := b.mem.Credential(t.Context(), "orders", kindToken, "")
	if err != nil || bytes.Contains(row.Sealed, []byte("access-1")) {
		t.Errorf("stored in clear: %v", err)
	}
	c.OAuth2.Scopes = []string{"a", "b", "c"}
	b.says(func(n int, _ url.Values, _ *http.Request) (int, string, string) {
		return 200, "", `{"access_token":"wider","token_type":"Bearer"}`
	})
	if _, got := shows(t, b.keeper(c)); got != "Bearer wider" {
		t.Errorf("with other scopes the old token is shown: %q", got)
	}
	foreign := newBed(t) // another identity cannot open it
	foreign.opts.Vault = b.mem
	if _, got := shows(t, foreign.keeper(foreign.client())); got != "Bearer access-1" || foreign.count() != 1 {
		t.Errorf("%q", got)
	}
	if strings.Contains(b.log.String(), "access-") || strings.Contains(b.log.String(), "client-secret") {
		t.Errorf("log: %s", b.log)
	}
}

// TestRenewal: at 80 % of its life a token is replaced while it still serves; when it has ended calls wait for the next.
func TestRenewal(t *testing.T) {
	b := newBed(t)
	k := b.keeper(b.client())
	start := time.Now()
	k.at(start)
	shows(t, k)
	for _, c := range []struct {
		at   time.Duration
		want string
		then int // how often the server was asked when all is quiet
	}{{79 * time.Second, "access-1", 1}, {81 * time.Second, "access-1", 2}, {82 * time.Second, "access-2", 2}, {time.Hour, "access-3", 3}} {
		k.at(start.Add(c.at))
		_, got := shows(t, k)
		k.tokens.wg.Wait()
		if got != "Bearer "+c.want || b.count() != c.then {
			t.Errorf("after %v: %q, asked %d times; want %s, %d", c.at, got, b.count(), c.want, c.then)
		}
	}
}

// TestOutage: a token server that fails is not hammered; its wish is heeded; a token that lives still serves.
func TestOutage(t *testing.T) {
	b := newBed(t)
	b.says(func(int, url.Values, *http.Request) (int, string, string) {
		return 429, "Retry-After: 120", `{"error":"slow_down","error_description":"client-secret is busy"}`
	})
	k := b.keeper(b.client())
	start := time.Now()
	k.at(start)
	for range 5 {
		if _, got := shows(t, k); !strings.Contains(got, `answered with 429 and "slow_down"`) || strings.Contains(got, "client-secret") {
			t.Errorf("%q", got)
		}
	}
	if b.count() != 1 || k.Failing() == "" {
		t.Errorf("asked %d times; failing: %q", b.count(), k.Failing())
	}
	k.at(start.Add(119 * time.Second))
	shows(t, k)
	if b.count() != 1 {
		t.Error("asked before the time that it named")
	}
	k.at(start.Add(121 * time.Second))
	b.says(func(int, url.Values, *http.Request) (int, string, string) { return 503, "", "down" })
	if _, got := shows(t, k); !strings.Contains(got, "answered with 503") || b.count() != 2 {
		t.Errorf("%q, asked %d times", got, b.count())
	}
	k.at(start.Add(121*time.Second + longestPause))
	b.says(func(int, url.Values, *http.Request) (int, string, string) {
		return 200, "", `{"access_token":"at-last","token_type":"bearer","expires_in":100}`
	})
	if _, got := shows(t, k); got != "Bearer at-last" || k.Failing() != "" {
		t.Errorf("%q, failing %q", got, k.Failing())
	}
	b.says(func(int, url.Values, *http.Request) (int, string, string) { return 500, "", "" })
	k.tokens.mu.Lock()
	k.tokens.current.Got = k.tokens.now().Add(-time.Hour)
	k.tokens.mu.Unlock()
	for range 3 {
		if _, got := shows(t, k); got != "Bearer at-last" {
			t.Errorf("a token that lives does not serve: %q", got)
		}
	}
	k.tokens.wg.Wait()
	if k.Failing() == "" {
		t.Error("the failure to renew is not told")
	}
	for _, body := range []string{"", "{}", "not json", `{"access_token":""}`} {
		b := newBed(t)
		b.says(func(int, url.Values, *http.Request) (int, string, string) { return 200, "", body })
		if _, got := shows(t, b.keeper(b.client())); !strings.Contains(got, "no token") {
			t.Errorf("answer %q: %q", body, got)
		}
	}
	dead := b.client()
	dead.OAuth2.TokenURL = "http://127.0.0.1:1/token"
	if _, got := shows(t, b.keeper(dead)); !strings.Contains(got, "cannot be reached") || strings.Contains(got, "/token") {
		t.Errorf("%q", got)
	}
}

// TestCallsDoNotHang: who waits for a token may leave.
func TestCallsDoNotHang(t *testing.T) {
	b := newBed(t)
	release := make(chan struct{})
	b.says(func(int, url.Values, *http.Request) (int, string, string) {
		<-release
		return 500, "", ""
	})
	k := b.keeper(b.client())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Show(ctx, http.Header{}, where, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(release)
}

func TestRefused(t *testing.T) {
	b := newBed(t)
	k := b.keeper(b.client())
	start := time.Now()
	k.at(start)
	first, _ := shows(t, k)
	if k.Refused(first) {
		t.Error("a token just made is thrown away: each call would have one made")
	}
	k.at(start.Add(2 * time.Second))
	if !k.Refused(first) {
		t.Error("not worth another try")
	}
	second, got := shows(t, k)
	if got != "Bearer access-2" || b.count() != 2 {
		t.Errorf("%q, asked %d times", got, b.count())
	}
	if !k.Refused(first) { // a call that was still under way with the first
		t.Error("not worth a try with the second")
	}
	if again, _ := shows(t, k); again != second {
		t.Error("the second went too")
	}
}

// TestRefreshTokens: each one may be good once; the newest survives a restart, and a new file replaces it.
func TestRefreshTokens(t *testing.T) {
	b := newBed(t)
	valid := "refresh-0"
	b.says(func(n int, form url.Values, _ *http.Request) (int, string, string) {
		if form.Get("grant_type") != "refresh_token" || form.Get("refresh_token") != valid || form.Get("client_id") != "me" {
			return 400, "", `{"error":"invalid_grant"}`
		}
		valid = fmt.Sprintf("refresh-%d", n)
		return 200, "", fmt.Sprintf(`{"access_token":"access-%d","token_type":"bearer","expires_in":100,"refresh_token":%q}`, n, valid)
	})
	c := &config.Auth{OAuth2: &config.OAuth2{TokenURL: b.url, ClientID: "me", ClientAuth: "none", RefreshTokenFile: file(t, "refresh-0\n")}}
	k := b.keeper(c)
	start := time.Now()
	k.at(start)
	shows(t, k)
	k.at(start.Add(time.Hour))
	if _, got := shows(t, k); got != "Bearer access-2" {
		t.Fatalf("%q", got)
	}
	again := b.keeper(c)
	again.at(start.Add(2 * time.Hour))
	if _, got := shows(t, again); got != "Bearer access-3" {
		t.Fatalf("after a restart: %q", got)
	}
	valid = "revoked"
	last := b.keeper(c)
	last.at(start.Add(3 * time.Hour))
	if _, got := shows(t, last); !strings.Contains(got, "put a new one into refresh_token_file") {
		t.Errorf("%q", got)
	}
	valid = "refresh-new"
	if err := os.WriteFile(c.OAuth2.RefreshTokenFile, []byte("refresh-new"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := ""
	for end := time.Now().Add(time.Minute); !strings.HasPrefix(got, "Bearer access-") && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		_, got = shows(t, last)
	}
	if !strings.HasPrefix(got, "Bearer access-") {
		t.Errorf("a changed file does not count: %q", got)
	}
	c.OAuth2.RefreshTokenFile = file(t, "refresh-other")
	valid = "refresh-other"
	if _, got := shows(t, b.keeper(c)); !strings.HasPrefix(got, "Bearer access-") {
		t.Errorf("a new file does not count: %q", got)
	}
}

// TestPrivateKeyJWT: assertions are what RFC 7523 wants, with every kind of key and file.
func TestPrivateKeyJWT(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	pemOf := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	p8, err := x509.MarshalPKCS8PrivateKey(ed)
	sec1, err1 := x509.MarshalECPrivateKey(p256)
	jwk, err2 := json.Marshal(jose.JSONWebKey{Key: p256, KeyID: "of-the-jwk"})
	for name, c := range map[string]struct {
		text, kid, want string
		key             any
		alg             jose.SignatureAlgorithm
	}{
		"PKCS 8":         {pemOf("PRIVATE KEY", p8, err), "k", "k", ed.Public(), jose.EdDSA},
		"PKCS 1":         {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), "k", "k", rsaKey.Public(), jose.RS256},
		"SEC 1":          {pemOf("EC PRIVATE KEY", sec1, err1), "", "", p256.Public(), jose.ES256},
		"JWK":            {string(jwk) + "\n", "", "of-the-jwk", p256.Public(), jose.ES256},
		"JWK, other kid": {string(jwk), "other", "other", p256.Public(), jose.ES256},
	} {
		t.Run(name, func(t *testing.T) {
			if err2 != nil {
				t.Fatal(err2)
			}
			b := newBed(t)
			seen := map[string]bool{}
			b.says(func(n int, form url.Values, r *http.Request) (int, string, string) {
				tok, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{c.alg})
				if err != nil || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Get("client_secret") != "" || r.Header.Get("Authorization") != "" {
					return 400, "", `{"error":"invalid_client"}`
				}
				payload, err := tok.Verify(c.key)
				var claims map[string]any
				if err != nil || json.Unmarshal(payload, &claims) != nil || tok.Signatures[0].Header.KeyID != c.want {
					return 401, "", `{"error":"invalid_client"}`
				}
				id, _ := claims["jti"].(string)
				life := claims["exp"].(float64) - claims["iat"].(float64)
				if claims["iss"] != "me" || claims["sub"] != "me" || claims["aud"] != b.url || id == "" || seen[id] || life != 60 {
					return 401, "", `{"error":"invalid_client"}`
				}
				seen[id] = true
				return 200, "", fmt.Sprintf(`{"access_token":"access-%d","token_type":"bearer","expires_in":1}`, n)
			})
			k := b.keeper(&config.Auth{OAuth2: &config.OAuth2{TokenURL: b.url, ClientID: "me", ClientAuth: "private_key_jwt", KeyFile: file(t, c.text), KeyID: c.kid}})
			for i := range 2 {
				if _, got := shows(t, k); got != fmt.Sprintf("Bearer access-%d", i+1) {
					t.Errorf("%q", got)
				}
				k.at(time.Now().Add(time.Minute))
			}
		})
	}
	public, _ := json.Marshal(jose.JSONWebKey{Key: p256.Public()})
	for name, text := range map[string]string{"public": string(public), "nothing": "x", "empty PEM": pemOf("PRIVATE KEY", []byte("x"), nil)} {
		_, err := newAsserter(&config.OAuth2{}, identity.NewSecret([]byte(text)))
		if !errors.Is(err, errKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
