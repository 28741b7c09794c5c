// Package ingress is the callers' face: a reverse proxy that hands calls to a peer's upstreams and holds the connection for the answer.
package ingress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

const (
	// headTimeout bounds the reading of a request head, stallTimeout each wait for more of a request body or for
	// the caller to take more of an answer: slow clients must not hold connections for nothing.
	headTimeout  = 10 * time.Second
	stallTimeout = time.Minute
	// idleTimeout is how long a kept-alive connection may be quiet.
	idleTimeout = 2 * time.Minute
	// maxHead is where net/http gives up reading a head; above httpfields.MaxBytes, so that most callers get
	// hoft's own answer.
	maxHead = 64 << 10
	// partingTime is what callers get to take their last answer after the grace of Shutdown is over.
	partingTime = 2 * time.Second

	defaultWait    = 2 * time.Minute
	defaultWaitMax = time.Hour
)

// Server takes calls in. Its ServeHTTP may be used without Serve, behind another server. Safe for concurrent use.
type Server struct {
	site    string
	caller  exchange.Caller
	log     zerolog.Logger
	hosts   hosts
	trusted []netip.Prefix
	routes  []route
	waitMax time.Duration
	trips   roundTrips
	http    *http.Server
	stop    context.CancelFunc
	stopped context.Context
}

var _ http.Handler = (*Server)(nil)

// New checks the configuration. site is this site's name, as Via, Forwarded and Proxy-Status show it; peers
// gives the ids of the names in the routes. A route to a name without an id answers with the problem no-such-peer.
func New(cfg config.Ingress, site string, peers map[string]identity.ID, caller exchange.Caller, log zerolog.Logger) (*Server, error) {
	s := &Server{site: site, caller: caller, log: log, waitMax: cfg.WaitMax}
	if s.waitMax <= 0 {
		s.waitMax = defaultWaitMax
	}
	var err error
	if s.trusted, err = config.Prefixes(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("ingress: trusted_proxies: %w", err)
	}
	if s.routes, err = newRoutes(cfg, peers); err != nil {
		return nil, fmt.Errorf("ingress: %w", err)
	}
	s.hosts = newHosts(cfg, s.routes)
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            headTimeout,
		WriteTimeout:                 stallTimeout, // moved on at every write; see reply
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true, // OPTIONS * is for the callee
		ErrorLog:                     stdlog.New(logWriter{log}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	return s, nil
}

// Serve takes connections from l until Shutdown; it returns nil then.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("ingress: serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown takes no more connections and waits for the answers under way until ctx ends. Then callers that still
// wait get 504 with the status link (their exchanges go on), and what remains is cut.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.http.Shutdown(ctx) == nil {
		s.stop()
		return nil
	}
	s.stop()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingTime)
	defer cancel()
	if s.http.Shutdown(last) == nil {
		return nil
	}
	return s.http.Close()
}

// connKey is where a request's context holds its connection.
type connKey struct{}

// logWriter takes what net/http logs: broken handshakes and malformed requests, which callers can cause at will, and
// panics, which nobody should.
type logWriter struct{ log zerolog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	level := zerolog.DebugLevel
	if bytes.HasPrefix(p, []byte("http: panic")) {
		level = zerolog.ErrorLevel
	}
	w.log.WithLevel(level).Bytes("err", bytes.TrimSpace(p)).Msg("http server")
	return len(p), nil
}
