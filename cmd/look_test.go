package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/admin/inspect"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/site"
)

// lookWorld is two sites set up by the commands themselves, as DESIGN's example has it.
type lookWorld struct {
	t    *testing.T
	dir  string
	seen bytes.Buffer // all that any command printed
}

// Secrets of calls and callees.
const (
	lookBody  = "BODY-CANARY-4417"
	lookAuth  = "AUTH-CANARY-9b02"
	lookReply = "REPLY-CANARY-d1e8"
)

func newLookWorld(t *testing.T) *lookWorld {
	t.Helper()
	dir, err := os.MkdirTemp("", "h") // short: control sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("COLUMNS", "100")
	t.Chdir(dir)
	w := &lookWorld{t: t, dir: dir}
	callee := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = rw.Write([]byte(lookReply))
	}))
	t.Cleanup(callee.Close)
	w.write("a.yaml", "name: site-a\nstate_dir: ./a\npipe: {outbox: ./ab, inbox: ./ba, settle: 100ms}\npeers: [{name: site-b, keys: ./b.jwks}]\n"+
		"ingress: {listen: '127.0.0.1:0', routes: [{path: /, peer: site-b, upstream: orders}, {path: /none, peer: site-b, upstream: nothing}]}\n")
	w.write("b.yaml", "name: site-b\nstate_dir: ./b\npipe: {outbox: ./ba, inbox: ./ab, settle: 100ms}\npeers: [{name: site-a, keys: ./a.jwks}]\n"+
		"egress: {upstreams: [{name: orders, url: '"+callee.URL+"', peers: [site-a]}]}\n")
	for _, n := range []string{"a", "b"} {
		w.run(0, "keys", "gen", "--name", "site-"+n, "--state-dir", n)
		w.write(n+".jwks", w.run(0, "keys", "export", "--state-dir", n))
	}
	return w
}

func (w *lookWorld) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a command, wants an exit code, and gives what it printed to standard output.
func (w *lookWorld) run(code int, args ...string) string {
	w.t.Helper()
	out, _ := w.both(code, args...)
	return out
}

func (w *lookWorld) both(code int, args ...string) (out, talk string) {
	w.t.Helper()
	var o, e bytes.Buffer
	if got := run(context.Background(), args, &o, &e); got != code {
		w.t.Fatalf("hoft %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &o, &e)
	}
	w.seen.Write(o.Bytes())
	w.seen.Write(e.Bytes())
	return o.String(), e.String()
}

// serve runs one site in this process until stop.
func (w *lookWorld) serve(file string, roles site.Roles) (s *site.Site, stop func()) {
	w.t.Helper()
	cfg, err := config.Load(config.LoadOptions{File: file})
	if err != nil {
		w.t.Fatal(err)
	}
	if s, err = site.Open(cfg, roles, zerolog.Nop()); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	stop = func() {
		cancel()
		if done != nil {
			if err := <-done; err != nil {
				w.t.Error(err)
			}
			done = nil
		}
	}
	w.t.Cleanup(stop)
	return s, stop
}

// call makes one call and gives the id of its exchange.
func (w *lookWorld) call(s *site.Site, target string, wait time.Duration) string {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+s.Addr().String()+target, strings.NewReader(lookBody))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+lookAuth)
	req.Header.Set("Prefer", fmt.Sprintf("wait=%d", int(wait.Seconds())))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("Hoft-Exchange")
}

func (w *lookWorld) status(args ...string) *admin.Status {
	w.t.Helper()
	var st admin.Status
	if err := json.Unmarshal([]byte(w.run(0, append([]string{"status", "--json"}, args...)...)), &st); err != nil {
		w.t.Fatal(err)
	}
	return &st
}

// until asks for the status until it is as wanted: what it tells of happens in the site, which tells no test of it.
func (w *lookWorld) until(want func(*admin.Status) bool, args ...string) *admin.Status {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if st := w.status(args...); want(st) {
			return st
		}
	}
	w.t.Fatal("never as wanted")
	return nil
}

func (w *lookWorld) wantLines(text string, lines ...string) {
	w.t.Helper()
	for _, l := range lines {
		if !regexp.MustCompile("(?m)" + l).MatchString(text) {
			w.t.Errorf("no line like %q in\n%s", l, text)
		}
	}
}

