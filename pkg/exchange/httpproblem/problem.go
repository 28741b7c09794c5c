// Package httpproblem is what every listener says in the same way: problem details (RFC 9457), what their codes mean, the
// errors that net/http logs, and its refusals, which are held back for them.
package httpproblem

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoft/hoft/pkg/exchange"
)

// TypePrefix is the path below which every listener explains the codes.
const TypePrefix = "/.hoft/problems/"

// Details is RFC 9457 problem details with hoft's extension members.
type Details struct {
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

// Describe gives what a problem's code and text say.
func Describe(p *exchange.Problem) Details {
	kind, known := exchange.Kinds[p.Code]
	if !known {
		kind = exchange.Kinds[exchange.CodeInternal]
	}
	return Details{Type: TypePrefix + p.Code, Title: kind.Title, Status: kind.Status, Detail: p.Detail, Code: p.Code}
}

// Fields sets the fields of an answer that is a problem.
func Fields(h http.Header, p *exchange.Problem) {
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
}

// WriteJSON ends an answer. Text from callers that is no UTF-8 is replaced, not refused. A value that cannot be
// encoded is a mistake of this program and panics.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic("an answer of hoft's own cannot be encoded: " + err.Error())
	}
	data = append(data, '\n')
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // the caller left
}
