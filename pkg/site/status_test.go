package site_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func codes(st *admin.Status) (out []string) {
	for _, p := range st.Problems {
		out = append(out, p.Code)
	}
	return out
}

// A peer is never heard of, then ok, then late; calls move the counters; the stored state says the same.
func TestStatusThroughTheLifeOfALink(t *testing.T) {
	w := newWorld(t)
	a, stopA := launch(t, w.configA())
	st := askState(t, w.path("site-a"), admin.StateNever)
	if !slices.Equal(codes(st), []string{"peer-never"}) || st.Healthy || !st.Running || st.Site != "site-a" || !slices.Equal(st.Roles, []string{"ingress"}) {
		t.Errorf("before first contact: %+v", st)
	}
	_, stopB := launch(t, w.configB())
	askState(t, w.path("site-a"), admin.StateOK)
	for range 3 {
		if code, body := get(t, "http://"+a.Addr().String()+"/x", ""); code != http.StatusOK || body != "answer" {
			t.Fatalf("%d %q", code, body)
		}
	}
	st = ask(t, w.path("site-a"), "quiet", func(st *admin.Status) bool {
		return st.Peers[0].Outbox.Messages == 0 && len(st.Exchanges.Calls) == 0 && st.Peers[0].State == admin.StateOK &&
			st.Peers[0].Log.RecvContiguous >= 3 // durable: after the answer was passed on
	})
	p := st.Peers[0]
	if p.Log.Sent < 3 || p.Log.Acked != p.Log.Sent || p.Log.RecvContiguous < 3 || p.RTT == nil || p.Counters.MessagesSent < 3 || p.Files.OK == 0 ||
		p.Clocks.Epoch == 0 || p.Clocks.PeerEpoch == 0 || p.LastSeen == nil || !slices.Contains(p.Caps, "req") || st.DB.Bytes == 0 {
		t.Errorf("after three calls: %+v, db %d", p, st.DB.Bytes)
	}
	if !st.Healthy {
		t.Errorf("problems: %+v", st.Problems)
	}
	jobs := ask(t, w.path("site-b"), "quiet", func(st *admin.Status) bool { return len(st.Exchanges.Jobs) == 0 })
	if jobs.Peers[0].Log.RecvContiguous != p.Log.Sent {
		t.Errorf("site-b received up to %d of %d", jobs.Peers[0].Log.RecvContiguous, p.Log.Sent)
	}

	stopB()
	st = askState(t, w.path("site-a"), admin.StateLate)
	if !slices.Equal(codes(st), []string{"peer-late"}) || !strings.Contains(st.Problems[0].Text, "nothing came for") {
		t.Errorf("late: %+v", st.Problems)
	}
	stopA()
	if _, err := admin.Ask(context.Background(), w.path("site-a")); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("stopped: %v", err)
	}
	stored, err := admin.FromState(context.Background(), w.path("site-a"), w.a, []admin.Name{{ID: w.b.ID(), Name: "site-b"}, {ID: identity.ID{7}, Name: "other"}})
	if err != nil {
		t.Fatal(err)
	}
	q := stored.Peers[0]
	if stored.Running || q.State != admin.StateStopped || q.Log.Sent != p.Log.Sent || q.Log.Acked != p.Log.Acked || q.Clocks != p.Clocks || q.LastSeen == nil || q.RTT == nil {
		t.Errorf("stored: %+v", q)
	}
	if len(stored.Peers) != 2 || stored.Peers[1].LastSeen != nil || !slices.Equal(codes(stored), []string{"not-running"}) {
		t.Errorf("stored: %+v", stored)
	}
	unnamed, err := admin.FromState(context.Background(), w.path("site-a"), w.a, nil)
	if err != nil || len(unnamed.Peers) != 1 || unnamed.Peers[0].Name != w.b.ID().String() {
		t.Errorf("without names: %+v, %v", unnamed, err)
	}
}

