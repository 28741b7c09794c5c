package site_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/admin/inspect"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// Who watches a call with a long body, or asks for its state, is told how far the body is.
func TestProgressOfALongBody(t *testing.T) {
	w := newWorld(t)
	s, _ := launch(t, w.configA()) // nobody takes what it writes: all is here, and nothing there
	front := "http://" + s.Addr().String()
	body := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front+"/x", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Prefer", "respond-async")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	where := front + resp.Header.Get("Location")

	check := func(from string, p *exchange.Transfer) {
		if p == nil || p.Body != exchange.BodyRequest || p.Chunks == 0 || p.Bytes < int64(len(body)) || p.SentChunks != 0 || p.ThereChunks != 0 || p.ThereBytes != 0 {
			t.Errorf("%s: %+v", from, p)
		}
	}
	var state struct {
		Metadata struct{ Transfer *exchange.Transfer }
	}
	_, text := get(t, where, "")
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		t.Fatal(err)
	}
	check("state", state.Metadata.Transfer)

	stream, err := http.Get(where + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && lines.Text() != "event: exchange.progress" {
	}
	lines.Scan()
	var event exchange.CloudEvent
	if err := json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &event); err != nil {
		t.Fatalf("%q: %v", lines.Text(), err)
	}
	check("event", event.Data.Transfer)
	if event.Type != "hoft.exchange.progress" || !strings.HasSuffix(where, event.Subject) {
		t.Errorf("%+v", event)
	}
	http.DefaultClient.CloseIdleConnections()
}

// An answer that its callee has begun, and has not ended: the stream of events, the state and both sites' inspection tell how
// far it is.
func TestProgressOfALongAnswer(t *testing.T) {
	const whole, half = 6 << 20, 3 << 20
	w := newWorld(t)
	body := make([]byte, whole)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(body)
	release := make(chan struct{})
	w.callee.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", strconv.Itoa(whole))
		_, _ = rw.Write(body[:half])
		_ = http.NewResponseController(rw).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
		_, _ = rw.Write(body[half:])
	})
	s, _ := launch(t, w.configA())
	launch(t, w.configB())
	front := "http://" + s.Addr().String()
	resp, _ := request(t, front, http.MethodGet, "/x", nil, "Prefer", "respond-async")
	where := resp.Header.Get("Location")

	stream, err := http.Get(front + where + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	var event exchange.CloudEvent
	last := false // of the event
	for !last && lines.Scan() {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is || !strings.Contains(data, "exchange.progress") {
			continue
		}
		event = exchange.CloudEvent{}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			t.Fatal(err)
		}
		p := event.Data.Transfer
		if p == nil || p.Body != exchange.BodyResponse || p.Length != whole || p.ThereBytes > p.SentBytes || p.SentBytes > p.Bytes || p.Bytes > half {
			t.Fatalf("%s: %+v", data, p)
		}
		last = p.ThereBytes == half
	}
	if p := event.Data.Transfer; p == nil || p.ThereChunks == 0 || p.RateBps <= 0 || p.LeftS <= 0 {
		t.Errorf("%+v", p)
	}
	var state struct {
		Metadata struct{ Transfer *exchange.Transfer }
	}
	if _, text := get(t, front+where, ""); json.Unmarshal([]byte(text), &state) != nil || state.Metadata.Transfer == nil || state.Metadata.Transfer.ThereBytes != half {
		t.Errorf("%s", text)
	}

	id, err := uuid.Parse(path.Base(where))
	if err != nil {
		t.Fatal(err)
	}
	var row admin.ExchangeRow
	if err := admin.Do(t.Context(), w.path("site-a"), http.MethodGet, admin.PathExchanges+"/"+id.String(), &row); err != nil || row.Transfer == nil || row.Transfer.ThereBytes != half {
		t.Errorf("%+v, %v", row.Transfer, err)
	}
	for dir, way := range map[string]string{"site-a": "in", "site-b": "out"} {
		w.inspectUntil(t, dir, id, way, func(p *inspect.Transfer) bool {
			return p.Way == way && p.Chunks > 0 && p.ThereChunks == p.Chunks && p.ThereBytes > 0
		})
	}
	close(release)
	if resp, got := request(t, front, http.MethodGet, where+"/response", nil, "Prefer", "wait=60"); resp.StatusCode != 200 || !bytes.Equal(got, body) {
		t.Errorf("%s, %d bytes", resp.Status, len(got))
	}
}

// inspectUntil inspects an exchange until one of its transfers is as wanted.
func (w *world) inspectUntil(t *testing.T, site string, id uuid.UUID, what string, want func(*inspect.Transfer) bool) {
	t.Helper()
	var x *inspect.Exchange
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		db, err := store.OpenReadOnly(w.path(site))
		if err != nil {
			t.Fatal(err)
		}
		x, err = inspect.Call(t.Context(), id, inspect.Keys{}, db, inspect.Options{Now: time.Now()})
		db.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i := range x.Transfers {
			if want(&x.Transfers[i]) {
				return
			}
		}
	}
	t.Errorf("%s: %s: %+v", site, what, x.Transfers)
}

// Stored data that is fetched from a peer that is away: all of it is asked for, and nothing is here.
func TestProgressOfAFetch(t *testing.T) {
	w := newWorld(t)
	a, _ := launch(t, withData(w.configA(), nil))
	b, stopB := launch(t, withData(w.configB(), nil))
	data := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(data)
	resp, _ := askData(t, b, "POST", "/data", data)
	id := resp.Header.Get("Safe-Data-Map")
	if resp, got := askData(t, a, "GET", "/data/"+id+"?offset=0&length=10", nil); resp.StatusCode != 200 { // the first chunk
		t.Fatalf("%s: %s", resp.Status, got)
	}
	stopB()
	resp, _ = askData(t, a, "GET", "/data/"+id, nil, "Prefer", "wait=0")
	where := resp.Header.Get("Location")
	var row admin.ExchangeRow
	for end := time.Now().Add(patience); row.Transfer == nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err := admin.Do(t.Context(), w.path("site-a"), http.MethodGet, admin.PathExchanges+"/"+path.Base(where), &row); err != nil {
			t.Fatal(err)
		}
	}
	p := row.Transfer
	if p == nil || p.Body != exchange.BodyData || p.Length != int64(len(data)) || p.Bytes != p.Length || p.ThereChunks != 1 || p.Chunks < 3 || p.ThereBytes <= 0 || p.ThereBytes >= p.Bytes {
		t.Errorf("%s: %+v", where, p)
	}
	ask(t, w.path("site-a"), "fetching", func(st *admin.Status) bool {
		return st.Peers[0].Bulk != nil && st.Peers[0].Bulk.Fetching == p.Chunks-p.ThereChunks
	})
}
