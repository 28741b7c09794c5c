package callers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

const (
	token    = "tok-0123456789abcdef"
	password = "pass word:with colon"
)

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func request(field, value string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	if value != "" {
		r.Header.Set(field, value)
	}
	return r
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestIdentify(t *testing.T) {
	t.Setenv("CALLER_TOKEN", "tok-of-the-environment")
	leaf := &x509.Certificate{Raw: []byte("der"), Subject: pkix.Name{CommonName: "common"}, DNSNames: []string{"client.example"},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "d", Path: "/w"}}}
	sum := sha256.Sum256([]byte("printed"))
	s, err := New(config.Ingress{Callers: []config.Caller{
		{Name: "billing", TokenFile: secretFile(t, token+"\n")},
		{Name: "desk", PasswordFile: secretFile(t, password+"\r\n")},
		{Name: "env", TokenFile: "env:CALLER_TOKEN"},
		{Name: "dns", Certificates: []string{"client.example"}},
		{Name: "uri", Certificates: []string{"spiffe://e/w"}},
		{Name: "print", Certificates: []string{"sha256:" + strings.ToUpper(hex.EncodeToString(sum[:]))}},
	}}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	with := func(c *x509.Certificate, value string) *http.Request {
		r := request("Proxy-Authorization", value)
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{c}}}
		return r
	}
	twice := request("Proxy-Authorization", "Bearer "+token)
	twice.Header.Add("Proxy-Authorization", "Bearer "+token)
	unverified := request("", "")
	unverified.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	for name, c := range map[string]struct {
		r    *http.Request
		want string
		err  error
	}{
		"none":                  {request("", ""), "", ErrNone},
		"bearer":                {request("Proxy-Authorization", "Bearer "+token), "billing", nil},
		"scheme in any case":    {request("Proxy-Authorization", "bEARER  "+token+" "), "billing", nil},
		"of the environment":    {request("Proxy-Authorization", "Bearer tok-of-the-environment"), "env", nil},
		"wrong token":           {request("Proxy-Authorization", "Bearer "+token+"x"), "", ErrWrong},
		"beginning of a token":  {request("Proxy-Authorization", "Bearer "+token[:10]), "", ErrWrong},
		"empty token":           {request("Proxy-Authorization", "Bearer "), "", ErrWrong},
		"password as token":     {request("Proxy-Authorization", "Bearer "+password), "", ErrWrong},
		"basic":                 {request("Proxy-Authorization", basic("desk", password)), "desk", nil},
		"another's password":    {request("Proxy-Authorization", basic("billing", password)), "", ErrWrong},
		"token as password":     {request("Proxy-Authorization", basic("billing", token)), "", ErrWrong},
		"no user":               {request("Proxy-Authorization", basic("", password)), "", ErrWrong},
		"no base64":             {request("Proxy-Authorization", "Basic !"), "", ErrWrong},
		"no colon":              {request("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("desk"))), "", ErrWrong},
		"unknown scheme":        {request("Proxy-Authorization", "Digest x"), "", ErrWrong},
		"the callee's field":    {request("Authorization", "Bearer "+token), "", ErrNone},
		"twice":                 {twice, "", ErrWrong},
		"certificate, DNS name": {with(leaf, ""), "dns", nil},
		"certificate, print":    {with(&x509.Certificate{Raw: []byte("printed")}, ""), "print", nil},
		"certificate, unknown":  {with(&x509.Certificate{Raw: []byte("x"), Subject: pkix.Name{CommonName: "x"}}, ""), "", ErrWrong},
		"certificate, two names": {with(&x509.Certificate{Raw: []byte("x"), DNSNames: []string{"client.example"},
			URIs: []*url.URL{{Scheme: "spiffe", Host: "e", Path: "/w"}}}, ""), "", ErrWrong},
		"certificate, not verified": {unverified, "", ErrNone},
		"the field decides":         {with(leaf, "Bearer "+token), "billing", nil},
		"a wrong field is no help":  {with(leaf, "Bearer x"), "", ErrWrong},
	} {
		got, err := s.Identify(c.r)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, err, c.want, c.err)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error holds the token", name)
		}
	}
}