// Files that come in the name of a peer and cannot be read block it before first contact, and no longer
// once it is heard of.
func TestStatusBlocked(t *testing.T) {
	w := newWorld(t)
	launch(t, w.configA())
	askState(t, w.path("site-a"), admin.StateNever)
	name := frame.Name{Recipient: w.a.ID(), Sender: w.b.ID(), Seq: 1_700_000_000_000_000, Ext: frame.ExtFrame}
	folder := filepath.Join(w.path("b-to-a"), w.a.ID().String())
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(folder, "on-its-way") // no name of a file for this site: what is read has all its bytes
	if err := os.WriteFile(whole, []byte("this is no token\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(whole, filepath.Join(folder, name.String())); err != nil {
		t.Fatal(err)
	}
	st := askState(t, w.path("site-a"), admin.StateBlocked)
	p := st.Peers[0]
	if p.Reason != "every file that came was refused: charset" || p.Files.RefusedRun != 1 || st.Level() != admin.LevelCritical {
		t.Errorf("%+v", p)
	}
	quarantined := filepath.Join(w.path("site-a"), "quarantine")
	st = ask(t, w.path("site-a"), "explained", func(st *admin.Status) bool {
		return len(st.Problems) == 1 && strings.HasPrefix(st.Problems[0].Hint, "hoft inspect "+quarantined)
	})
	if st.Problems[0].Code != "peer-blocked" {
		t.Errorf("%+v", st.Problems)
	}
	launch(t, w.configB())
	st = askState(t, w.path("site-a"), admin.StateOK)
	if !slices.Equal(codes(st), []string{"files-refused"}) || st.Level() != admin.LevelWarn {
		t.Errorf("heard of: %+v", st.Problems)
	}
}

func TestOperatorsListener(t *testing.T) {
	w := newWorld(t)
	s, _ := launch(t, w.configA())
	<-s.Ready()
	base := "http://" + s.AdminAddr().String()
	data, err := os.ReadFile(filepath.Join(w.path("site-a"), admin.TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(string(data))
	for _, c := range []struct {
		path, token string
		code        int
	}{
		{admin.PathLive, "", 200},
		{admin.PathReady, "", 200}, // a silent peer is a warning
		{admin.PathHealth, "", 200},
		{admin.PathStatus, "", 401},
		{admin.PathStatus, "wrong", 401},
		{admin.PathStatus, token + "x", 401},
		{admin.PathStatus, token, 200},
		{"/.hoft/v1/none", "", 401},
		{"/.hoft/v1/none", token, 404},
	} {
		if code, body := get(t, base+c.path, c.token); code != c.code || strings.Contains(body, token) {
			t.Errorf("%s with token %q: %d %s", c.path, c.token, code, body)
		}
	}
	_, body := get(t, base+admin.PathReady+"?verbose", "")
	var h admin.Health
	if err := json.Unmarshal([]byte(body), &h); err != nil || h.Status != "warn" {
		t.Errorf("%v: %s", err, body)
	}
	for _, name := range []string{"keys", "start", "loop", "store", "pipe", "peer site-b"} {
		if !slices.ContainsFunc(h.Checks, func(c admin.Check) bool {
			return c.Name == name && (c.Status == "pass" || c.Status == "warn" && c.Detail == "never")
		}) {
			t.Errorf("check %q is missing or fails: %+v", name, h.Checks)
		}
	}

	for host, want := range map[string]int{"localhost": 200, "127.0.0.1": 200, "[::1]:8081": 200, "rebound.example:8081": 421} {
		req, err := http.NewRequest(http.MethodGet, base+admin.PathLive, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if code, _ := do(t, req); code != want {
			t.Errorf("Host %s: %d, want %d", host, code, want)
		}
	}
	req, err := http.NewRequest(http.MethodPost, base+admin.PathLive, nil)
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := do(t, req); code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", code)
	}
}

// A site whose folder is gone is not ready, and says so; it is alive.
func TestNotReadyWithoutItsFolders(t *testing.T) {
	w := newWorld(t)
	s, _ := launch(t, w.configA())
	<-s.Ready()
	if err := os.Rename(w.path("a-to-b"), w.path("elsewhere")); err != nil {
		t.Fatal(err)
	}
	base := "http://" + s.AdminAddr().String()
	if code, body := get(t, base+admin.PathReady, ""); code != http.StatusServiceUnavailable || !strings.Contains(body, `"fail"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := get(t, base+admin.PathLive, ""); code != http.StatusOK {
		t.Errorf("livez: %d", code)
	}
	st := ask(t, w.path("site-a"), "unusable", func(st *admin.Status) bool { return slices.Contains(codes(st), "pipe-unusable") })
	if st.Level() != admin.LevelCritical {
		t.Errorf("%+v", st.Problems)
	}
	if err := os.Rename(w.path("elsewhere"), w.path("a-to-b")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // what could not be written is tried again
		if code, body := get(t, base+admin.PathReady+"?verbose", ""); code == http.StatusOK {
			break
		} else if time.Now().After(end) {
			t.Fatalf("back again: %d %s", code, body)
		}
	}
}

// A server that fails many times in a row is left alone, and the operator sees it.
func TestStatusShowsServersThatAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	b := w.configB()
	b.Egress.Upstreams[0].BreakerFailures, b.Egress.Upstreams[0].BreakerPause = 1, time.Hour
	w.callee.Close()
	a, _ := launch(t, w.configA())
	launch(t, b)
	for _, want := range []string{"callee-refused", "callee-away"} {
		if code, body := get(t, "http://"+a.Addr().String()+"/x", ""); code/100 != 5 || !strings.Contains(body, `"code":"`+want+`"`) {
			t.Errorf("%d %s, want %s", code, body, want)
		}
	}
	st := ask(t, w.path("site-b"), "unhealthy", func(st *admin.Status) bool { return slices.Contains(codes(st), "upstream-away") })
	want := admin.Upstream{Name: "orders", State: "open", Failures: 1, Last: "callee-refused", RetryInS: st.Upstreams[0].RetryInS}
	if len(st.Upstreams) != 1 || st.Upstreams[0] != want || want.RetryInS < 3000 {
		t.Errorf("%+v", st.Upstreams)
	}
	if st := ask(t, w.path("site-a"), "running", func(st *admin.Status) bool { return st.Running }); st.Upstreams != nil {
		t.Errorf("a site without an egress lists %+v", st.Upstreams)
	}
}
