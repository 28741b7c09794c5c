package ingress

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoft/hoft/pkg/exchange"
)

// problemJSON is RFC 9457 problem details with hoft's extension members.
type problemJSON struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitzero"`
	Instance string `json:"instance,omitzero"`
	Code     string `json:"code"`
	Exchange string `json:"exchange,omitzero"`
	Peer     string `json:"peer,omitzero"`
	Stage    string `json:"stage,omitzero"`
}

// about is what is known of the call that a problem belongs to.
type about struct {
	id    string // of the exchange, "" if none was accepted
	peer  string
	stage string
}

func (a about) statusURL() string {
	if a.id == "" {
		return ""
	}
	return exchangesPath + a.id
}

func describe(p *exchange.Problem, a about) problemJSON {
	kind, known := exchange.Kinds[p.Code]
	if !known {
		kind = exchange.Kinds[exchange.CodeInternal]
	}
	return problemJSON{Type: problemsPath + p.Code, Title: kind.Title, Status: kind.Status, Detail: p.Detail,
		Instance: a.statusURL(), Code: p.Code, Exchange: a.id, Peer: a.peer, Stage: a.stage}
}

// problem answers with an error of hoft's own and gives its status. a.peer is "" for what was not routed.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, p *exchange.Problem, a about) int {
	body := describe(p, a)
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if !reserved(r) {
		h.Set("Proxy-Status", s.failed(a.peer, p))
	}
	if a.id != "" {
		h.Set("Hoft-Exchange", a.id)
		h.Set("Link", "<"+a.statusURL()+`>; rel="status"`) // RFC 8631 section 4.4
	}
	s.challenge(h, p)
	if p.Code == exchange.CodeConnections {
		h.Set("Connection", "close") // this one is to go
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	writeJSON(w, body.Status, body)
	return body.Status
}

// writeJSON ends the answer. Text from callers that is no UTF-8 is replaced, not refused.
func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic("ingress: its own answer cannot be encoded: " + err.Error())
	}
	data = append(data, '\n')
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	extendWrite(w)
	w.WriteHeader(status)
	_, _ = w.Write(data)
}
