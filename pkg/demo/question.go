package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Question is one call that the demo makes, with the answer that is the true one.
type Question struct {
	N      int    // from 1
	Method string // GET or POST
	Path   string // and query, for people
	body   []byte
	kind   string // Content-Type of body
	want   answer
}

// answer is what the callee says; a function of the request alone.
type answer struct {
	status int
	kind   string // Content-Type
	body   []byte
	after  time.Duration
}

// target is the path with the call's number, by which the callee counts.
func (q *Question) target() string {
	u, err := url.Parse(q.Path)
	if err != nil {
		panic("demo: a path of its own is no URL: " + err.Error())
	}
	v := u.Query()
	v.Set("call", strconv.Itoa(q.N))
	u.RawQuery = v.Encode()
	return u.String()
}

// NewQuestion makes call number n of a run: what it asks depends on seed and n alone.
func NewQuestion(seed uint64, n int) *Question {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	q := &Question{N: n, Method: http.MethodGet}
	switch dice := r.IntN(100); {
	case dice < 28:
		from, count := 1+r.IntN(900), 3+r.IntN(30)
		q.Path = fmt.Sprintf("/v1/items?count=%d&from=%d", count, from)
		q.want = items(from, count)
	case dice < 62:
		q.Method, q.Path, q.kind = http.MethodPost, "/v1/orders", jsonType
		o := order{ID: n, Item: fmt.Sprintf("item-%d", 1+r.IntN(900)), Quantity: 1 + r.IntN(9), Note: text(r, 900)}
		q.body = mustJSON(o)
		q.want = ordered(o, 1)
	case dice < 80:
		q.Method, q.Path, q.kind = http.MethodPost, "/v1/echo", "application/octet-stream"
		q.body = noise(seed^uint64(n), 64+r.IntN(8<<10))
		q.want = echoed(q.kind, q.body)
	case dice < 88:
		ms := 50 + 50*r.IntN(6)
		q.Path = fmt.Sprintf("/v1/slow?ms=%d", ms)
		q.want = slept(ms)
	case dice < 92:
		size := 1 << (15 + r.IntN(4))
		q.Path = fmt.Sprintf("/v1/large?bytes=%d", size)
		q.want = large(n, size)
	default:
		q.Path = "/v1/flaky"
		q.want = flaky(n)
	}
	return q
}

const jsonType = "application/json"

func items(from, count int) answer {
	type item struct {
		ID    int    `json:"id"`
		Name  string `json:"name"`
		Price string `json:"price"`
	}
	list := make([]item, count)
	for i := range list {
		id := from + i
		list[i] = item{id, fmt.Sprintf("item-%d", id), fmt.Sprintf("%d.%02d", id%50, id*7%100)}
	}
	return answer{status: http.StatusOK, kind: jsonType, body: mustJSON(list)}
}

// order is what is posted to /v1/orders, which is not idempotent.
type order struct {
	ID       int    `json:"id"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Note     string `json:"note"`
}

func ordered(o order, times int) answer {
	return answer{status: http.StatusCreated, kind: jsonType, body: mustJSON(map[string]any{"order": o, "times_executed": times})}
}

func echoed(kind string, body []byte) answer {
	return answer{status: http.StatusOK, kind: kind, body: body}
}

func slept(ms int) answer {
	return answer{status: http.StatusOK, kind: jsonType, body: mustJSON(map[string]int{"slept_ms": ms}), after: time.Duration(ms) * time.Millisecond}
}

func large(n, size int) answer {
	return answer{status: http.StatusOK, kind: "application/octet-stream", body: noise(uint64(n), size)}
}

// flaky fails for two numbers of five, with an answer of its own, which is as true as any other.
func flaky(n int) answer {
	if n%5 < 2 {
		return answer{status: http.StatusServiceUnavailable, kind: jsonType, body: mustJSON(map[string]any{"error": "the callee is busy", "call": n})}
	}
	return answer{status: http.StatusOK, kind: jsonType, body: mustJSON(map[string]any{"fine": true, "call": n})}
}

// noise is bytes that do not compress, from a seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// text is n letters.
func text(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.IntN(26))
	}
	return string(b)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("demo: a value of its own has no JSON: " + err.Error())
	}
	return append(b, '\n')
}

// wrong says in what way an answer is not the true one; "" if it is.
func (a answer) wrong(status int, kind string, body []byte) string {
	switch {
	case status != a.status:
		return fmt.Sprintf("status %d instead of %d", status, a.status)
	case kind != a.kind:
		return fmt.Sprintf("content type %q instead of %q", kind, a.kind)
	case len(body) != len(a.body):
		return fmt.Sprintf("%d bytes instead of %d", len(body), len(a.body))
	case !bytes.Equal(body, a.body):
		return "other bytes"
	}
	return ""
}
