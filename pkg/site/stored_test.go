package site_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/site"
)

// withData gives a site the Direct Data API.
func withData(c *config.Config, change func(*config.Data)) *config.Config {
	c.Data.Listen = "127.0.0.1:0"
	if change != nil {
		change(&c.Data)
	}
	return c
}

// askData makes a request to a site's Data API; fields come in pairs.
func askData(t *testing.T, s *site.Site, method, path string, body []byte, fields ...string) (*http.Response, []byte) {
	t.Helper()
	return request(t, "http://"+s.DataAddr().String(), method, path, body, fields...)
}

func request(t *testing.T, base, method, path string, body []byte, fields ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, base+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return resp, got
}

// Data that is stored at one site is read, sent and used between two, with real folders and databases.
func TestStoredData(t *testing.T) {
	w := newWorld(t)
	a, stopA := launch(t, withData(w.configA(), nil))
	confB := withData(w.configB(), nil)
	b, stopB := launch(t, confB)
	data := make([]byte, 9<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	resp, _ := askData(t, a, "POST", "/data", data)
	id := resp.Header.Get("Safe-Data-Map")
	if resp.StatusCode != 200 || id == "" {
		t.Fatal(resp.Status)
	}
	check := func(what string, s *site.Site, path string, status int, want []byte, fields ...string) *http.Response {
		t.Helper()
		resp, got := askData(t, s, "GET", path, nil, fields...)
		if resp.StatusCode != status || want != nil && !bytes.Equal(got, want) {
			t.Fatalf("%s: %s, %d bytes: %.300s", what, resp.Status, len(got), got)
		}
		return resp
	}
	check("a range at the peer", b, "/data/"+id, 206, data[4<<20:4<<20+10], "Range", fmt.Sprintf("bytes=%d-%d", 4<<20, 4<<20+9))
	check("the whole, of a named peer", b, "/data/"+id+"?peer=site-a", 200, data)
	check("a map of nobody's", b, "/data?peer=site-a", 404, nil, "Safe-Data-Map", "W3sibnVtIjowLCJoc2giOiJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBIiwicGhzIjoiQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSIsImxlbiI6NTAwMH1d")

	// Sending, and what comes of it.
	other := bytes.Clone(data)
	copy(other, "something else")
	resp, _ = askData(t, a, "POST", "/data", other)
	second := resp.Header.Get("Safe-Data-Map")
	resp, got := askData(t, a, "POST", "/data/send?to=site-b", nil, "Safe-Data-Map", second)
	var report struct{ Size, Fetched int64 }
	if err := json.Unmarshal(got, &report); err != nil || resp.StatusCode != 200 || report.Size != int64(len(other)) || report.Fetched == 0 || report.Fetched > 5<<20 {
		t.Fatalf("%s: %s", resp.Status, got)
	}
	for path, status := range map[string]int{"/data/send": 400, "/data/send?to=site-z": 500} {
		if resp, got := askData(t, a, "POST", path, nil, "Safe-Data-Map", second); resp.StatusCode != status {
			t.Errorf("%s: %s %s", path, resp.Status, got)
		}
	}

	// Stored data is a body, and an answer is kept.
	resp, got = request(t, "http://"+a.Addr().String(), "POST", "/x", nil, "Hoft-Body-Map", second, "Prefer", "return=data-map")
	if resp.StatusCode != 200 || resp.Header.Get("Preference-Applied") != "return=data-map" || string(bytes.TrimSpace(got)) != `{"cnt":"YW5zd2Vy"}` {
		t.Errorf("%s %v: %s", resp.Status, resp.Header, got)
	}

	right, wrong := sha256.Sum256(other), sha256.Sum256(data)
	for sum, status := range map[[32]byte]int{right: 200, wrong: 400} {
		field := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
		resp, got = request(t, "http://"+a.Addr().String(), "POST", "/x", nil, "Hoft-Body-Map", second, "Content-Digest", field)
		if resp.StatusCode != status || status == 400 && !bytes.Contains(got, []byte("digest-mismatch")) {
			t.Errorf("with %s: %s: %s", field, resp.Status, got)
		}
	}

	// A peer that is away: the fetch goes on, over a restart of this site too.
	resp, _ = askData(t, b, "POST", "/data", other[5:])
	third := resp.Header.Get("Safe-Data-Map")
	stopB()
	resp = check("the peer is away", a, "/data/"+third, 202, nil, "Prefer", "wait=0")
	place := resp.Header.Get("Location")
	if resp.Header.Get("Preference-Applied") != "wait=0" || !strings.HasPrefix(place, "/.hoft/v1/exchanges/") {
		t.Errorf("%v", resp.Header)
	}
	if resp, got := askData(t, a, "POST", "/data/"+third+"?offset=3", []byte("x"), "Prefer", "wait=0"); resp.StatusCode != 504 || !bytes.Contains(got, []byte("nothing was written")) {
		t.Errorf("an edit of what is not here: %s %s", resp.Status, got)
	}
	stopA()
	a, _ = launch(t, withData(w.configA(), nil))
	launch(t, confB)
	var state struct {
		Status   string
		Done     bool
		Metadata struct{ Bytes struct{ Response int64 } }
	}
	resp, got = askData(t, a, "GET", place, nil, "Prefer", "wait=60")
	if err := json.Unmarshal(got, &state); err != nil || state.Status != "Succeeded" || !state.Done || state.Metadata.Bytes.Response != int64(len(other)-5) {
		t.Fatalf("%s: %s", resp.Status, got)
	}
	check("it has come", a, "/data/"+third, 200, other[5:])
}

// Who is given nothing is told that nothing is there.
func TestDataPeers(t *testing.T) {
	w := newWorld(t)
	a, _ := launch(t, withData(w.configA(), func(d *config.Data) { d.Peers = nil }))
	b, _ := launch(t, withData(w.configB(), nil))
	resp, _ := askData(t, a, "POST", "/data", make([]byte, 10_000))
	id := resp.Header.Get("Safe-Data-Map")
	if resp, got := askData(t, b, "GET", "/data/"+id, nil); resp.StatusCode != 404 || !bytes.Contains(got, []byte("data-missing")) {
		t.Errorf("%s %s", resp.Status, got)
	}
	resp, _ = askData(t, b, "POST", "/data", make([]byte, 20_000))
	if resp, got := askData(t, b, "POST", "/data/send?to=site-a", nil, "Safe-Data-Map", resp.Header.Get("Safe-Data-Map")); resp.StatusCode != 403 {
		t.Errorf("%s %s", resp.Status, got)
	}
}
