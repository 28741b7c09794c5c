package egress

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/egress/credentials"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
	"github.com/hoft/hoft/pkg/guard"
	"github.com/hoft/hoft/pkg/identity"
)

const (
	// defaultSlots and defaultTimeout stand for zero in the configuration.
	defaultSlots   = 64
	defaultTimeout = 60 * time.Second
	dialTimeout    = 10 * time.Second
	// idleConn is how long an unused connection is kept. Servers close theirs after 5 s (Node, Apache) and
	// more; a request that meets such a closing is lost in a way that a POST must not be sent again, so
	// hoft lets go first.
	idleConn = 3 * time.Second
)

// upstream is one callee as configured.
type upstream struct {
	name               string
	origin             httptarget.Origin // how this side sees it; Path is put in front of every target
	addr               string            // host:port that is dialled
	peers              map[string]bool
	methods            map[string]bool     // nil: every method
	paths              httptarget.Patterns // nil: every path
	preserve           bool
	rewrite            bool
	timeout            time.Duration
	total              time.Duration // of a whole call; 0: no limit
	max                int64         // bytes of a response body; 0: no limit
	maxHead, maxFields int           // of a response; 0: as much as a message holds
	maxBody            int64         // bytes of a request body; 0: no limit
	slots              int
	allow              names // of request fields; empty: all
	drop               names // of response fields

	breaker   *breaker
	keeper    *credentials.Keeper // nil: calls go as they come
	protocol  atomic.Int32        // major version of HTTP that the last answer had; 0: none yet
	transport *http.Transport
}

func newUpstream(c config.Upstream, blocked []netip.AddrPort) (*upstream, error) {
	u := &upstream{name: c.Name, peers: set(c.Peers), preserve: c.PreserveHost, rewrite: !c.PreserveHost,
		timeout: c.Timeout, total: c.MaxTime, max: int64(c.MaxResponse), maxHead: int(c.MaxHead), maxFields: c.MaxFields, maxBody: int64(c.MaxRequest), slots: c.Concurrency,
		allow: newNames(c.AllowRequestHeaders), drop: newNames(c.DropResponseHeaders), breaker: newBreaker(c)}
	if c.RewriteOrigin != nil {
		u.rewrite = *c.RewriteOrigin
	}
	if u.timeout <= 0 {
		u.timeout = defaultTimeout
	}
	if u.slots <= 0 {
		u.slots = defaultSlots
	}
	if err := u.readURL(c.URL); err != nil {
		return nil, err
	}
	for _, m := range c.Methods {
		if !httpfields.Token(m) || m == http.MethodConnect {
			return nil, fmt.Errorf("methods: %q cannot be called through a file pipe", m)
		}
	}
	if len(c.Methods) > 0 {
		u.methods = set(c.Methods)
	}
	for _, s := range c.Paths {
		p, err := httptarget.ParsePattern(s)
		if err != nil {
			return nil, fmt.Errorf("paths: %q: %w", s, err)
		}
		u.paths = append(u.paths, p)
	}
	narrow, err := config.Prefixes(c.Addresses)
	if err != nil {
		return nil, fmt.Errorf("addresses: %w", err)
	}
	secure, err := newTLS(c)
	if err != nil {
		return nil, err
	}
	u.transport = u.newTransport(guard.Guard{Allow: narrow, Blocked: blocked}, secure, c)
	return u, nil
}

// readURL takes the configured URL apart: scheme, host, port and a base path; nothing else belongs there.
func (u *upstream) readURL(s string) error {
	parsed, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	switch {
	case parsed.Scheme != "http" && parsed.Scheme != "https", parsed.Hostname() == "":
		return fmt.Errorf("url %q: write http://host:port or https://host:port", s)
	case parsed.User != nil:
		return errors.New("url: leave user and password out; they belong in auth")
	case strings.ContainsAny(s, "?#"):
		return errors.New("url: leave query and fragment out; they come from the caller")
	}
	base := strings.TrimSuffix(parsed.EscapedPath(), "/")
	if httptarget.Climbs(base) {
		return fmt.Errorf("url %q: leave dot segments out of the path", s)
	}
	u.origin = httptarget.Origin{Scheme: parsed.Scheme, Host: parsed.Host, Path: base}
	u.addr = net.JoinHostPort(parsed.Hostname(), httptarget.Port(parsed.Host, parsed.Scheme))
	return nil
}

// newTransport never uses a proxy of the environment (it would dial in our place, past the guard) and never
// changes a content coding.
func (u *upstream) newTransport(g guard.Guard, secure *tls.Config, c config.Upstream) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(c.HTTP2 != "off")
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer(g, u.addr),
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxConnsPerHost:        cmp.Or(c.Connections, u.slots),
		MaxIdleConns:           u.slots,
		MaxIdleConnsPerHost:    u.slots,
		IdleConnTimeout:        idleConn,
		MaxResponseHeaderBytes: cmp.Or(int64(c.MaxHead), httpfields.MaxBytes),
		Protocols:              protocols,
	}
}

// mayBeHTTP2 says whether the next request may go by HTTP/2, which has no Connection field (RFC 9113 section 8.2.2). That
// is known only by what the server spoke last.
func (u *upstream) mayBeHTTP2() bool {
	return u.transport.Protocols.HTTP2() && u.origin.Scheme == "https" && u.protocol.Load() != 1
}

// newTLS verifies the server, always, and shows a client certificate where there is one.
func newTLS(c config.Upstream) (*tls.Config, error) {
	roots, err := readRoots(c.CAFile)
	if err != nil {
		return nil, err
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if c.CertFile == "" {
		return out, nil
	}
	chain, err := os.ReadFile(c.CertFile)
	if err != nil {
		return nil, fmt.Errorf("cert_file: %w", err)
	}
	key, err := identity.LoadSecret(c.KeyFile, 1)
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("cert_file %s with key_file: %w", c.CertFile, err)
	}
	out.Certificates = []tls.Certificate{pair}
	return out, nil
}

// readRoots reads the CA file; nil for the system's roots.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s: no certificate found; it must be PEM", file)
	}
	return pool, nil
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}
