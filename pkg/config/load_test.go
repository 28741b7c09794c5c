package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const siteA = `name: site-a
state_dir: ./a
pipe:
  outbox: ./a-to-b
  inbox: ./b-to-a
peers:
  - name: site-b
    keys: ./b.pub.jwks
ingress:
  listen: 127.0.0.1:8080
  routes:
    - path: /
      peer: site-b
      upstream: orders
admin:
  listen: 127.0.0.1:8081
`

const siteB = `name: site-b
state_dir: ./b
pipe:
  outbox: ./b-to-a
  inbox: ./a-to-b
peers:
  - name: site-a
    keys: ./a.pub.jwks
egress:
  upstreams:
    - name: orders
      url: http://127.0.0.1:9000
      peers: [site-a]
admin:
  listen: 127.0.0.1:8082
`

// write puts text into a file of a new folder, with an environment without HOFT_ variables.
func write(t *testing.T, text string) string {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, envPrefix) {
			t.Setenv(name, "")
		}
	}
	file := filepath.Join(t.TempDir(), "hoft.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func load(t *testing.T, text string, set ...string) *Config {
	t.Helper()
	c, err := Load(LoadOptions{File: write(t, text), Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoadTwoSites(t *testing.T) {
	a := load(t, siteA)
	dir := filepath.Dir(a.File())
	if a.StateDir != filepath.Join(dir, "a") || a.Pipe.Outbox != filepath.Join(dir, "a-to-b") || a.Peers[0].Keys != filepath.Join(dir, "b.pub.jwks") {
		t.Errorf("paths are not relative to the file: %q %q %q", a.StateDir, a.Pipe.Outbox, a.Peers[0].Keys)
	}
	if a.Egress != nil || a.Ingress == nil {
		t.Fatalf("sections: ingress %v, egress %v", a.Ingress, a.Egress)
	}
	if a.Ingress.Wait != 2*time.Minute || a.Ingress.Routes[0].Peer != "site-b" || a.Ingress.Routes[0].Compress != "on" || a.Peers[0].Seal != "encrypted" {
		t.Errorf("defaults are missing: %+v", a.Ingress)
	}
	b := load(t, siteB)
	if b.Ingress != nil || b.Egress == nil {
		t.Fatalf("sections: ingress %v, egress %v", b.Ingress, b.Egress)
	}
	u := b.Egress.Upstreams[0]
	if u.Timeout != 10*time.Minute || u.Concurrency != 64 || u.MaxResponse != 16<<30 || u.RewriteOrigin != nil || u.Peers[0] != "site-a" {
		t.Errorf("defaults are missing: %+v", u)
	}
	if w := append(a.Warnings(), b.Warnings()...); len(w) > 0 {
		t.Errorf("warnings: %q", w)
	}
}

func TestPrecedence(t *testing.T) {
	text := strings.Replace(siteA, "pipe:\n", "pipe:\n  settle: 2s\n  poll_min: 30ms\n  max_files: 10\n", 1)
	file := write(t, text)
	t.Setenv("HOFT_PIPE_SETTLE", "3s")
	t.Setenv("HOFT_PIPE_POLL_MIN", "40ms")
	t.Setenv("HOFT_PIPE_FSYNC", "true")          // given by the variable alone
	t.Setenv("HOFT_INGRESS_HOSTS", "one.x, two") // a list, in a section that is a pointer
	t.Setenv("HOFT_INGRESS_MAX_BODY", "64KiB")
	c, err := Load(LoadOptions{File: file, Set: []string{"pipe.settle=4s", "pipe.scan_bytes=1048576", "ingress.wait=1s", "ingress.wait=90s"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Pipe.Settle != 4*time.Second || c.Pipe.PollMin != 40*time.Millisecond || c.Pipe.MaxFiles != 10 || c.Pipe.PollMax != time.Second {
		t.Errorf("precedence is not flag, variable, file, default: %+v", c.Pipe)
	}
	if !c.Pipe.Fsync || c.Pipe.ScanBytes != 1<<20 || c.Ingress.Wait != 90*time.Second || c.Ingress.MaxBody != 64<<10 {
		t.Errorf("values are lost: %+v %+v", c.Pipe, c.Ingress)
	}
	if strings.Join(c.Ingress.Hosts, "|") != "one.x|two" {
		t.Errorf("comma list: %q", c.Ingress.Hosts)
	}
}

func TestModesStayOctal(t *testing.T) {
	for written, want := range map[string]string{"0640": "0640", "640": "640", `"0600"`: "0600", "0o660": "0o660"} {
		c := load(t, strings.Replace(siteA, "pipe:\n", "pipe:\n  file_mode: "+written+"\n", 1))
		if c.Pipe.FileMode != want {
			t.Errorf("file_mode: %s became %q", written, c.Pipe.FileMode)
		}
	}
}

func TestNoFile(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent.yaml")
	_, err := first([]string{absent})
	if !errors.Is(err, ErrNoFile) || !strings.Contains(err.Error(), absent) || !strings.Contains(err.Error(), "hoft config init") {
		t.Errorf("got %v", err)
	}
	_, err = Load(LoadOptions{File: absent})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), absent) {
		t.Errorf("got %v", err)
	}
}

func TestFind(t *testing.T) {
	write(t, "")
	here, xdg := t.TempDir(), t.TempDir()
	t.Chdir(here)
	t.Setenv("XDG_CONFIG_HOME", xdg)
	inXDG := filepath.Join(xdg, "hoft", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(inXDG), 0o700); err != nil {
		t.Fatal(err)
	}
	touch := func(file string) {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(flag, want string) {
		t.Helper()
		if got, err := Find(flag); err != nil || got != want {
			t.Errorf("found %q (%v), want %q", got, err, want)
		}
	}
	touch(inXDG)
	want("", inXDG)
	touch("hoft.yaml")
	want("", "hoft.yaml")
	t.Setenv("HOFT_CONFIG", "from-env.yaml")
	want("", "from-env.yaml")
	want("from-flag.yaml", "from-flag.yaml")
}

func TestRoles(t *testing.T) {
	both := strings.Replace(siteA, "admin:", "egress:\n  upstreams:\n    - {name: x, url: 'http://x', peers: [site-b]}\nadmin:", 1)
	neither := siteA[:strings.Index(siteA, "ingress:")]
	for _, c := range []struct {
		text, flag      string
		ingress, egress bool
		err             string
	}{
		{siteA, "", true, false, ""},
		{siteB, "", false, true, ""},
		{both, "", true, true, ""},
		{both, "egress", false, true, ""},
		{both, "ingress, egress", true, true, ""},
		{siteA, "egress", false, false, "needs a section egress"},
		{siteB, "ingress,egress", false, false, "needs a section ingress"},
		{siteA, "proxy", false, false, `role "proxy" is not known`},
		{neither, "", false, false, "neither section"},
	} {
		ingress, egress, err := load(t, c.text).Roles(c.flag)
		if ingress != c.ingress || egress != c.egress || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("roles %q: %v %v %v, want %+v", c.flag, ingress, egress, err, c)
		}
	}
}
