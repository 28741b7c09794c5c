// Package ingress is the callers' face: a reverse proxy that hands calls to a peer's upstreams and holds the connection for the answer.
package ingress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/ingress/callers"
)

const (
	// headTimeout bounds the reading of a request head, stallTimeout each wait for more of a request body or for
	// the caller to take more of an answer: slow clients must not hold connections for nothing. Both stand for zero
	// in the configuration.
	headTimeout  = 10 * time.Second
	stallTimeout = time.Minute
	// slowest is the average rate in bytes/s below which an upload, after its first stall timeout, has ended: a byte
	// now and then is no progress.
	slowest = 64
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
	callers *callers.Set
	conns   *connections
	stall   time.Duration

	maxHead, maxFields int // of a request

	receivers    Receivers // nil: no callbacks
	stored       Stored    // nil: no Direct Data API
	callerMeters meters
	peerMeters   meters

	http    *http.Server
	stop    context.CancelFunc
	stopped context.Context
}

var _ http.Handler = (*Server)(nil)

// New checks the configuration. site is this site's name, as Via, Forwarded and Proxy-Status show it; peers
// gives the ids of the names in the routes. A route to a name without an id answers with the problem no-such-peer.
func New(cfg config.Ingress, site string, peers map[string]identity.ID, caller exchange.Caller, log zerolog.Logger) (*Server, error) {
	s := &Server{site: site, caller: caller, log: log, waitMax: cfg.WaitMax, stall: cfg.UploadStall}
	if s.stall <= 0 {
		s.stall = stallTimeout
	}
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
	if s.callers, err = callers.New(cfg, log); err != nil {
		return nil, fmt.Errorf("ingress: %w", err)
	}
	secure, err := callers.TLS(cfg.TLS, log)
	if err != nil {
		return nil, fmt.Errorf("ingress: %w", err)
	}
	s.hosts = newHosts(cfg, s.routes)
	if n := affordable(cfg.Connections, descriptors()); n != cfg.Connections {
		log.Info().Int("connections", n).Int("files", descriptors()).Msg("callers get fewer connections than ingress.connections says, for this process may open few files; raise ulimit -n (systemd: LimitNOFILE) for more")
		cfg.Connections = n
	}
	s.conns = newConnections(cfg, s.trusts)
	s.maxHead, s.maxFields = cmp.Or(int(cfg.MaxHead), httpfields.MaxBytes), cfg.MaxFields
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:                      s,
		TLSConfig:                    secure,
		Protocols:                    protocols(),
		ReadHeaderTimeout:            cmp.Or(max(0, cfg.HeadTimeout), headTimeout),
		WriteTimeout:                 stallTimeout, // moved on at every write; see reply
		ConnState:                    s.conns.changed,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true, // OPTIONS * is for the callee
		ErrorLog:                     httpproblem.ErrorLog(log),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
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

// Options are the choices that not every server has. Zero members stand for none.
type Options struct {
	Limits    Limits
	Receivers Receivers
	Stored    Stored
}

// With adds options; before the first call.
func (s *Server) With(o Options) *Server {
	s.callerMeters = meters{what: "one caller may send", calls: o.Limits.CallerCalls, bytes: o.Limits.CallerBytes}
	s.peerMeters = meters{what: "all callers together may send to one peer", calls: o.Limits.PeerCalls, bytes: o.Limits.PeerBytes}
	s.receivers, s.stored = o.Receivers, o.Stored
	return s
}

// Serve takes connections from l until Shutdown, with TLS where the configuration has a certificate; it returns nil then.
func (s *Server) Serve(l net.Listener) error {
	serve := s.http.Serve
	if s.http.TLSConfig != nil {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
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
