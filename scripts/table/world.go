package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/site"
)

const token = "token-of-the-table"

// world is two sites in front of a callee, in one process.
type world struct {
	callee, front string // host:port
	ends          []func()
}

func (w *world) close() {
	for i := len(w.ends) - 1; i >= 0; i-- {
		w.ends[i]()
	}
}

func newWorld() (_ *world, err error) {
	w := &world{}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	dir, err := os.MkdirTemp("", "h")
	if err != nil {
		return nil, err
	}
	w.ends = append(w.ends, func() { os.RemoveAll(dir) })
	callee := httptest.NewServer(http.HandlerFunc(serve))
	w.ends = append(w.ends, callee.Close)
	w.callee = callee.Listener.Addr().String()
	strange := httptest.NewUnstartedServer(http.HandlerFunc(serve))
	strange.TLS = &tls.Config{}
	strange.Config.ErrorLog = log.New(io.Discard, "", 0)
	strange.StartTLS()
	w.ends = append(w.ends, strange.Close)
	hostile, err := hostileServer()
	if err != nil {
		return nil, err
	}
	w.ends = append(w.ends, func() { hostile.Close() })

	for _, name := range []string{"a", "b"} {
		id, err := identity.Generate("site-" + name)
		if err == nil {
			err = id.Create(filepath.Join(dir, name))
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".jwks"), id.Public().Encode(), 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(token), 0o600); err != nil {
		return nil, err
	}
	a, err := w.launch(dir, "a", ingressYAML)
	if err != nil {
		return nil, err
	}
	w.front = a.Addr().String()
	_, err = w.launch(dir, "b", strings.NewReplacer("CALLEE", w.callee, "STRANGE", strange.Listener.Addr().String(), "HOSTILE", hostile.Addr().String()).Replace(egressYAML))
	return w, err
}

const ingressYAML = `ingress:
  listen: 127.0.0.1:0
  hosts: [routeless.example]
  callers: [{name: known, token_file: ./secret}, {name: other, password_file: ./secret}]
  routes:
    - {host: 127.0.0.1, path: /, peer: site-b, upstream: callee}
    - {host: proxied.example, path: /, peer: site-b, upstream: callee}
    - {host: 127.0.0.1, path: /private, peer: site-b, upstream: callee, callers: [other]}
    - {host: 127.0.0.1, path: /small, peer: site-b, upstream: callee, max_body: 1KiB}
    - {host: 127.0.0.1, path: /narrow, strip_prefix: /narrow, peer: site-b, upstream: narrow}
    - {host: 127.0.0.1, path: /nowhere, peer: site-b, upstream: nowhere}
    - {host: 127.0.0.1, path: /metadata, peer: site-b, upstream: metadata}
    - {host: 127.0.0.1, path: /elsewhere, peer: site-b, upstream: elsewhere}
    - {host: 127.0.0.1, path: /self, peer: site-b, upstream: self}
    - {host: 127.0.0.1, path: /unnamed, peer: site-b, upstream: unnamed}
    - {host: 127.0.0.1, path: /dead, peer: site-b, upstream: dead}
    - {host: 127.0.0.1, path: /strange, peer: site-b, upstream: strange}
    - {host: 127.0.0.1, path: /slow/sleep, strip_prefix: /slow, peer: site-b, upstream: hurried}
    - {host: 127.0.0.1, path: /slow, strip_prefix: /slow, peer: site-b, upstream: bounded}
    - {host: 127.0.0.1, path: /hostile, peer: site-b, upstream: hostile}
    - {host: 127.0.0.1, path: /login, peer: site-b, upstream: login}
    - {host: 127.0.0.1, path: /secret, strip_prefix: /secret, peer: site-b, upstream: secret}
`

const egressYAML = `egress:
  upstreams:
    - {name: callee, url: 'http://CALLEE', peers: [site-a]}
    - {name: narrow, url: 'http://CALLEE', peers: [site-a], methods: [GET], paths: [/open/**]}
    - {name: metadata, url: 'http://169.254.169.254', peers: [site-a]}
    - {name: elsewhere, url: 'http://CALLEE', peers: [site-a], addresses: [10.0.0.0/8]}
    - {name: self, url: 'http://ADMIN', peers: [site-a]}
    - {name: unnamed, url: 'http://nothing.invalid', peers: [site-a]}
    - {name: dead, url: 'http://127.0.0.1:1', peers: [site-a], breaker_failures: 1, breaker_pause: 1h}
    - {name: strange, url: 'https://STRANGE', peers: [site-a]}
    - {name: hurried, url: 'http://CALLEE', peers: [site-a], timeout: 200ms}
    - {name: bounded, url: 'http://CALLEE', peers: [site-a], max_response: 1KiB}
    - {name: hostile, url: 'http://HOSTILE', peers: [site-a]}
    - {name: login, url: 'http://CALLEE', peers: [site-a], auth: {oauth2: {token_url: 'http://127.0.0.1:1/', client_id: me, client_secret_file: ./secret}}}
    - {name: secret, url: 'http://CALLEE', peers: [site-a], auth: {bearer_file: ./secret}}
admin: {listen: 'ADMIN'}
`

// launch starts a site of its own configuration file.
func (w *world) launch(dir, name, more string) (*site.Site, error) {
	other, out, in := "b", "ab", "ba"
	if name == "b" {
		other, out, in = "a", "ba", "ab"
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		more = strings.ReplaceAll(more, "ADMIN", l.Addr().String())
		l.Close()
	}
	file := filepath.Join(dir, name+".yaml")
	text := fmt.Sprintf("name: site-%s\nstate_dir: ./%s\npipe: {outbox: ./%s, inbox: ./%s, settle: 100ms}\npeers: [{name: site-%s, keys: ./%s.jwks}]\n%s", name, name, out, in, other, other, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cfg, err := config.Load(config.LoadOptions{File: file})
	if err != nil {
		return nil, err
	}
	s, err := site.Open(cfg, site.Roles{Ingress: cfg.Ingress != nil, Egress: cfg.Egress != nil}, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	w.ends = append(w.ends, func() { cancel(); <-done })
	return s, nil
}

// ask sends raw bytes and tells the statuses of the answers, and the code of a problem.
func (w *world) ask(addr, text string) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	text = strings.NewReplacer("HOST", addr, "TOKEN", "Proxy-Authorization: Bearer "+token, "BODY:2000", strings.Repeat("x", 2000), "BODY:50000", strings.Repeat("x", 50000)).Replace(text)
	if _, err := io.WriteString(c, text); err != nil && !errors.Is(err, net.ErrClosed) {
		return err.Error()
	}
	method, _, _ := strings.Cut(text, " ")
	br := bufio.NewReader(c)
	var seen []string
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			return strings.Join(append(seen, err.Error()), ", ")
		}
		body, err := io.ReadAll(resp.Body)
		status := fmt.Sprint(resp.StatusCode)
		var p struct {
			Code string `json:"code"`
		}
		switch {
		case err != nil:
			status = "broken"
		case resp.Header.Get("Content-Type") == "application/problem+json" && json.Unmarshal(body, &p) == nil:
			status += " " + p.Code
		}
		if seen = append(seen, status); resp.StatusCode >= 200 {
			return strings.Join(seen, ", ")
		}
	}
}
