package dataapi

import (
	"bytes"
	_ "embed" // for openapi.yaml
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
)

// route is what one method does at one place.
type route struct {
	method, path string
	need         scope    // 0: free for everybody
	params       []string // query parameters that there are
	do           func(c *call) *exchange.Problem
}

// Paths of the API.
const (
	specPath      = "/.hoft/v1/openapi.yaml"
	uploadsPath   = "/.hoft/v1/uploads/"
	exchangesPath = "/.hoft/v1/exchanges/"
)

// table lists everything that there is.
func (s *Server) table() []route {
	reading := []string{"offset", "length", "peer"}
	editing := []string{"offset", "truncate", "ttl", "peer"}
	out := []route{
		{"POST", "/data", write, editing, (*call).post},
		{"POST", "/data/{map}", write, editing, (*call).post},
		{"GET", "/data", read, reading, (*call).get},
		{"GET", "/data/{map}", read, reading, (*call).get},
		{"QUERY", "/data", read, reading, (*call).query},
		{"DELETE", "/data", write, nil, (*call).delete},
		{"DELETE", "/data/{map}", write, nil, (*call).delete},
		{"POST", "/data/send", write, []string{"to"}, (*call).send},
		{"POST", "/data/{map}/send", write, []string{"to"}, (*call).send},
		{"GET", exchangesPath + "{id}", read, nil, (*call).exchange},
		{"DELETE", exchangesPath + "{id}", write, nil, (*call).exchange},
		{"GET", exchangesPath + "{id}/response", read, nil, (*call).exchange},
		{"GET", exchangesPath + "{id}/events", read, nil, (*call).exchange},
		{"OPTIONS", "/data", 0, nil, (*call).options},
		{"GET", specPath, 0, nil, (*call).spec},
		{"GET", httpproblem.TypePrefix + "{code}", 0, nil, (*call).explain},
	}
	if s.o.Config.Resumable {
		out = append(out,
			route{"HEAD", uploadsPath + "{id}", write, nil, (*call).uploadState},
			route{"PATCH", uploadsPath + "{id}", write, nil, (*call).uploadMore},
			route{"DELETE", uploadsPath + "{id}", write, nil, (*call).uploadDelete})
	}
	return out
}

// routes makes the mux of the table. Methods are told apart here, not by the mux, for its own answers are no problem details.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	places := map[string]map[string]route{}
	for _, r := range s.table() {
		if places[r.path] == nil {
			places[r.path] = map[string]route{}
		}
		places[r.path][r.method] = r
		if r.method == http.MethodGet {
			places[r.path][http.MethodHead] = r
		}
	}
	for path, methods := range places {
		allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			c := s.begin(w, r, path)
			rt, ok := methods[r.Method]
			if !ok {
				w.Header().Set("Allow", allow)
				c.finish(exchange.Problemf(exchange.CodeMethod, "here are %s", allow))
				return
			}
			c.serve(rt)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.begin(w, r, "/").finish(exchange.Problemf(exchange.CodeNotFound, "no such path"))
	})
	return mux
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// call is one request under way.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	place string // pattern of the path: the path itself may hold a map, which is a secret
	who   string // name of the token, "" for anonymous
	begun time.Time
	sent  *counted

	params  params
	sending bool
	held    []func() // release what was brought
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request, place string) *call {
	w.Header().Set("Link", "<"+specPath+`>; rel="service-desc"`) // RFC 8631 section 4.2
	sent := &counted{ResponseWriter: w, ctl: http.NewResponseController(w)}
	return &call{s: s, w: sent, r: r, place: place, begun: time.Now(), sent: sent}
}

// serve lets in whoever may do it, and does it.
func (c *call) serve(rt route) {
	p := c.admit(rt.need)
	if p == nil {
		c.params, p = parseParams(c.r.URL.RawQuery, rt.params)
	}
	if p == nil {
		p = rt.do(c)
	}
	c.letGo()
	if p == later {
		p = nil
	}
	c.finish(p)
}

