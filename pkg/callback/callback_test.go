package callback_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
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

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/callback"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/guard/guardtest"
	"github.com/hoft/hoft/pkg/store"
)

func TestMain(m *testing.M) { leaks.Main(m) }

var id = uuid.MustParse("01a201e6-a330-7c55-9e1b-6a0d1c2b7e44")

// answers knows one exchange.
type answers struct {
	state exchange.State
	body  string
	gone  bool
}

func (a *answers) State(_ context.Context, x exchange.ID) (*exchange.State, error) {
	if x != id {
		return nil, exchange.ErrUnknown
	}
	st := a.state
	return &st, nil
}

func (a *answers) Result(context.Context, exchange.ID) (*exchange.Response, error) {
	if a.gone {
		return nil, exchange.ErrGone
	}
	return &exchange.Response{Status: a.state.Status, Fields: exchange.Fields{{Name: "X-A", Value: "1"}, {Name: "X-A", Value: "2"}},
		Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// clock is moved by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// bed is a sender with a receiver that answers as the test says.
type bed struct {
	*callback.Sender
	t      *testing.T
	db     *store.Mem
	clock  *clock
	got    chan *http.Request // its body is read and put back
	answer chan func(http.ResponseWriter)
	url    string
	dir    string
}

func newBed(t *testing.T, a *answers, change func(*callback.Options)) *bed {
	t.Helper()
	b := &bed{t: t, db: store.NewMem(), clock: &clock{at: time.Now()}, got: make(chan *http.Request, 9), answer: make(chan func(http.ResponseWriter), 9), dir: t.TempDir()}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen := r.Clone(context.Background())
		seen.Body = io.NopCloser(strings.NewReader(string(body)))
		b.got <- seen
		(<-b.answer)(w)
	}))
	t.Cleanup(srv.Close)
	b.url = srv.URL + "/hook"
	o := callback.Options{Config: config.Callbacks{Allow: []string{"http://127.0.0.1:*/hook"}}, StateDir: b.dir, Site: "site-a", Store: b.db, Answers: a,
		Now: b.clock.now, Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)}
	if change != nil {
		change(&o)
	}
	s, err := callback.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Sender = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return b
}

// due stores a callback and tells the sender.
func (b *bed) due(hook string, kind, url string) {
	b.t.Helper()
	var batch store.Batch
	batch.PutCallback(store.Callback{ID: hook, Exchange: id, Type: kind, URL: url, At: b.clock.now(), Next: b.clock.now()})
	if err := b.db.Commit(context.Background(), &batch); err != nil {
		b.t.Fatal(err)
	}
	b.Wake()
}

// pass lets time pass.
func (b *bed) pass(d time.Duration) {
	b.clock.mu.Lock()
	b.clock.at = b.clock.at.Add(d)
	b.clock.mu.Unlock()
	b.Wake()
}

func status(code int, fields ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(code)
	}
}

// await waits until a callback is as wanted.
func (b *bed) await(hook string, want func(store.Callback) bool) store.Callback {
	b.t.Helper()
	guard := time.After(time.Minute)
	for {
		c, err := b.db.Callback(context.Background(), hook)
		if err == nil && want(c) {
			return c
		}
		select {
		case <-guard:
			b.t.Fatalf("%+v, %v", c, err)
		case <-time.After(time.Millisecond):
		}
	}
}

func state(s store.CallbackState) func(store.Callback) bool {
	return func(c store.Callback) bool { return c.State == s }
}

func succeeded() *answers {
	return &answers{body: `{"ok":true}`, state: exchange.State{ID: id, Peer: "site-b", Upstream: "orders", Method: "POST", State: "succeeded", Stage: "answered", Status: 201}}
}

// verify checks a message as a receiver would, by the standard's own library.
func (b *bed) verify(r *http.Request, secret string) exchange.CloudEvent {
	b.t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := hook.Verify(body, r.Header); err != nil {
		b.t.Errorf("signature: %v", err)
	}
	if err := hook.Verify(append(body, ' '), r.Header); err == nil {
		b.t.Error("a changed body passes")
	}
	var e exchange.CloudEvent
	if err := json.Unmarshal(body, &e); err != nil {
		b.t.Fatalf("%s: %v", body, err)
	}
	return e
}

