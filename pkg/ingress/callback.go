package ingress

import "github.com/hoft/hoft/pkg/exchange"

// Receivers says where callbacks may go; *callback.Sender does.
type Receivers interface {
	// Check says why nothing may be sent to a URL, nil if it may.
	Check(url string) *exchange.Problem
}

func (s *Server) checkCallback(url string) *exchange.Problem {
	if s.receivers == nil {
		return exchange.Problemf(exchange.CodeCallback, "this site sends no callbacks")
	}
	return s.receivers.Check(url)
}
