package site_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
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
		if p == nil || p.Chunks == 0 || p.Bytes < int64(len(body)) || p.SentChunks != 0 || p.ThereChunks != 0 || p.ThereBytes != 0 {
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
