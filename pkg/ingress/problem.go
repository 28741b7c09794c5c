package ingress

import (
	"net/http"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
)

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

func describe(p *exchange.Problem, a about) httpproblem.Details {
	d := httpproblem.Describe(p)
	d.Instance, d.Exchange, d.Peer, d.Stage = a.statusURL(), a.id, a.peer, a.stage
	return d
}

// problem answers with an error of hoft's own and gives its status. a.peer is "" for what was not routed.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, p *exchange.Problem, a about) int {
	body := describe(p, a)
	h := w.Header()
	clear(h)
	httpproblem.Fields(h, p)
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
	writeJSON(w, body.Status, body)
	return body.Status
}

// writeJSON ends the answer.
func writeJSON(w http.ResponseWriter, status int, v any) {
	extendWrite(w)
	httpproblem.WriteJSON(w, status, v)
}
