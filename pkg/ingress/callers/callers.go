// Package callers finds out who calls: by client certificate, bearer token, or name and password.
package callers

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

// Least lengths in bytes: a token is made by a machine, a password may have to be typed.
const (
	leastToken    = 16
	leastPassword = 8
)

// Errors of Identify. Neither tells which callers there are.
var (
	// ErrNone says that the request shows no credentials.
	ErrNone = errors.New("the call shows no credentials")
	// ErrWrong says that the credentials belong to nobody.
	ErrWrong = errors.New("the credentials belong to no caller")
)

// Set is the callers of one ingress. Safe for concurrent use.
type Set struct {
	field   string
	callers []config.Caller
	table   atomic.Pointer[table]
	files   Watch
	log     zerolog.Logger
}

// table is what the callers' secrets were when their files were last read.
type table struct {
	tokens    []entry
	passwords []entry
	certs     map[string]string // name in a certificate, or its fingerprint, to caller
}

// entry is a caller and the digest of its secret: digests have one length, so comparing tells nothing of it.
type entry struct {
	name string
	sum  [sha256.Size]byte
}

// New reads the callers' secrets. Without callers in the configuration everybody is anonymous.
func New(cfg config.Ingress, log zerolog.Logger) (*Set, error) {
	s := &Set{field: textproto.CanonicalMIMEHeaderKey(cfg.AuthField), callers: cfg.Callers, log: log}
	if s.field == "" {
		s.field = config.DefaultAuthField
	}
	for _, c := range cfg.Callers {
		s.files.Add(identity.SecretPath(c.TokenFile), identity.SecretPath(c.PasswordFile))
	}
	t, err := s.read()
	if err != nil {
		return nil, err
	}
	s.table.Store(t)
	return s, nil
}

func (s *Set) read() (*table, error) {
	t := &table{certs: map[string]string{}}
	for _, c := range s.callers {
		if c.TokenFile != "" {
			if err := t.add(&t.tokens, c.Name, c.TokenFile, leastToken); err != nil {
				return nil, fmt.Errorf("callers: %s: token_file: %w", c.Name, err)
			}
		}
		if c.PasswordFile != "" {
			if err := t.add(&t.passwords, c.Name, c.PasswordFile, leastPassword); err != nil {
				return nil, fmt.Errorf("callers: %s: password_file: %w", c.Name, err)
			}
		}
		for _, name := range c.Certificates {
			if strings.HasPrefix(name, fingerprint) {
				name = strings.ToLower(name)
			}
			if other, taken := t.certs[name]; taken && other != c.Name {
				return nil, fmt.Errorf("callers: %s and %s are both known by the certificate name %q; a name must belong to one", other, c.Name, name)
			}
			t.certs[name] = c.Name
		}
	}
	return t, nil
}

func (t *table) add(to *[]entry, name, source string, least int) error {
	secret, err := identity.LoadSecret(source, least)
	if err != nil {
		return err
	}
	e := entry{name, sha256.Sum256(secret.Reveal())}
	for _, other := range t.tokens {
		if to == &t.tokens && other.sum == e.sum {
			return fmt.Errorf("it is the token of caller %s too; give each its own", other.name)
		}
	}
	*to = append(*to, e)
	return nil
}

// Known says whether callers have to show who they are.
func (s *Set) Known() bool { return len(s.callers) > 0 }

// Field is the field that carries credentials; it never crosses.
func (s *Set) Field() string { return s.field }

// Identify gives the name of the caller, "" where nobody is asked. Credentials in the field decide; a
// certificate counts where there are none. Everything is compared in constant time.
func (s *Set) Identify(r *http.Request) (string, error) {
	if !s.Known() {
		return "", nil
	}
	t := s.fresh()
	switch values := r.Header[s.field]; {
	case len(values) > 1:
		return "", ErrWrong // two readers could see two callers
	case len(values) == 1:
		return t.byField(values[0])
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return t.byCertificate(r.TLS.VerifiedChains[0][0])
	}
	return "", ErrNone
}

// fresh is the table, read again if a file changed. What cannot be read leaves the old one in force.
func (s *Set) fresh() *table {
	s.files.Changed(func() {
		t, err := s.read()
		if err != nil {
			s.log.Error().Err(err).Msg("callers' secrets could not be read again; the old ones stay in force")
			return
		}
		s.table.Store(t)
		s.log.Info().Msg("callers' secrets were read again")
	})
	return s.table.Load()
}

// byField reads "Bearer TOKEN" (RFC 6750 section 2.1) or "Basic …" (RFC 7617).
func (t *table) byField(value string) (string, error) {
	scheme, rest, _ := strings.Cut(textproto.TrimString(value), " ")
	rest = textproto.TrimString(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return match(t.tokens, "", rest)
	case strings.EqualFold(scheme, "Basic"):
		plain, err := base64.StdEncoding.DecodeString(rest)
		user, password, ok := strings.Cut(string(plain), ":")
		if err != nil || !ok || user == "" {
			return "", ErrWrong
		}
		return match(t.passwords, user, password)
	}
	return "", ErrWrong
}

// match compares with every entry, so that its time tells nothing; user "" is any.
func match(entries []entry, user, secret string) (string, error) {
	sum, found := sha256.Sum256([]byte(secret)), ""
	for _, e := range entries {
		same := subtle.ConstantTimeCompare(sum[:], e.sum[:])
		if user != "" {
			same &= subtle.ConstantTimeCompare([]byte(user), []byte(e.name))
		}
		if same == 1 {
			found = e.name
		}
	}
	if found == "" {
		return "", ErrWrong
	}
	return found, nil
}

const fingerprint = "sha256:"

// byCertificate looks for the fingerprint, then for each name in the certificate. Names of two callers in one
// certificate name nobody.
func (t *table) byCertificate(c *x509.Certificate) (string, error) {
	sum := sha256.Sum256(c.Raw)
	if name := t.certs[fingerprint+hex.EncodeToString(sum[:])]; name != "" {
		return name, nil
	}
	names := slices.Concat(c.DNSNames, c.EmailAddresses, []string{c.Subject.CommonName})
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	found := ""
	for _, n := range names {
		name := t.certs[n]
		if name == "" || n == "" || name == found {
			continue
		}
		if found != "" {
			return "", ErrWrong
		}
		found = name
	}
	if found == "" {
		return "", ErrWrong
	}
	return found, nil
}
