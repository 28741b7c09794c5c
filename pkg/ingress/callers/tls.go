package callers

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

// TLS gives the configuration of a listener, nil where it speaks none. Certificate, key and authorities are read
// again when their files change; connections that are open keep what they began with.
func TLS(cfg config.IngressTLS, log zerolog.Logger) (*tls.Config, error) {
	if cfg.CertFile == "" {
		return nil, nil
	}
	first, err := readTLS(cfg)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	var now atomic.Pointer[tls.Config]
	now.Store(first)
	files := &Watch{}
	files.Add(cfg.CertFile, identity.SecretPath(cfg.KeyFile), cfg.ClientCAFile)
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			files.Changed(func() {
				next, err := readTLS(cfg)
				if err != nil {
					log.Error().Err(err).Msg("the listener's certificate could not be read again; the old one stays in force")
					return
				}
				now.Store(next)
				log.Info().Msg("the listener's certificate was read again")
			})
			return now.Load(), nil
		},
	}, nil
}

// readTLS reads one state of the files. A client without a certificate is let in: a route, or the need for
// credentials, decides about it; one with a certificate of no listed authority is not.
func readTLS(cfg config.IngressTLS) (*tls.Config, error) {
	chain, err := os.ReadFile(cfg.CertFile)
	if err != nil {
		return nil, fmt.Errorf("cert_file: %w", err)
	}
	key, err := identity.LoadSecret(cfg.KeyFile, 1)
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("cert_file %s with key_file: %w", cfg.CertFile, err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if cfg.ClientCAFile != "" {
		pem, err := os.ReadFile(cfg.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("client_ca_file: %w", err)
		}
		out.ClientCAs = x509.NewCertPool()
		if !out.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("client_ca_file %s: no certificate found; it must be PEM", cfg.ClientCAFile)
		}
		out.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return out, nil
}
