package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// callee is an ordinary HTTP server that knows nothing of hoft and counts how often each call was executed.
type callee struct {
	listen net.Listener
	server *http.Server
	served chan error
	onCall func(method, path string, status int) // told of calls that are not the demo's own

	mu    sync.Mutex
	calls map[string]int // by method, path and number
}

// maxBody bounds what the callee reads of one request, in bytes.
const maxBody = 16 << 20

// newCallee listens on a free port of the loopback interface and answers until close.
func newCallee(onCall func(method, path string, status int)) (*callee, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the callee has no port to listen on: %w", err)
	}
	c := &callee{listen: l, served: make(chan error, 1), calls: map[string]int{}, onCall: onCall}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/items", c.items)
	mux.HandleFunc("POST /v1/orders", c.orders)
	mux.HandleFunc("POST /v1/echo", c.echo)
	mux.HandleFunc("GET /v1/slow", c.slow)
	mux.HandleFunc("GET /v1/large", c.large)
	mux.HandleFunc("GET /v1/flaky", c.flaky)
	c.server = &http.Server{Handler: c.watched(mux), ReadHeaderTimeout: 10 * time.Second}
	go func() { c.served <- c.server.Serve(l) }()
	return c, nil
}

func (c *callee) url() string { return "http://" + c.listen.Addr().String() }

// close ends the server and every call in it.
func (c *callee) close() {
	_ = c.server.Close()
	if err := <-c.served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		panic("demo: the callee ended by itself: " + err.Error())
	}
}

// watched tells of calls without a number: those that somebody makes by hand.
func (c *callee) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(s, r)
		if r.URL.Query().Get("call") == "" && c.onCall != nil {
			c.onCall(r.Method, r.URL.RequestURI(), s.status)
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// count notes that a call is executed and says how often it has been by now.
func (c *callee) count(r *http.Request, id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := r.Method + " " + r.URL.Path + " " + id
	c.calls[key]++
	return c.calls[key]
}

// executions counts what was executed at all, and the calls that were executed more than once although their
// method is not idempotent (RFC 9110 section 9.2.2).
func (c *callee) executions() (all, twice int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, n := range c.calls {
		all += n
		if n > 1 && strings.HasPrefix(key, http.MethodPost+" ") {
			twice++
		}
	}
	return all, twice
}

func (c *callee) items(w http.ResponseWriter, r *http.Request) {
	c.numbered(r)
	send(w, items(number(r, "from", 1, 1_000_000), number(r, "count", 3, 1000)))
}

// orders executes an order each time that it comes, as a server without protection against repeats does.
func (c *callee) orders(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&o); err != nil {
		http.Error(w, "an order is JSON with id, item, quantity and note: "+err.Error(), http.StatusBadRequest)
		return
	}
	id := r.URL.Query().Get("call")
	if id == "" {
		id = "by hand " + strconv.Itoa(o.ID)
	}
	send(w, ordered(o, c.count(r, id)))
}

func (c *callee) echo(w http.ResponseWriter, r *http.Request) {
	c.numbered(r)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	send(w, echoed(r.Header.Get("Content-Type"), body))
}

func (c *callee) slow(w http.ResponseWriter, r *http.Request) {
	c.numbered(r)
	a := slept(number(r, "ms", 300, 60_000))
	select {
	case <-time.After(a.after):
		send(w, a)
	case <-r.Context().Done():
	}
}

func (c *callee) large(w http.ResponseWriter, r *http.Request) {
	c.numbered(r)
	send(w, large(number(r, "call", 1, 1<<30), number(r, "bytes", 100_000, maxBody)))
}

func (c *callee) flaky(w http.ResponseWriter, r *http.Request) {
	c.numbered(r)
	send(w, flaky(number(r, "call", time.Now().Nanosecond()/1000, 1<<30)))
}

// numbered counts a call that has a number.
func (c *callee) numbered(r *http.Request) {
	if id := r.URL.Query().Get("call"); id != "" {
		c.count(r, id)
	}
}

// number reads a number of the query, not above most; what is no number is the default.
func number(r *http.Request, key string, missing, most int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(key))
	if err != nil || n < 0 {
		return missing
	}
	return min(n, most)
}

func send(w http.ResponseWriter, a answer) {
	w.Header()["Content-Type"] = nil
	if a.kind != "" {
		w.Header().Set("Content-Type", a.kind)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a caller that has gone needs no answer
}