// A site is looked at before it ran, alone, with its peer, when calls wait, and stopped; nothing printed
// on the way holds a secret.
func TestLookingAtSites(t *testing.T) {
	w := newLookWorld(t)
	out, talk := w.both(0, "status", "--config", "a.yaml")
	w.wantLines(out, `^hoft .* · site-a · not running · db 0 B$`, `^PEER +STATE +LAST SEEN +OUTBOX +IN FLIGHT +RTT +RX / TX +SAFE SIZE +FAULTS$`, `^site-b +○ stopped +never +0 +0 +- +- +- +-$`,
		`^! the site does not run; this is its stored state. Next: hoft serve --config a.yaml$`)
	w.wantLines(talk, `^hoft: no site runs on .*; this is its stored state$`)
	w.run(21, "status", "--check", "--config", "a.yaml")

	a, stopA := w.serve("a.yaml", site.Roles{Ingress: true})
	out = w.run(0, "status", "--state-dir", "a")
	w.wantLines(out, `^hoft .* · site-a · up \d+s · ingress · pipe .*ab \(`, `^site-b +▲ never +never +0 `, `Next: hoft keys verify site-b --state-dir a$`)
	w.wantLines(w.run(20, "status", "--check", "--config", "a.yaml"), `^degraded: site-a, 1 peers: peer-never site-b$`)

	_, stopB := w.serve("b.yaml", site.Roles{Egress: true})
	answered := w.call(a, "/v2/batch?page=2", time.Minute)
	failed := w.call(a, "/none/x", time.Minute)
	st := w.until(func(st *admin.Status) bool {
		return st.Healthy && st.Peers[0].RTT != nil && len(st.Exchanges.Calls) == 0
	}, "--config", "a.yaml")
	if st.Peers[0].State != admin.StateOK || st.Peers[0].Log.Sent == 0 {
		t.Errorf("%+v", st.Peers[0])
	}
	w.wantLines(w.run(0, "status", "--config", "a.yaml"), `^site-b +● ok +\d+s ago +0 +\d+ +\S+ ±\S+ +[\d.]+ \S+ / [\d.]+ \S+ +64 MiB +-$`)
	w.wantLines(w.run(0, "status", "--check", "--config", "b.yaml"), `^ok: site-b, 1 peers$`)
	w.wantLines(w.run(0, "status", "site-a", "--config", "b.yaml"), `^peer +site-a · [0-9a-f-]{36}$`, `^state +● ok$`, `^received +ids to 2, gaps -;`, `^epochs +own \d+ \(\d{4}-`)
	w.both(13, "status", "site-x", "--config", "b.yaml")
	t.Run("narrow", func(t *testing.T) {
		t.Setenv("COLUMNS", "50")
		t.Setenv("LANG", "C")
		out := w.run(0, "status", "--config", "a.yaml")
		if strings.Contains(out, "RX / TX") || strings.Contains(out, "RTT") || strings.IndexFunc(out, func(r rune) bool { return r > 126 }) >= 0 {
			t.Errorf("in 50 columns of ASCII:\n%s", out)
		}
		w.wantLines(out, `^site-b +ok +`)
		out = w.run(0, "status", "--config", "a.yaml", "--color", "always")
		if !strings.Contains(out, "\x1b[32mok\x1b[0m") {
			t.Errorf("no colour:\n%q", out)
		}
	})

	stopB()
	w.call(a, "/v2/batch?page=2", time.Second) // waits in the pipe
	w.inspectEnded(answered, failed)
	w.inspectWaiting()
	stopA()
	w.inspectStopped()
	w.noSecrets()
}

// inspectEnded looks from both sides at a call that was answered and at one that failed.
func (w *lookWorld) inspectEnded(answered, failed string) {
	w.t.Helper()
	w.wantLines(w.run(0, "inspect", "--config", "a.yaml", answered), `^  succeeded · returned: called by a caller here, for site-b$`, `status 200, 17 B$`,
		`^    \S+ \S+  arrived$`, `^    \S+ \S+  answered$`, `^    \S+ \S+  ended, succeeded$`, `^  received  #\d+  res `)
	w.wantLines(w.run(0, "inspect", "--config", "b.yaml", answered), `^  succeeded · .*: asked for by site-a$`, `^    \S+ \S+  arrived$`, `^    \S+ \S+  ended, succeeded$`)
	w.wantLines(w.run(0, "inspect", "--config", "a.yaml", failed), `^  failed · `, `^  ! The other site has no such upstream \(no-such-upstream\): `,
		`^  Compare the route's upstream with egress.upstreams of the other site.$`)
}

