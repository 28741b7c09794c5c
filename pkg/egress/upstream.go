package egress

import (
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
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
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
	name     string
	origin   httptarget.Origin // how this side sees it; Path is put in front of every target
	addr     string            // host:port that is dialled
	peers    map[string]bool
	methods  map[string]bool     // nil: every method
	paths    httptarget.Patterns // nil: every path
	preserve bool
	rewrite  bool
	timeout  time.Duration
	max      int64 // bytes of a response body; 0: no limit
	slots    int

	transport *http.Transport
}

func newUpstream(c config.Upstream, blocked []netip.AddrPort) (*upstream, error) {
	u := &upstream{name: c.Name, peers: set(c.Peers), preserve: c.PreserveHost, rewrite: !c.PreserveHost,
		timeout: c.Timeout, max: int64(c.MaxResponse), slots: c.Concurrency}
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
	roots, err := readRoots(c.CAFile)
	if err != nil {
		return nil, err
	}
	u.transport = u.newTransport(guard{allow: narrow, blocked: blocked}, roots)
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

// newTransport never uses a proxy of the environment (it would dial in our place, past the guard), never
// changes a content coding and speaks HTTP/1.1, whose targets can be sent byte for byte.
func (u *upstream) newTransport(g guard, roots *x509.CertPool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            g.dialer(u.addr),
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           u.slots,
		MaxIdleConnsPerHost:    u.slots,
		IdleConnTimeout:        idleConn,
		MaxResponseHeaderBytes: httpfields.MaxBytes,
		Protocols:              protocols,
	}
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