func (b *bed) secret() string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, callback.SecretFile))
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestDelivered(t *testing.T) {
	b := newBed(t, succeeded(), nil)
	b.due("one", exchange.EventCompleted, b.url)
	r := <-b.got
	b.answer <- status(204)
	e := b.verify(r, b.secret())
	if r.Header.Get("Webhook-Id") != "one" || r.Header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || r.Method != "POST" {
		t.Errorf("%s %v", r.Method, r.Header)
	}
	if e.ID != "one" || e.SpecVersion != "1.0" || e.Type != "hoft.exchange.completed" || e.Source != "hoft://site-a" || e.Subject != id.String() || !e.Time.Equal(e.Timestamp) ||
		e.Data.Response.Status != 201 || *e.Data.Response.Body != `{"ok":true}` || len(e.Data.Response.Headers["X-A"]) != 2 || e.Data.Response.Href != exchange.ResponsePath(id) {
		t.Errorf("%+v %+v", e, e.Data.Response)
	}
	b.await("one", state(store.CallbackDelivered))
}

func TestBodies(t *testing.T) {
	long := strings.Repeat("x", 16<<10+1)
	for name, c := range map[string]struct {
		a      *answers
		text   string
		base64 string
	}{
		"text":   {&answers{body: "é"}, "é", ""},
		"empty":  {&answers{}, "", ""},
		"bytes":  {&answers{body: "\xff\x00"}, "-", base64.StdEncoding.EncodeToString([]byte("\xff\x00"))},
		"long":   {&answers{body: long}, "-", ""},
		"most":   {&answers{body: long[1:]}, long[1:], ""},
		"expire": {&answers{gone: true}, "-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.a.state = succeeded().state
			b := newBed(t, c.a, nil)
			b.due("one", exchange.EventCompleted, b.url)
			r := <-b.got
			b.answer <- status(200)
			e := b.verify(r, b.secret()).Data.Response
			text := "-"
			if e.Body != nil {
				text = *e.Body
			}
			if text != c.text || base64.StdEncoding.EncodeToString(e.Base64) != c.base64 {
				t.Errorf("body of %d, base64 %q", len(text), e.Base64)
			}
		})
	}
}

func TestProblemsAndStages(t *testing.T) {
	a := &answers{state: exchange.State{ID: id, State: "failed", Stage: "queued", Problem: exchange.Problemf(exchange.CodeDeadline, "too late")}}
	b := newBed(t, a, nil)
	b.due("end", exchange.EventCompleted, b.url)
	r := <-b.got
	b.answer <- status(200)
	if e := b.verify(r, b.secret()); e.Data.Response != nil || e.Data.Error.Code != "deadline-passed" || e.Data.Error.Status != 504 || e.Data.State != "failed" {
		t.Errorf("%+v", e.Data)
	}
	b.due("stage", "arrived", b.url)
	r = <-b.got
	b.answer <- status(200)
	if e := b.verify(r, b.secret()); e.Type != "hoft.exchange.arrived" || e.Data.Stage != "arrived" || e.Data.State != "running" {
		t.Errorf("%+v", e)
	}
}