// copyFrames copies the frames in a folder: the originals may be written again under another name at any time.
func (w *lookWorld) copyFrames(folder, to string) (copies []string) {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(folder, "*", "*.jwe"))
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range list {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		copies = append(copies, filepath.Join(to, filepath.Base(path)))
		w.write(copies[len(copies)-1], string(data))
	}
	return copies
}

// findRequest gives a copy of a frame that carries a request, and whose writing its sender has recorded: both come some time
// after the call was made.
func (w *lookWorld) findRequest() (path string, f inspect.File) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, path := range w.copyFrames("ab", "copies") {
			var f, own inspect.File
			if err := json.Unmarshal([]byte(w.run(0, "inspect", "--json", "--config", "b.yaml", path)), &f); err != nil {
				w.t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(w.run(12, "inspect", "--json", "--config", "a.yaml", path)), &own); err != nil {
				w.t.Fatal(err)
			}
			if f.Verdict == inspect.Whole && len(f.Lines[0].Claims.Messages) > 0 && own.Sent != nil {
				return path, f
			}
		}
	}
	w.t.Fatal("no request in the pipe")
	return "", f
}

// inspectWaiting looks from both sides at a request that lies in the pipe, and at what became of it.
func (w *lookWorld) inspectWaiting() {
	t := w.t
	t.Helper()
	path, f := w.findRequest()
	m := f.Lines[0].Claims.Messages[0]
	w.wantLines(w.run(0, "inspect", "--config", "b.yaml", path), `^verdict +✓ whole: 1 line, all verified$`, `sealed to \S+ \(site-b\)$`,
		`#\d+  req, POST /v2/batch\?… to upstream orders, exchange `+m.Exchange, `body 16 B$`)
	w.wantLines(w.run(0, "inspect", "--headers", "--config", "b.yaml", path), `^ +Authorization: \[redacted\]$`, `POST /v2/batch\?page=2 to`)
	w.wantLines(w.run(12, "inspect", "--config", "a.yaml", path), `^verdict +○ written by this site: only site-b can open it`,
		`^written .*, (in transit|replaced); messages #`, `^  #\d+  req .*not acknowledged since .*, exchange `+m.Exchange+`$`)
	w.wantLines(w.run(12, "inspect", "--state-dir", "none", path), `^verdict +○ without keys only the shape`, `1 of 1 line well-formed$`)
	out := w.run(0, "inspect", "--config", "a.yaml", m.Exchange)
	w.wantLines(out, `^exchange `+m.Exchange+`$`, `^  running · .*: called by a caller here, for site-b$`, `^  POST /v2/batch\?… to upstream orders, caller 127.0.0.1$`,
		`^    \S+ \S+  accepted$`, `^    \S+ \S+  deadline$`, `^  sent +#\d+  req .*not acknowledged$`, `in `+filepath.Base(path)+`, (in transit|replaced)$`)
	w.run(0, "inspect", "--json", "--config", "a.yaml", m.Exchange)
	_, talk := w.both(1, "inspect", "--config", "a.yaml", "01a201e6-a330-7c55-9e1b-6a0d1c2b7e44")
	w.wantLines(talk, "no such exchange")

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join("cut", filepath.Base(path))
	if err := os.Mkdir("cut", 0o700); err != nil {
		t.Fatal(err)
	}
	w.write(cut, string(data[:len(data)/2]))
	w.wantLines(w.run(1, "inspect", "--config", "b.yaml", path, cut), `all verified$`, `truncated in its first line`)
	w.wantLines(w.run(1, "inspect", "--config", "b.yaml", "a.yaml"), `^verdict +✗ not a hoft file`)
	w.both(1, "inspect", "--config", "b.yaml", "no-such-file")
	w.both(2, "inspect")
}