// finish answers with a problem if there is one, and logs the call.
func (c *call) finish(p *exchange.Problem) {
	if p != nil && c.sent.status == 0 {
		c.problem(p)
	}
	ev := c.s.log.Info().Str("method", c.r.Method).Str("place", c.place).Str("token", c.who).Int("status", c.sent.status).
		Int64("bytes_out", c.sent.n).Dur("took_ms", time.Since(c.begun))
	if p != nil {
		ev = ev.Str("code", p.Code)
	}
	ev.Msg("data request done")
	if p != nil && c.sent.status < 400 {
		panic(http.ErrAbortHandler) // the answer broke off: so does the connection
	}
}

func (c *call) problem(p *exchange.Problem) {
	httpproblem.Fields(c.w.Header(), p)
	d := httpproblem.Describe(p)
	httpproblem.WriteJSON(c.w, d.Status, d)
}

// admit checks what is the same for all requests.
func (c *call) admit(need scope) *exchange.Problem {
	if !c.s.hosts.serves(c.r) {
		return exchange.Problemf(exchange.CodeMisdirected, "this host is not served here; see data.hosts")
	}
	if headLen(c.r) > maxHead {
		return exchange.Problemf(exchange.CodeFieldsLarge, "request line and fields may have %d bytes", maxHead)
	}
	if need == 0 {
		return nil
	}
	if c.s.origins.Check(c.r) != nil {
		return exchange.Problemf(exchange.CodeCrossOrigin, "Origin or Sec-Fetch-Site names another site")
	}
	if c.s.o.Config.TLS.ClientCAFile != "" && (c.r.TLS == nil || len(c.r.TLS.VerifiedChains) == 0) {
		return exchange.Problemf(exchange.CodeToken, "a client certificate is needed; see data.tls.client_ca_file")
	}
	name, may, ok := c.s.tokens.identify(c.r)
	switch {
	case !ok:
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="hoft data"`)
		return exchange.Problemf(exchange.CodeToken, "this needs a token")
	case may&need == 0:
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="hoft data", error="insufficient_scope", scope="`+need.String()+`"`)
		return exchange.Problemf(exchange.CodeScope, "this needs the scope %s", need)
	}
	c.who = name
	return nil
}

func (s scope) String() string {
	if s == read {
		return "read"
	}
	return "write"
}

// headLen is about what the head of a request takes in bytes.
func headLen(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// options tells what there is at /data (RFC 9110 section 9.3.7).
func (c *call) options() *exchange.Problem {
	h := c.w.Header()
	h.Set("Allow", "DELETE, GET, HEAD, OPTIONS, POST, QUERY")
	h.Set("Accept-Query", `"application/json", "text/plain"`) // RFC 10008
	if c.s.o.Config.Resumable {
		h.Set("Accept-Patch", partialUpload)
		h.Set(uploadLimit, c.s.limits(0))
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

//go:embed openapi.yaml
var openAPI []byte

func (c *call) spec() *exchange.Problem {
	c.w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	http.ServeContent(c.w, c.r, "", time.Time{}, bytes.NewReader(openAPI))
	return nil
}

func (c *call) explain() *exchange.Problem {
	if !httpproblem.Explain(c.w, c.r, c.r.PathValue("code")) {
		return exchange.Problemf(exchange.CodeNotFound, "there is no problem of this code")
	}
	return nil
}

// counted counts what is written, and gives the client stallTimeout for each write.
type counted struct {
	http.ResponseWriter
	ctl    *http.ResponseController
	status int
	n      int64
}

// WriteHeader notes the status; interim answers are passed on.
func (w *counted) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
	}
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *counted) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.extend()
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	return n, err
}

func (w *counted) extend() { _ = w.ctl.SetWriteDeadline(time.Now().Add(stallTimeout)) } // not every connection can

// Unwrap is for http.ResponseController.
func (w *counted) Unwrap() http.ResponseWriter { return w.ResponseWriter }