func TestNobodyIsAsked(t *testing.T) {
	s, err := New(config.Ingress{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if name, err := s.Identify(request("Proxy-Authorization", "Bearer x")); name != "" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
}

func TestRefusedSecrets(t *testing.T) {
	loose := secretFile(t, token)
	if err := os.Chmod(loose, 0o644); err != nil {
		t.Fatal(err)
	}
	same := config.Caller{Name: "b", TokenFile: secretFile(t, token)}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for name, c := range map[string]struct {
		callers []config.Caller
		text    string
	}{
		"missing":           {[]config.Caller{{Name: "a", TokenFile: "/nowhere/at/all"}}, "mode 0600"},
		"loose":             {[]config.Caller{{Name: "a", TokenFile: loose}}, "chmod 600"},
		"short token":       {[]config.Caller{{Name: "a", TokenFile: secretFile(t, "short")}}, "openssl"},
		"short password":    {[]config.Caller{{Name: "a", PasswordFile: secretFile(t, "short")}}, "fewer than 8"},
		"empty":             {[]config.Caller{{Name: "a", TokenFile: secretFile(t, "\n")}}, "empty"},
		"no variable":       {[]config.Caller{{Name: "a", TokenFile: "env:NOT_SET_AT_ALL"}}, "not set"},
		"no credentials":    {[]config.Caller{{Name: "a", TokenFile: "credential:x"}}, "LoadCredential"},
		"one token for two": {[]config.Caller{{Name: "a", TokenFile: secretFile(t, token)}, same}, "give each its own"},
		"one name for two":  {[]config.Caller{{Name: "a", Certificates: []string{"x"}}, {Name: "b", Certificates: []string{"x"}}}, "belong to one"},
	} {
		_, err := New(config.Ingress{Callers: c.callers}, zerolog.Nop())
		if err == nil || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSystemdCredential(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if err := os.WriteFile(filepath.Join(dir, "billing"), []byte(token), 0o440); err != nil {
		t.Fatal(err)
	}
	secret, err := identity.LoadSecret("credential:billing", 1)
	if err != nil || string(secret.Reveal()) != token {
		t.Errorf("%v", err)
	}
}

// change writes a file anew in a way that is seen however coarse the clock of the file system.
func change(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

func TestSecretsAreReadAgain(t *testing.T) {
	path := secretFile(t, token)
	log := &bytes.Buffer{}
	s, err := New(config.Ingress{Callers: []config.Caller{{Name: "a", TokenFile: path}}}, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	s.files.every = 1
	as := func(token string) string {
		name, _ := s.Identify(request("Proxy-Authorization", "Bearer "+token))
		return name
	}
	if as(token) != "a" {
		t.Fatal("the first token is refused")
	}
	change(t, path, []byte("another-token-of-16"))
	if as("another-token-of-16") != "a" || as(token) != "" {
		t.Error("the new token does not replace the old one")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if as("another-token-of-16") != "a" {
		t.Error("a file that is gone takes the callers with it")
	}
	if !strings.Contains(log.String(), "stay in force") || strings.Contains(log.String(), "another-token") {
		t.Errorf("log: %s", log)
	}
}

// pair makes a certificate for a name, signed by itself, and writes it and its key.
func pair(t *testing.T, dir, name string) (cert, key string, certPEM, keyPEM []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, text := range map[string][]byte{cert: certPEM, key: keyPEM} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, certPEM, keyPEM
}

func TestTLSFiles(t *testing.T) {
	cert, key, _, _ := pair(t, t.TempDir(), "one.example")
	c, err := readTLS(config.IngressTLS{CertFile: cert, KeyFile: key, ClientCAFile: cert})
	if err != nil || c.ClientAuth != tls.VerifyClientCertIfGiven || c.ClientCAs == nil {
		t.Fatalf("%v", err)
	}
	other, _, _, _ := pair(t, t.TempDir(), "two.example")
	for name, f := range map[string]config.IngressTLS{
		"no certificate":  {CertFile: "/nowhere", KeyFile: key},
		"no key":          {CertFile: cert, KeyFile: "/nowhere"},
		"another's key":   {CertFile: other, KeyFile: key},
		"no authorities":  {CertFile: cert, KeyFile: key, ClientCAFile: "/nowhere"},
		"a key as a CA":   {CertFile: cert, KeyFile: key, ClientCAFile: key},
		"key of anything": {CertFile: cert, KeyFile: cert},
	} {
		if _, err := TLS(f, zerolog.Nop()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if c, err := TLS(config.IngressTLS{}, zerolog.Nop()); c != nil || err != nil {
		t.Errorf("without files: %v, %v", c, err)
	}
	if _, err := TLS(config.IngressTLS{CertFile: "/nowhere", KeyFile: key}, zerolog.Nop()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
