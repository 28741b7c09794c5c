package badpeer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/site"
)

// patience guards against hanging; nothing is expected to take that long.
const patience = 3 * time.Minute

// world is a victim, a good peer that calls it all the time, and bad peers, one for each row. All share one folder.
type world struct {
	t      *testing.T
	dir    string
	victim *identity.Site
	good   *site.Site
	front  string // host:port of the victim's ingress
	goodID *identity.Site
	callee *callee
	bad    map[string]*identity.Site
	signed map[string]bool // bad peers whose link is in signed mode
}

// callee is the server behind the victim. It records what was called.
type callee struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string]int
	hold  chan struct{} // closed when held calls may end
	gates map[string]chan struct{}
}

// gate makes a page that answers when the gate is closed.
func (c *callee) gate(name string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gates["/gate/"+name] = make(chan struct{})
	return c.gates["/gate/"+name]
}

func (c *callee) count(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[path]
}

func newCallee() *callee {
	c := &callee{calls: map[string]int{}, hold: make(chan struct{}), gates: map[string]chan struct{}{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		c.mu.Lock()
		c.calls[r.URL.Path]++
		gate := c.gates[r.URL.Path]
		c.mu.Unlock()
		if gate != nil {
			<-gate
		}
		if strings.HasPrefix(r.URL.Path, "/open/hold") {
			select {
			case <-c.hold:
			case <-r.Context().Done():
			}
		}
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	}))
	return c
}

// the limits of the victim, small so that rows reach them.
const (
	maxStored   = 10 << 20
	chunkStore  = 64 << 20
	outboxBytes = 4 << 20
)

func newWorld(t *testing.T, rows []row) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "h") // short: control sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{t: t, dir: dir, callee: newCallee(), bad: map[string]*identity.Site{}, signed: map[string]bool{}}
	t.Cleanup(w.callee.Close)
	t.Cleanup(func() { close(w.callee.hold) })
	w.victim, w.goodID = w.identity("victim"), w.identity("good")
	for i := range rows {
		name := fmt.Sprintf("bad-%d", i)
		rows[i].name, w.signed[name] = name, rows[i].signed
		w.bad[name] = w.identity(name)
	}
	w.front = w.launch(w.victimConfig()).Addr().String()
	w.good = w.launch(w.goodConfig())
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// identity makes a site's state folder and exports its public keys.
func (w *world) identity(name string) *identity.Site {
	w.t.Helper()
	id, err := identity.Generate(name)
	if err == nil {
		err = id.Create(w.path(name))
	}
	if err == nil {
		err = os.WriteFile(w.path(name+".jwks"), id.Public().Encode(), 0o644)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) config(name string, peers ...string) *config.Config {
	c := config.Default()
	c.Name, c.StateDir = name, w.path(name)
	c.Pipe.Outbox, c.Pipe.Inbox = w.path("share"), w.path("share")
	c.Pipe.Settle, c.Pipe.PollMax = 100*time.Millisecond, 20*time.Millisecond
	c.Link.Heartbeat, c.Link.InitialRTT = time.Minute, 10*time.Millisecond
	for _, name := range peers {
		p := config.DefaultPeer()
		p.Name, p.Keys = name, w.path(name+".jwks")
		if w.signed[name] {
			p.Seal = "signed"
		}
		c.Peers = append(c.Peers, p)
	}
	c.Admin.Listen = ""
	return c
}

// victimConfig lets bad peers call /open/** of one upstream with GET and POST, and the good one another besides. Calls to each
// bad peer go by a route of its name.
func (w *world) victimConfig() *config.Config {
	var all, bad []string
	for i := range len(w.bad) {
		bad = append(bad, fmt.Sprintf("bad-%d", i))
	}
	all = append([]string{"good"}, bad...)
	c := w.config("victim", all...)
	c.Limits.PeerStored, c.Chunks.MaxBytes = maxStored, chunkStore
	c.Limits.OutboxBytes, c.Chunks.PeerBytes = outboxBytes, maxStored
	c.Egress = config.DefaultEgress()
	open, private := config.DefaultUpstream(), config.DefaultUpstream()
	open.Name, open.URL, open.Peers, open.Methods, open.Paths = "open", w.callee.URL, all, []string{"GET", "POST"}, []string{"/open/**"}
	open.MaxRequest = 4 << 20
	slow := open // whoever takes all of its slots takes none of the others
	slow.Name = "slow"
	private.Name, private.URL, private.Peers = "private", w.callee.URL, []string{"good"}
	c.Egress.Upstreams = []config.Upstream{open, slow, private}
	c.Ingress = config.DefaultIngress()
	c.Ingress.Listen = "127.0.0.1:0"
	for _, name := range bad {
		r := config.DefaultRoute()
		r.Path, r.Peer, r.Upstream = "/"+name, name, "x"
		c.Ingress.Routes = append(c.Ingress.Routes, r)
	}
	return c
}

func (w *world) goodConfig() *config.Config {
	c := w.config("good", "victim")
	c.Ingress = config.DefaultIngress()
	c.Ingress.Listen = "127.0.0.1:0"
	r := config.DefaultRoute()
	r.Peer, r.Upstream = "victim", "private"
	c.Ingress.Routes = []config.Route{r}
	return c
}

// launch runs a site until the end of the test.
func (w *world) launch(c *config.Config) *site.Site {
	w.t.Helper()
	s, err := site.Open(c, site.Roles{Ingress: c.Ingress != nil, Egress: c.Egress != nil}, zerolog.Nop())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Errorf("%s: %v", c.Name, err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-done:
		w.t.Fatalf("%s ended: %v", c.Name, err)
	}
	return s
}

// status is what the victim tells of one peer, and its problems with it.
func (w *world) status(name string) (admin.Peer, []string) {
	w.t.Helper()
	var st *admin.Status
	var err error
	if !eventually(func() bool { // a machine that is busy with other things may keep the first question waiting for too long
		st, err = admin.Ask(context.Background(), w.path("victim"))
		return err == nil
	}) {
		w.t.Fatal(err)
	}
	var codes []string
	for _, p := range st.Problems {
		if p.Peer == name {
			codes = append(codes, p.Code)
		}
	}
	for _, p := range st.Peers {
		if p.Name == name {
			return p, codes
		}
	}
	w.t.Fatalf("no peer %s in the status", name)
	return admin.Peer{}, nil
}

// goodCall has the good peer call the victim, as a client does; its answer must come.
func (w *world) goodCall() error {
	c := http.Client{Timeout: patience}
	resp, err := c.Post("http://"+w.good.Addr().String()+"/good", "text/plain", strings.NewReader(strings.Repeat("good ", 10_000)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != 200 || string(body) != "POST /good") {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// eventually waits for what another goroutine is about to do.
func eventually(cond func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return true
		}
	}
	return false
}

// size is the length of all files below a folder in bytes.
func size(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
