package site_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/site"
)

// running is one site of a pair.
type running struct {
	*site.Site
	file string // its configuration
	stop func()
}

// pair starts two sites with default settings that share two folders; calls to the first are answered by callee.
func pair(t testing.TB, callee http.Handler) (a, b *running) {
	t.Helper()
	return pairWith(t, callee, "outbox: ./ab, inbox: ./ba", "outbox: ./ba, inbox: ./ab")
}

// pairWith starts two sites with these pipes.
func pairWith(t testing.TB, callee http.Handler, pipeA, pipeB string) (a, b *running) {
	t.Helper()
	srv := httptest.NewServer(callee)
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	conf := map[string]string{
		"a": "name: site-a\nstate_dir: ./a\npipe: {" + pipeA + "}\npeers: [{name: site-b, keys: ./b.jwks}]\n" +
			"ingress: {listen: '127.0.0.1:0', wait: 1h, routes: [{path: /, peer: site-b, upstream: orders}]}\n", // nothing is about how long a call takes
		"b": "name: site-b\nstate_dir: ./b\npipe: {" + pipeB + "}\npeers: [{name: site-a, keys: ./a.jwks}]\n" +
			"egress: {upstreams: [{name: orders, url: '" + srv.URL + "', peers: [site-a], concurrency: 256}]}\n",
	}
	for n, text := range conf {
		id, err := identity.Generate("site-" + n)
		if err != nil {
			t.Fatal(err)
		}
		if err := id.Create(filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, n+".jwks"), id.Public().Encode())
		write(t, filepath.Join(dir, n+".yaml"), []byte(text))
	}
	b = start(t, filepath.Join(dir, "b.yaml"), site.Roles{Egress: true})
	a = start(t, filepath.Join(dir, "a.yaml"), site.Roles{Ingress: true})
	return a, b
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB, file string, roles site.Roles) *running {
	t.Helper()
	cfg, err := config.Load(config.LoadOptions{File: file})
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.Open(cfg, roles, zerolog.New(io.Discard).Level(zerolog.WarnLevel))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	r := &running{Site: s, file: file, stop: func() {
		cancel()
		if err, ok := <-done; ok && err != nil {
			t.Error(err)
		}
		close(done)
	}}
	t.Cleanup(func() {
		if _, open := <-done; !open {
			return
		}
	})
	t.Cleanup(cancel)
	return r
}

func TestCallGetsTheTrueAnswer(t *testing.T) {
	a, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
	}))
	resp, err := http.Post("http://"+a.Addr().String()+"/v2/items?x=1", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != "POST /v2/items?x=1 hello" {
		t.Errorf("%q, %v", got, err)
	}
}

// A site that cannot be opened says why and holds nothing: once the reason is mended it opens.
func TestOpenFailsAndLetsGo(t *testing.T) {
	a, b := pair(t, http.NotFoundHandler())
	a.stop()
	b.stop()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(a.file)
	load := func(set ...string) *config.Config {
		cfg, err := config.Load(config.LoadOptions{File: a.file, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	for _, c := range []struct{ set, want string }{
		{"name=site-x", "site-x"},
		{"state_dir=./none", "hoft keys gen"},
		{"pipe.outbox=./no/such", "make the folder"},
		{"pipe.inbox=" + filepath.Join(dir, "a.yaml"), "not a folder"},
		{"ingress.listen=" + taken.Addr().String(), "another program"},
	} {
		if _, err := site.Open(load(c.set), site.Roles{Ingress: true}, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a word of %q", c.set, err, c.want)
		}
	}
	taken.Close()
	start(t, a.file, site.Roles{Ingress: true})
}

// BenchmarkCalls is both sites, the callee and 64 callers in one process: for profiles, not for ratios.
func BenchmarkCalls(b *testing.B) {
	a, _ := pair(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	url := "http://" + a.Addr().String() + "/v2/items"
	body := []byte(`{"order":"7c1f0b2e","items":[` + strings.Repeat(`{"sku":"A-10331","qty":3,"price":12.50},`, 24) + `{}]}`)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Post(url, "application/json", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				b.Errorf("status %d, %d bytes, %v", resp.StatusCode, len(got), err)
				return
			}
		}
	})
}
