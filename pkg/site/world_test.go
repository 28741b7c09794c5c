package site_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/site"
)

// patience guards against hanging; nothing is expected to take that long.
const patience = time.Minute

// world is two sites joined by two folders, and a server behind the second.
type world struct {
	dir    string
	a, b   *identity.Site
	callee *httptest.Server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { leaks.None(t, before) }) // when all below has ended
	dir, err := os.MkdirTemp("", "h")           // short: control sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plant(dir); os.RemoveAll(dir) })
	w := &world{dir: dir}
	w.callee = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write([]byte("answer"))
	}))
	t.Cleanup(w.callee.Close)
	w.a, w.b = w.identity(t, "site-a"), w.identity(t, "site-b")
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// identity makes a site's state folder and exports its public keys.
func (w *world) identity(t *testing.T, name string) *identity.Site {
	t.Helper()
	id, err := identity.Generate(name)
	if err == nil {
		err = id.Create(w.path(name))
	}
	if err == nil {
		err = os.WriteFile(w.path(name+".jwks"), id.Public().Encode(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// config is what both sites share; files settle and heartbeats come soon.
func (w *world) config(name, outbox, inbox, peer string) *config.Config {
	c := config.Default()
	c.Name, c.StateDir = name, w.path(name)
	c.Pipe.Outbox, c.Pipe.Inbox = w.path(outbox), w.path(inbox)
	c.Pipe.Settle = 50 * time.Millisecond
	c.Link.Heartbeat, c.Link.InitialRTT = 300*time.Millisecond, 10*time.Millisecond
	p := config.DefaultPeer()
	p.Name, p.Keys = peer, w.path(peer+".jwks")
	c.Peers = []config.Peer{p}
	c.Admin.Listen = "127.0.0.1:0"
	return c
}

func (w *world) configA() *config.Config {
	c := w.config("site-a", "a-to-b", "b-to-a", "site-b")
	c.Ingress = config.DefaultIngress()
	c.Ingress.Listen = "127.0.0.1:0"
	r := config.DefaultRoute()
	r.Peer, r.Upstream = "site-b", "orders"
	c.Ingress.Routes = []config.Route{r}
	return c
}

func (w *world) configB() *config.Config {
	c := w.config("site-b", "b-to-a", "a-to-b", "site-a")
	c.Egress = config.DefaultEgress()
	u := config.DefaultUpstream()
	u.Name, u.URL, u.Peers = "orders", w.callee.URL, []string{"site-a"}
	c.Egress.Upstreams = []config.Upstream{u}
	return c
}

// launch runs a site until stop, or the end of the test.
func launch(t *testing.T, c *config.Config) (s *site.Site, stop func()) {
	t.Helper()
	s, err := site.Open(c, site.Roles{Ingress: c.Ingress != nil, Egress: c.Egress != nil}, talkative())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// ask asks a running site until its status is as wanted.
func ask(t *testing.T, dir, what string, want func(*admin.Status) bool) *admin.Status {
	t.Helper()
	var last *admin.Status
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		st, err := admin.Ask(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if last = st; want(st) {
			return st
		}
	}
	t.Fatalf("never became %s: %+v", what, last.Peers)
	return nil
}

func askState(t *testing.T, dir, state string) *admin.Status {
	t.Helper()
	return ask(t, dir, state, func(st *admin.Status) bool { return st.Peers[0].State == state })
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, req)
}
