package dataapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
)

// Admit implements ingress.Stored: who shows a token as Authorization would.
func (s *Server) Admit(authorization string, need bool) (string, *exchange.Problem) {
	scope := read
	if need {
		scope = write
	}
	r := &http.Request{Header: http.Header{}}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	name, may, ok := s.tokens.identify(r)
	switch {
	case !ok:
		return "", exchange.Problemf(exchange.CodeToken, "send a token of the Direct Data API in Hoft-Data-Authorization, as in Bearer TOKEN")
	case may&scope == 0:
		return "", exchange.Problemf(exchange.CodeScope, "the token in Hoft-Data-Authorization has not the scope %s", scope)
	}
	return name, nil
}

// Map implements ingress.Stored.
func (s *Server) Map(id string) (*chunk.Map, *exchange.Problem) {
	m, p := decodeMap(id)
	return &m, p
}

// Keep implements ingress.Stored: it stores an answer as POST /data stores a body.
func (s *Server) Keep(ctx context.Context, who string, body io.Reader) (text []byte, id string, p *exchange.Problem) {
	var until time.Time
	if ttl := s.o.Config.TTL; ttl > 0 {
		until = s.now().Add(ttl)
	}
	k := s.keeper(who)
	defer k.release()
	w := chunk.NewWriter(ctx, s.o.Sealer, options, k.sink(ctx))
	defer w.Abort()
	limited := &io.LimitedReader{R: body, N: s.most + 1}
	if _, err := w.ReadFrom(limited); err != nil {
		var a *exchange.Abort
		if errors.As(err, &a) {
			return nil, "", exchange.Problemf(exchange.CodeCalleeBroken, "the answer broke off: %s", a.Reason)
		}
		return nil, "", storeProblem(err)
	}
	if limited.N == 0 {
		return nil, "", tooMuch(s.most)
	}
	m, err := w.Close()
	if err != nil {
		return nil, "", storeProblem(err)
	}
	if len(m.Entries) > 0 {
		if p := k.done(ctx, &m, until); p != nil {
			return nil, "", p
		}
	}
	if text, id, err = encodeMap(&m); err != nil {
		return nil, "", exchange.Problemf(exchange.CodeInternal, "%v", err)
	}
	return text, id, nil
}
