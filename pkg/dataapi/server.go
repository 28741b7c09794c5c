// Package dataapi is the Direct Data API: it stores data as self-encrypted chunks and gives data maps, by which it is
// read and edited over HTTP.
package dataapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
	"github.com/hoft/hoft/pkg/ingress/callers"
)

const (
	// maxHead bounds the fields of a request in bytes, its request line included; what is longer gets 431.
	maxHead = 64 << 10
	// hardHead is where net/http gives up reading a head; far above maxHead, so that most clients get hoft's own answer.
	hardHead = 1 << 20

	// maxConnections bounds the connections at a time; further ones wait to be accepted.
	maxConnections = 1024

	headTimeout = 10 * time.Second
	// stallTimeout bounds each wait for more of a body, or for the client to take more.
	stallTimeout = time.Minute
	idleTimeout  = 2 * time.Minute
)

// Options are what a Server works with.
type Options struct {
	Config config.Data
	Chunks *chunk.Store
	// Sealer seals what is stored here.
	Sealer *chunk.Sealer
	// Book keeps what is kept.
	Book Book
	// Mover finds data at other sites, and sends it there; nil: what is not here is missing. Exchanges shows what it does.
	Mover     Mover
	Exchanges Exchanges
	Log       zerolog.Logger
	// Now is the clock by which data expires: time.Now.
	Now func() time.Time
}

// Server is the API's listener. Its ServeHTTP may be used without Serve. Safe for concurrent use.
type Server struct {
	o       Options
	log     zerolog.Logger
	tokens  *tokens
	hosts   hosts
	origins *http.CrossOriginProtection
	mux     *http.ServeMux
	http    *http.Server
	now     func() time.Time
	most    int64 // bytes that may be kept
	digests digests
	ledger  ledger
	pins    sync.Mutex // held from a look at the pins of a map to a change of them
	active  active
}

var _ http.Handler = (*Server)(nil)

// New reads the tokens and the certificate, and releases what the last process left.
func New(o Options) (*Server, error) {
	s := &Server{o: o, log: o.Log, hosts: newHosts(o.Config), origins: http.NewCrossOriginProtection(), now: o.Now, most: int64(o.Config.MaxBytes)}
	if s.now == nil {
		s.now = time.Now
	}
	if s.most == 0 {
		st, err := o.Chunks.Stats(context.Background())
		if err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		s.most = st.MaxBytes / 2 // bodies under way need the rest
	}
	err := s.mend(context.Background())
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if s.tokens, err = newTokens(o.Config.TokensFile, o.Log); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	secure, err := callers.TLS(o.Config.TLS, o.Log)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	s.mux = s.routes()
	s.http = &http.Server{
		Handler:                      s,
		TLSConfig:                    secure,
		Protocols:                    protocols(),
		ReadHeaderTimeout:            headTimeout,
		WriteTimeout:                 stallTimeout, // moved on at every write
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               hardHead,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     httpproblem.ErrorLog(o.Log),
	}
	return s, nil
}

// protocols are HTTP/1.1 and HTTP/2, the latter by TLS or, in clear, with prior knowledge (RFC 9113 section 3.3).
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// Serve takes connections from l until Shutdown; it returns nil then.
func (s *Server) Serve(l net.Listener) error {
	l = netutil.LimitListener(l, maxConnections)
	serve := s.http.Serve
	if s.http.TLSConfig != nil {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("data: serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown takes no more connections, waits for answers under way until ctx ends, and cuts what remains.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.http.Shutdown(ctx) == nil {
		return nil
	}
	return s.http.Close()
}
