package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// direct is a demo whose callers reach the callee without anything between.
func direct(t *testing.T, calls int) (*demo, *recorder) {
	t.Helper()
	show := &recorder{}
	d := &demo{o: Options{Calls: calls, Concurrency: 4, Seed: 5}, show: show}
	var err error
	if d.callee, err = newCallee(d.served); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.callee.close)
	d.place.Ingress = d.callee.url()
	return d, show
}

// recorder keeps what a demo tells.
type recorder struct {
	begun  int
	events []Event
	totals *Totals
	idle   func()
}

func (r *recorder) Begin(Place)      { r.begun++ }
func (r *recorder) Event(e Event)    { r.events = append(r.events, e) }
func (r *recorder) Totals(t *Totals) { r.totals = t }
func (r *recorder) Idle(Place) {
	if r.idle != nil {
		r.idle()
	}
}

// TestCalleeGivesTheTrueAnswers asks every kind of question.
func TestCalleeGivesTheTrueAnswers(t *testing.T) {
	const calls = 120
	d, show := direct(t, calls)
	d.ask(t.Context())
	if s := d.tally.totals; s.Right != calls {
		t.Fatalf("%+v", s)
	}
	kinds := map[string]int{}
	for _, e := range show.events {
		if e.Call.Ended {
			path, _, _ := strings.Cut(e.Call.Question.Path, "?")
			kinds[fmt.Sprint(e.Call.Question.Method, path, e.Call.Status)]++
		}
	}
	for _, k := range []string{"GET/v1/items200", "POST/v1/orders201", "POST/v1/echo200", "GET/v1/slow200", "GET/v1/large200", "GET/v1/flaky200", "GET/v1/flaky503"} {
		if kinds[k] == 0 {
			t.Errorf("no %s among %v", k, kinds)
		}
	}
	if all, twice := d.callee.executions(); all != calls || twice != 0 {
		t.Errorf("%d executed, %d twice", all, twice)
	}
}

// TestWhatIsWrongIsSeen has the same order executed again, and answers that are damaged.
func TestWhatIsWrongIsSeen(t *testing.T) {
	d, _ := direct(t, 0)
	q := NewQuestion(5, 1)
	for n := 2; q.Method != http.MethodPost || !strings.HasPrefix(q.Path, "/v1/orders"); n++ {
		q = NewQuestion(5, n)
	}
	d.call(t.Context(), http.DefaultClient, q)
	d.call(t.Context(), http.DefaultClient, q)
	if s := d.tally.totals; s.Right != 1 || s.Wrong != 1 {
		t.Errorf("a second execution counts as %+v", s)
	}
	if all, twice := d.callee.executions(); all != 2 || twice != 1 {
		t.Errorf("%d executed, %d twice", all, twice)
	}
	a := q.want
	for _, c := range []struct {
		status int
		kind   string
		body   []byte
		want   string
	}{
		{a.status, a.kind, a.body, ""},
		{502, a.kind, a.body, "status 502"},
		{a.status, "text/html", a.body, "content type"},
		{a.status, a.kind, a.body[1:], "bytes instead of"},
		{a.status, a.kind, bytes.ToUpper(a.body), "other bytes"},
	} {
		if got := a.wrong(c.status, c.kind, c.body); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestNoAnswerIsLost(t *testing.T) {
	d, _ := direct(t, 0)
	d.place.Ingress = "http://127.0.0.1:1" // nobody listens
	d.call(t.Context(), http.DefaultClient, NewQuestion(1, 1))
	if s := d.tally.totals; s.Lost != 1 || s.Right != 0 {
		t.Errorf("%+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.call(ctx, http.DefaultClient, NewQuestion(1, 2))
	if s := d.tally.totals; s.Ended != 1 {
		t.Errorf("an interrupted call ended: %+v", s)
	}
}

func TestCalleeByHand(t *testing.T) {
	d, show := direct(t, 0)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/v1/items", "", 200, `"name":"item-3"`},
		{"GET", "/v1/items?count=999999999&from=-4", "", 200, `"name":"item-1000"`},
		{"POST", "/v1/orders", `{"id":7,"item":"tea"}`, 201, `"times_executed":1`},
		{"POST", "/v1/orders", `{"id":7,"item":"tea"}`, 201, `"times_executed":2`},
		{"POST", "/v1/orders", `tea`, 400, "an order is JSON"},
		{"POST", "/v1/echo", "hello", 200, "hello"},
		{"GET", "/v1/slow?ms=1", "", 200, `"slept_ms":1`},
		{"GET", "/v1/other", "", 404, ""},
		{"PUT", "/v1/items", "", 405, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, d.callee.url()+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s: %d %.200s, %v", c.method, c.path, resp.StatusCode, body, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(show.events); n < 8 || show.events[0].Served == nil || show.events[0].Served.Path != "/v1/items" {
		t.Errorf("%d calls by hand were told of", n) // the last one's may be under way
	}
}

// TestQuestionsDependOnSeedAndNumber: what --seed promises.
func TestQuestionsDependOnSeedAndNumber(t *testing.T) {
	same := 0
	for n := 1; n <= 50; n++ {
		if !reflect.DeepEqual(NewQuestion(3, n), NewQuestion(3, n)) {
			t.Fatal("one seed, two questions")
		}
		if reflect.DeepEqual(NewQuestion(3, n), NewQuestion(4, n)) {
			same++
		}
	}
	if same > 10 { // GET /v1/flaky has little to differ in
		t.Errorf("%d of 50 questions are the same with another seed", same)
	}
}