// inspectStopped looks at the state of a site that does not run, and at an exchange that ended.
func (w *lookWorld) inspectStopped() {
	t := w.t
	t.Helper()
	st := w.status("--config", "a.yaml")
	p := st.Peers[0]
	if st.Running || p.State != admin.StateStopped || p.Outbox.Messages != 1 || p.Outbox.OldestS == nil || st.Exchanges.Calls == nil {
		t.Errorf("%+v", st)
	}
	w.both(10, "status", "--state-dir", "none")
	w.both(2, "status", "--config", "none.yaml")
	if err := os.WriteFile(filepath.Join("a", "hoft.db"), bytes.Repeat([]byte("junk"), 500), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"hoft.db-wal", "hoft.db-shm"} {
		_ = os.Remove(filepath.Join("a", f))
	}
	w.both(10, "status", "--config", "a.yaml")
	w.both(10, "inspect", "--config", "a.yaml", "01a201e6-a330-7c55-9e1b-6a0d1c2b7e44")
}

// noSecrets looks through all that was printed.
func (w *lookWorld) noSecrets() {
	t := w.t
	t.Helper()
	secrets := []string{lookBody, lookAuth, lookReply}
	for _, n := range []string{"a", "b"} {
		data, err := os.ReadFile(filepath.Join(n, "identity.jwks"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range regexp.MustCompile(`"d":"([^"]+)"`).FindAllStringSubmatch(string(data), -1) {
			secrets = append(secrets, d[1])
		}
	}
	if len(secrets) != 7 || w.seen.Len() < 10_000 {
		t.Fatalf("%d secrets, %d bytes printed", len(secrets), w.seen.Len())
	}
	for _, s := range secrets {
		if bytes.Contains(w.seen.Bytes(), []byte(s)) {
			t.Errorf("%s was printed", s)
		}
	}
}

// keys list and verify know the peers of the configuration, whether it is named or found.
func TestKeysSeeTheConfiguration(t *testing.T) {
	w := newLookWorld(t)
	w.wantLines(w.run(0, "keys", "list", "--config", "a.yaml"), `^site-a \(own\) `, `^site-b `, `b\.jwks$`)
	w.wantLines(w.run(0, "keys", "verify", "site-b", "--config", "a.yaml"), `^site-b \(peer\) +\S`)
	w.both(13, "keys", "verify", "site-b", "--state-dir", "a")
	w.wantLines(w.run(0, "keys", "export", "--config", "b.yaml"), `"name":"site-b"`)
	w.both(2, "keys", "list", "--config", "none.yaml")

	text, err := os.ReadFile("a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w.write("hoft.yaml", string(text)) // now it is found
	w.wantLines(w.run(0, "keys", "list"), `^site-b `)
	w.wantLines(w.run(0, "keys", "list", "--state-dir", "./a"), `^site-b `)
	if out := w.run(0, "keys", "list", "--state-dir", "b"); strings.Contains(out, "site-a ") {
		t.Errorf("another site's peers are listed:\n%s", out)
	}
	w.write("hoft.yaml", strings.Replace(string(text), "peers: [", "peers: [{name: site-c}, ", 1))
	if out := w.run(0, "keys", "list"); !strings.Contains(out, "site-b") || strings.Contains(out, "site-c") {
		t.Errorf("with a peer that is not trusted yet:\n%s", out)
	}
	w.write("hoft.yaml", "nmae: x\n")
	_, talk := w.both(0, "keys", "list", "--state-dir", "a")
	w.wantLines(talk, `^hoft: warning: the configuration found here is not used: `)
	t.Setenv("HOFT_CONFIG", "hoft.yaml")
	w.both(2, "keys", "list", "--state-dir", "a")
	names := peerNamesOf(t, "b.yaml")
	if !slices.Equal(names, []string{"site-a"}) {
		t.Errorf("completion offers %v", names)
	}
}

func peerNamesOf(t *testing.T, file string) []string {
	t.Helper()
	var out bytes.Buffer
	if code := run(context.Background(), []string{"__complete", "status", "--config", file, ""}, &out, io.Discard); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	var names []string
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSpace(line); line != "" && line[0] != ':' {
			names = append(names, line)
		}
	}
	return names
}