func TestRetries(t *testing.T) {
	b := newBed(t, succeeded(), nil)
	b.due("one", exchange.EventCompleted, b.url)
	for try, c := range []struct {
		answer     func(http.ResponseWriter)
		least, max time.Duration
	}{
		{status(500), 5 * time.Second, 5500 * time.Millisecond},
		{status(302, "Location", b.url), 5 * time.Minute, 330 * time.Second},
		{status(429, "Retry-After", "7200"), 2 * time.Hour, 2 * time.Hour},
		{status(503, "Retry-After", "1"), 2 * time.Hour, 132 * time.Minute},
		{status(404), 5 * time.Hour, 330 * time.Minute}, {status(404), 10 * time.Hour, 11 * time.Hour}, {status(404), 14 * time.Hour, 924 * time.Minute},
		{status(404), 20 * time.Hour, 22 * time.Hour}, {status(404), 24 * time.Hour, 1584 * time.Minute},
	} {
		r := <-b.got
		if r.Header.Get("Webhook-Id") != "one" {
			t.Errorf("try %d has another id", try+1)
		}
		b.answer <- c.answer
		row := b.await("one", func(x store.Callback) bool { return x.Tries == try+1 })
		if wait := row.Next.Sub(b.clock.now()).Round(time.Millisecond); wait < c.least-time.Millisecond || wait > c.max+time.Millisecond || row.Error == "" || row.State != store.CallbackDue {
			t.Errorf("try %d: again in %s, want %s to %s: %+v", try+1, wait, c.least, c.max, row)
		}
		b.pass(row.Next.Sub(b.clock.now()))
	}
	<-b.got
	b.answer <- status(500)
	row := b.await("one", state(store.CallbackDead))
	if row.Tries != callback.Tries || row.Status != 500 {
		t.Errorf("%+v", row)
	}
	dead, err := b.db.Callbacks(t.Context(), store.CallbackFilter{Dead: true})
	if err != nil || len(dead) != 1 {
		t.Errorf("%v, %v", dead, err)
	}
	if err := b.Replay(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	<-b.got
	b.answer <- status(200)
	b.await("one", state(store.CallbackDelivered))
	if err := b.Replay(t.Context(), "two"); err != callback.ErrUnknown {
		t.Error(err)
	}
}

func TestGoneDisables(t *testing.T) {
	b := newBed(t, succeeded(), nil)
	if p := b.Check(b.url); p != nil {
		t.Fatal(p)
	}
	b.due("one", exchange.EventCompleted, b.url)
	<-b.got
	b.answer <- status(410)
	b.await("one", state(store.CallbackDead))
	if p := b.Check(b.url); p == nil || p.Code != exchange.CodeCallback {
		t.Errorf("%v", p)
	}
	b.due("two", exchange.EventCompleted, b.url)
	b.await("two", state(store.CallbackDead))
	if err := b.Replay(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	<-b.got
	b.answer <- status(200)
	b.await("two", state(store.CallbackDelivered))
	if p := b.Check(b.url); p != nil {
		t.Errorf("enabled again: %v", p)
	}
}

func TestOnlyWhereAllowed(t *testing.T) {
	b := newBed(t, succeeded(), func(o *callback.Options) {
		o.Config.Allow = append(o.Config.Allow, "https://*.example.com", "http://localtest.example:*", "https://any.example/*")
	})
	for url, code := range map[string]string{
		b.url: "", "https://a.example.com/x?token=1": "", "https://a.b.example.com/": "callback-refused", "http://a.example.com/": "callback-refused",
		"https://a.example.com:8443/": "callback-refused", "https://example.com/": "callback-refused", strings.Replace(b.url, "/hook", "/other", 1): "callback-refused",
		"https://u:p@a.example.com/": "bad-request", "ftp://a.example.com/": "bad-request", "/x": "bad-request", "https://a.example.com/#x": "bad-request",
		"https://any.example": "", "https://any.example?q": "", "https://any.example/x": "", "https://any.example/%2e%2e/x": "callback-refused",
		"https://a.example.com/" + strings.Repeat("x", 2048): "bad-request", "http://127.0.0.2:80/hook": "callback-refused",
	} {
		p := b.Check(url)
		if got := ""; p != nil {
			if got = p.Code; got != code {
				t.Errorf("%s: %s", url, got)
			}
		} else if code != "" {
			t.Errorf("%s is allowed", url)
		}
	}
	b.due("elsewhere", exchange.EventCompleted, "http://127.0.0.2:1/hook") // allowed when it was asked for
	b.await("elsewhere", state(store.CallbackDead))
}

// Not even where it is allowed is hoft itself called.
func TestGuarded(t *testing.T) {
	other := newBed(t, succeeded(), nil)
	addr := netip.MustParseAddrPort(strings.TrimSuffix(strings.TrimPrefix(other.url, "http://"), "/hook"))
	c := newBed(t, succeeded(), func(o *callback.Options) { o.Blocked = []netip.AddrPort{addr} })
	c.due("own", exchange.EventCompleted, other.url)
	row := c.await("own", func(x store.Callback) bool { return x.Tries == 1 })
	if row.State != store.CallbackDue || !strings.Contains(row.Error, "listener of hoft itself") || row.Status != 0 {
		t.Errorf("%+v", row)
	}
}

func TestSecrets(t *testing.T) {
	key := func(n int, c string) string {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(c, n)))
	}
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{"one": {key(32, "a"), true}, "two": {key(24, "a") + "\n" + key(64, "b") + "\n", true}, "three": {key(24, "a") + "\n" + key(24, "b") + "\n" + key(24, "c"), false},
		"short": {key(23, "a"), false}, "long": {key(65, "a"), false}, "prefix": {strings.Repeat("a", 60), false}, "no base64": {"whsec_" + strings.Repeat("*", 40), false}} {
		t.Setenv("HOOKS", c.text)
		_, err := callback.New(callback.Options{Config: config.Callbacks{SecretFile: "env:HOOKS"}})
		if (err == nil) != c.ok || err != nil && strings.Contains(err.Error(), "aaaa") {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Setenv("HOOKS", key(32, "a")+"\n"+key(32, "b"))
	b := newBed(t, succeeded(), func(o *callback.Options) { o.Config.SecretFile = "env:HOOKS" })
	b.due("one", exchange.EventCompleted, b.url)
	r := <-b.got
	b.answer <- status(200)
	body, _ := io.ReadAll(r.Body)
	for _, c := range []string{"a", "b"} { // while one takes the other's place, receivers may know either
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		b.verify(r, key(32, c))
	}
}

// TestSecretIsReadAgain: a changed file counts without a restart, and one that was spoiled leaves the old secret in force.
func TestSecretIsReadAgain(t *testing.T) {
	key := func(c string) string {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(c, 32)))
	}
	path := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(key("a"))
	b := newBed(t, succeeded(), func(o *callback.Options) { o.Config.SecretFile = path })
	n := 0
	signedBy := func(c string) bool {
		n++
		b.due(fmt.Sprint("call-", n), exchange.EventCompleted, b.url)
		r := <-b.got
		b.answer <- status(200)
		body, _ := io.ReadAll(r.Body)
		hook, err := standardwebhooks.NewWebhook(key(c))
		return err == nil && hook.Verify(body, r.Header) == nil
	}
	if !signedBy("a") {
		t.Fatal("not signed with the first secret")
	}
	write("spoiled by a slip of the hand, and long enough to be one")
	if !signedBy("a") {
		t.Error("not signed with the first secret while its file is spoiled")
	}
	write(key("b") + "\n")
	end := time.Now().Add(time.Minute)
	for !signedBy("b") {
		if time.Now().After(end) {
			t.Fatal("a changed file does not count")
		}
		time.Sleep(10 * time.Millisecond) // a file is looked at once a second at most
	}
}

