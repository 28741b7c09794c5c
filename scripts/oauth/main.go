// Command oauth is a real OAuth 2 server and a server that wants its tokens, for the end-to-end test of hoft's egress credentials.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"
)

// server is both: what is under /oauth answers clients, what is under /api wants tokens.
type server struct {
	provider fosite.OAuth2Provider
	asked    atomic.Int64 // requests for tokens that were answered by the provider
	trouble  atomic.Int64 // status with which requests for tokens are answered; 0: by the provider
	last     atomic.Value // the last access token that the API saw
}

func main() {
	ready := flag.String("ready", "", "file that gets the address")
	key := flag.String("key", "", "file that gets the private key of the client jwt")
	life := flag.Duration("life", time.Hour, "life of access tokens")
	flag.Parse()
	if err := run(*ready, *key, *life); err != nil {
		log.Fatal(err)
	}
}

func run(ready, keyFile string, life time.Duration) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	s := &server{}
	if s.provider, err = newProvider("http://"+l.Addr().String()+"/oauth/token", key, life); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", s.token)
	mux.HandleFunc("POST /oauth/revoke", s.revoke)
	mux.HandleFunc("POST /control/{status}", s.control)
	mux.HandleFunc("GET /control/asked", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.asked.Load()) })
	mux.HandleFunc("GET /control/last", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.last.Load()) })
	mux.HandleFunc("/api/", s.api)
	if err := os.WriteFile(ready, []byte(l.Addr().String()), 0o644); err != nil {
		return err
	}
	return http.Serve(l, mux)
}

func newProvider(tokenURL string, key *ecdsa.PrivateKey, life time.Duration) (fosite.OAuth2Provider, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("client-secret-CANARY"), bcrypt.MinCost)
	if err != nil {
		return nil, err
	}
	cfg := &fosite.Config{AccessTokenLifespan: life, GlobalSecret: secret, TokenURL: tokenURL, RefreshTokenScopes: []string{"offline"}}
	store := storage.NewMemoryStore()
	store.Users["user"] = storage.MemoryUserRelation{Username: "user", Password: "password"}
	store.Clients["basic"] = &fosite.DefaultClient{ID: "basic", Secret: hash, GrantTypes: fosite.Arguments{"client_credentials", "password", "refresh_token"},
		Scopes: fosite.Arguments{"orders", "offline"}}
	store.Clients["jwt"] = &fosite.DefaultOpenIDConnectClient{
		DefaultClient:                     &fosite.DefaultClient{ID: "jwt", GrantTypes: fosite.Arguments{"client_credentials"}, Scopes: fosite.Arguments{"orders"}},
		JSONWebKeys:                       &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Use: "sig", Algorithm: "ES256"}}},
		TokenEndpointAuthMethod:           "private_key_jwt",
		TokenEndpointAuthSigningAlgorithm: "ES256",
	}
	return compose.Compose(cfg, store, &compose.CommonStrategy{CoreStrategy: compose.NewOAuth2HMACStrategy(cfg)},
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2ResourceOwnerPasswordCredentialsFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory), nil
}

// token answers by the rules, or as the control says.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	if status := s.trouble.Load(); status != 0 {
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "2")
		}
		http.Error(w, "not now", int(status))
		return
	}
	s.asked.Add(1)
	ctx := r.Context()
	req, err := s.provider.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
	if err != nil {
		log.Printf("refused: %v: %+v", err, fosite.ErrorToRFC6749Error(err).DebugField)
		s.provider.WriteAccessError(ctx, w, req, err)
		return
	}
	for _, scope := range req.GetRequestedScopes() {
		req.GrantScope(scope)
	}
	resp, err := s.provider.NewAccessResponse(ctx, req)
	if err != nil {
		s.provider.WriteAccessError(ctx, w, req, err)
		return
	}
	s.provider.WriteAccessResponse(ctx, w, req, resp)
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	s.provider.WriteRevocationResponse(r.Context(), w, s.provider.NewRevocationRequest(r.Context(), r))
}

// control sets the status with which requests for tokens are answered; 0 ends the trouble.
func (s *server) control(w http.ResponseWriter, r *http.Request) {
	var status int64
	if _, err := fmt.Sscan(r.PathValue("status"), &status); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.trouble.Store(status)
}

// api answers with the body that came, if a valid token did too.
func (s *server) api(w http.ResponseWriter, r *http.Request) {
	token := fosite.AccessTokenFromRequest(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if _, _, err := s.provider.IntrospectToken(context.WithoutCancel(r.Context()), token, fosite.AccessToken, &fosite.DefaultSession{}, "orders"); err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "no valid token", http.StatusUnauthorized)
		return
	}
	s.last.Store(token)
	fmt.Fprintf(w, "granted %s", body)
}
