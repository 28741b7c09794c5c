package ingress

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoft/hoft/pkg/exchange"
)

func TestStateResource(t *testing.T) {
	created := time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC)
	var state *exchange.State
	var result func() (*exchange.Response, error)
	s := start(t, &fakeCaller{
		state:  func(exchange.ID) (*exchange.State, error) { return state, nil },
		result: func(exchange.ID) (*exchange.Response, error) { return result() },
	}, nil)
	base := func(state, stage string) *exchange.State {
		return &exchange.State{ID: fixedID, Peer: "site-b", Upstream: "orders", Method: "POST", Target: "/x?token=secret", Stage: stage, State: state, Created: created, ReqBytes: 3, ResBytes: 4}
	}
	id := fixedID.String()
	common := func(more map[string]any) map[string]any {
		m := map[string]any{"id": id, "name": "exchanges/" + id, "createdAt": "2026-11-22T08:15:00Z",
			"metadata": map[string]any{"bytes": map[string]any{"request": 3.0, "response": 4.0}, "peer": "site-b", "upstream": "orders", "method": "POST"}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	failed := base("failed", "calling")
	failed.Problem = exchange.Problemf(exchange.CodeCalleeRefused, "no")
	ended := base("succeeded", "returned")
	ended.Status, ended.Ended = 404, created.Add(time.Second)
	for name, c := range map[string]struct {
		state  *exchange.State
		result func() (*exchange.Response, error)
		want   map[string]any
	}{
		"queued":  {base("running", "queued"), nil, common(map[string]any{"status": "NotStarted", "done": false, "stage": "queued"})},
		"written": {base("running", "written"), nil, common(map[string]any{"status": "Running", "done": false, "stage": "written"})},
		"answered": {ended, func() (*exchange.Response, error) { return answer(404, "gone", "X", "1", "X", "2"), nil },
			common(map[string]any{"status": "Succeeded", "done": true, "stage": "returned", "endedAt": "2026-11-22T08:15:01Z",
				"response": map[string]any{"status": 404.0, "headers": map[string]any{"X": []any{"1", "2"}}, "href": "/.hoft/v1/exchanges/" + id + "/response"}})},
		"answer deleted": {ended, func() (*exchange.Response, error) { return nil, exchange.ErrGone },
			common(map[string]any{"status": "Succeeded", "done": true, "stage": "returned", "endedAt": "2026-11-22T08:15:01Z",
				"response": map[string]any{"status": 404.0, "href": "/.hoft/v1/exchanges/" + id + "/response"}})},
		"failed": {failed, nil, common(map[string]any{"status": "Failed", "done": true, "stage": "calling",
			"error": map[string]any{"type": "/.hoft/problems/callee-refused", "title": "The server refused the connection", "status": 502.0, "detail": "no",
				"instance": "/.hoft/v1/exchanges/" + id, "code": "callee-refused", "exchange": id, "peer": "site-b", "stage": "calling"}})},
		"canceled": {base("canceled", "queued"), nil, common(map[string]any{"status": "Canceled", "done": true, "stage": "queued",
			"error": map[string]any{"type": "/.hoft/problems/canceled", "title": "The call was canceled", "status": 499.0,
				"instance": "/.hoft/v1/exchanges/" + id, "code": "canceled", "exchange": id, "peer": "site-b", "stage": "queued"}})},
		"uncertain": {base("uncertain", "calling"), nil, common(map[string]any{"status": "Failed", "done": true, "stage": "calling",
			"error": map[string]any{"type": "/.hoft/problems/outcome-uncertain", "title": "It is not known whether the server acted", "status": 502.0,
				"instance": "/.hoft/v1/exchanges/" + id, "code": "outcome-uncertain", "exchange": id, "peer": "site-b", "stage": "calling"}})},
	} {
		state, result = c.state, c.result
		g := s.send(t, "GET /.hoft/v1/exchanges/"+id+" HTTP/1.1\r\nHost: HOST\r\n"+end)
		var got map[string]any
		if err := json.Unmarshal([]byte(g.text), &got); err != nil || g.StatusCode != 200 {
			t.Fatalf("%s: %d %s %v", name, g.StatusCode, g.text, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if (g.Header.Get("Retry-After") == "") != got["done"].(bool) {
			t.Errorf("%s: Retry-After %q", name, g.Header.Get("Retry-After"))
		}
	}
}

func TestOwnResources(t *testing.T) {
	id := fixedID.String()
	var result func() (*exchange.Response, error)
	method := "GET"
	s := start(t, &fakeCaller{
		state: func(x exchange.ID) (*exchange.State, error) {
			if x != fixedID {
				return nil, exchange.ErrUnknown
			}
			return &exchange.State{ID: x, Peer: "site-b", Method: method, Stage: "calling", State: "running"}, nil
		},
		result: func(exchange.ID) (*exchange.Response, error) { return result() },
	}, nil)
	stored := func() (*exchange.Response, error) {
		r := answer(404, "a\x00\xff", "X-Many", "1", "X-Many", "2", "Etag", `"e"`, "Connection", "x")
		return r, nil
	}
	head := func() (*exchange.Response, error) { r := answer(200, ""); r.Length = 77; return r, nil }
	fails := func(err error) func() (*exchange.Response, error) {
		return func() (*exchange.Response, error) { return nil, err }
	}
	for name, c := range map[string]struct {
		request, method string
		result          func() (*exchange.Response, error)
		status          int
		code, body      string
	}{
		"stored":          {"GET " + exchangesPath + id + "/response", "GET", stored, 404, "", "a\x00\xff"},
		"stored, head":    {"HEAD " + exchangesPath + id + "/response", "GET", stored, 404, "", ""},
		"answer to HEAD":  {"GET " + exchangesPath + id + "/response", "HEAD", head, 200, "", ""},
		"pending":         {"GET " + exchangesPath + id + "/response", "GET", fails(exchange.ErrPending), 202, "", "-"},
		"gone":            {"GET " + exchangesPath + id + "/response", "GET", fails(exchange.ErrGone), 410, "gone", "-"},
		"a problem":       {"GET " + exchangesPath + id + "/response", "GET", fails(exchange.Problemf(exchange.CodeCalleeTLS, "x")), 502, "callee-tls", "-"},
		"store broken":    {"GET " + exchangesPath + id + "/response", "GET", fails(io.ErrUnexpectedEOF), 503, "store-failed", "-"},
		"unknown":         {"GET " + exchangesPath + "01a201e6-a330-7c55-9e1b-000000000000/response", "GET", nil, 404, "unknown-exchange", "-"},
		"unknown state":   {"GET " + exchangesPath + "01a201e6-a330-7c55-9e1b-000000000000", "GET", nil, 404, "unknown-exchange", "-"},
		"no id":           {"GET " + exchangesPath + "x", "GET", nil, 404, "unknown-exchange", "-"},
		"upper case":      {"GET " + exchangesPath + strings.ToUpper(id), "GET", nil, 404, "unknown-exchange", "-"},
		"braces":          {"GET " + exchangesPath + "{" + id + "}", "GET", nil, 404, "unknown-exchange", "-"},
		"other part":      {"GET " + exchangesPath + id + "/x", "GET", nil, 404, "no-route", "-"},
		"unknown problem": {"GET " + problemsPath + "x", "GET", nil, 404, "no-route", "-"},
		"put":             {"PUT " + exchangesPath + id, "GET", nil, 405, "method-not-allowed", "-"},
		"delete":          {"DELETE " + exchangesPath + id + "/response", "GET", nil, 405, "method-not-allowed", "-"},
		"post":            {"POST /.hoft/", "GET", nil, 405, "method-not-allowed", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			result, method = c.result, c.method
			g := s.send(t, c.request+" HTTP/1.1\r\nHost: HOST\r\n"+end)
			if g.StatusCode != c.status || g.problem.Code != c.code || c.body != "-" && g.text != c.body {
				t.Fatalf("%d %q", g.StatusCode, g.text)
			}
			if name == "stored" {
				want := fmt.Sprint([]string{"1", "2"}, []string{`"e"`}, []string{`site-b; received-status=404, site-a; next-hop="site-b"`}, []string{id}, []string{"3"})
				if h := fmt.Sprint(g.Header["X-Many"], g.Header["Etag"], g.Header["Proxy-Status"], g.Header["Hoft-Exchange"], g.Header["Content-Length"]); h != want {
					t.Errorf("header %s, want %s", h, want)
				}
			}
			allow := "GET, HEAD"
			if name == "put" {
				allow += ", DELETE"
			}
			if c.status == 405 && g.Header.Get("Allow") != allow {
				t.Errorf("Allow %q", g.Header.Get("Allow"))
			}
			if c.status == 202 && g.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

func TestProxyStatusNames(t *testing.T) {
	for name, want := range map[string]string{"site-b": "site-b", "*x": "*x", "9b": `"9b"`, "a b": `"a b"`, `a"\`: `"a\"\\"`, "é": `"?"`, "": "hoft"} {
		if got := item(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// An answer that ends between the look at its state and the reading of it is given as any other: parts are those of all of it.
func TestAnswerEndsWhileItIsAskedFor(t *testing.T) {
	asked := 0
	s := start(t, &fakeCaller{
		state: func(id exchange.ID) (*exchange.State, error) {
			st := &exchange.State{ID: id, Peer: "site-b", Method: "GET", Stage: "calling", State: "running"}
			if asked++; asked > 2 {
				st.Stage, st.State, st.Status, st.ResBytes = "returned", "succeeded", 200, 10
			}
			return st, nil
		},
		result: func(exchange.ID) (*exchange.Response, error) { return answer(200, "0123456789"), nil },
	}, nil)
	for fields, want := range map[string]string{"Range: bytes=2-4\r\n": "206 234", "If-None-Match: \"x\"\r\n": "200 0123456789"} {
		asked = 0
		g := s.send(t, "GET "+exchangesPath+fixedID.String()+"/response HTTP/1.1\r\nHost: HOST\r\n"+fields+end)
		if got := fmt.Sprint(g.StatusCode, " ", g.text); got != want {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
	}
}

// fleeting is an answer that is gone as soon as nobody reads it.
type fleeting struct {
	io.ReadCloser
	readers *int
}

func (f fleeting) Close() error { *f.readers--; return f.ReadCloser.Close() }

// An answer does not expire between two of the parts that one request asks for, although the second lies before the first.
func TestGoingBackHoldsTheAnswer(t *testing.T) {
	readers, asked := 0, 0
	s := start(t, &fakeCaller{
		state: func(id exchange.ID) (*exchange.State, error) {
			return &exchange.State{ID: id, Peer: "site-b", Method: "GET", Stage: "returned", State: "succeeded", Status: 200, ResBytes: 10}, nil
		},
		result: func(exchange.ID) (*exchange.Response, error) {
			if asked++; asked > 1 && readers == 0 {
				return nil, exchange.ErrGone
			}
			readers++
			r := answer(200, "0123456789")
			r.Body = fleeting{r.Body, &readers}
			return r, nil
		},
	}, nil)
	g := s.send(t, "GET "+exchangesPath+fixedID.String()+"/response HTTP/1.1\r\nHost: HOST\r\nRange: bytes=8-9,0-1\r\n"+end)
	if g.StatusCode != 206 || !strings.Contains(g.text, "\r\n\r\n89\r\n") || !strings.Contains(g.text, "\r\n\r\n01\r\n") {
		t.Errorf("%d %q", g.StatusCode, g.text)
	}
}

// What net/http still reads of an answer for a caller who has left opens it no more: nobody would let go of it.
func TestLeftAnswerIsNotOpenedAgain(t *testing.T) {
	opened := 0
	a := &answerReader{now: answer(200, "0123456789"), size: 10, open: func() (*exchange.Response, error) { opened++; return answer(200, "0123456789"), nil }}
	if _, err := io.ReadFull(a, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Read(make([]byte, 1)); n > 0 || err == nil || opened > 0 {
		t.Errorf("%d bytes, %v, opened %d times", n, err, opened)
	}
}