// TestRebinding: a receiver whose name leads elsewhere from one look-up to the next gains nothing: each dial is judged by the
// address that it goes to, and this host itself is none that a name may mean.
func TestRebinding(t *testing.T) {
	to := guardtest.Names(t)
	asked := make(chan struct{}, 9)
	l, err := net.Listen("tcp", "0.0.0.0:0") // whatever address of this host a name leads to, it would be here
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent)
	}))
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	b := newBed(t, succeeded(), func(o *callback.Options) { o.Config.Allow = []string{"http://rebinding.example:*/hook"} })
	send := func(name string, addr netip.Addr, want func(store.Callback) bool) store.Callback {
		to <- addr
		b.due(name, exchange.EventCompleted, "http://rebinding.example:"+port+"/hook")
		c := b.await(name, want)
		<-to
		return c
	}
	good := ownAddress(t)
	for i, bad := range []string{"127.0.0.1", "169.254.169.254", "0.0.0.0", "127.9.9.9"} {
		if good.IsValid() {
			send(fmt.Sprint("good", i), good, state(store.CallbackDelivered))
			<-asked
		}
		c := send(fmt.Sprint("bad", i), netip.MustParseAddr(bad), func(c store.Callback) bool { return c.Tries == 1 })
		if c.State == store.CallbackDelivered || !strings.Contains(c.Error, "refused") || len(asked) != 0 {
			t.Errorf("%s: %+v", bad, c)
		}
	}
}

// ownAddress is one of this host's that others may reach; on a host without any the zero address, and the test says so.
func ownAddress(t *testing.T) netip.Addr {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			return p.Addr()
		}
	}
	t.Log("this host has no address but loopback: only what must be refused was tried")
	return netip.Addr{}
}
