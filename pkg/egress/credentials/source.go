package credentials

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

// source asks one token server (RFC 6749 sections 4.4 and 6, RFC 7523 section 2.2).
type source struct {
	c      config.OAuth2
	client *http.Client
	secret *identity.Kept // nil: none
	first  *identity.Kept // the refresh token of the configuration; nil: client credentials
	key    *identity.Kept // for private_key_jwt; nil: another way
}

func newSource(c *config.OAuth2, client *http.Client) (*source, error) {
	s := &source{c: *c, client: client}
	var err error
	if c.ClientSecretFile != "" {
		if s.secret, err = identity.Keep(c.ClientSecretFile, 1); err != nil {
			return nil, fmt.Errorf("client_secret_file: %w", err)
		}
	}
	if c.RefreshTokenFile != "" {
		if s.first, err = identity.Keep(c.RefreshTokenFile, 1); err != nil {
			return nil, fmt.Errorf("refresh_token_file: %w", err)
		}
	}
	if c.ClientAuth == "private_key_jwt" {
		if s.key, err = identity.Keep(c.KeyFile, 1); err == nil {
			_, err = newAsserter(c, s.key.Secret())
		}
		if err != nil {
			return nil, fmt.Errorf("key_file: %w", err)
		}
	}
	return s, nil
}

// digest changes when tokens that were got before must not be used any more.
func (s *source) digest() string {
	parts := []string{s.c.TokenURL, s.c.ClientID, strings.Join(s.c.Scopes, " "), s.c.Audience}
	if s.first != nil {
		parts = append(parts, string(s.first.Secret().Reveal()))
	}
	return digest(parts...)
}

// files changes when a file that the configuration names has changed.
func (s *source) files() string {
	var parts []string
	for _, k := range []*identity.Kept{s.secret, s.first, s.key} {
		if k != nil {
			parts = append(parts, string(k.Secret().Reveal()))
		}
	}
	return digest(parts...)
}

// fetch asks for a token; refresh is the newest refresh token, "" for the configured one.
func (s *source) fetch(ctx context.Context, refresh string) (*token, error) {
	conf := clientcredentials.Config{ClientID: s.c.ClientID, TokenURL: s.c.TokenURL, Scopes: s.c.Scopes, EndpointParams: url.Values{}}
	if s.secret != nil {
		conf.ClientSecret = string(s.secret.Secret().Reveal())
	}
	conf.AuthStyle = oauth2.AuthStyleInHeader
	if a := s.c.ClientAuth; a == "post" || a == "none" || s.key != nil {
		conf.AuthStyle = oauth2.AuthStyleInParams
	}
	if s.c.Audience != "" {
		conf.EndpointParams.Set("audience", s.c.Audience)
	}
	if s.first != nil {
		if refresh == "" {
			refresh = string(s.first.Secret().Reveal())
		}
		conf.EndpointParams["grant_type"] = []string{"refresh_token"}
		conf.EndpointParams["refresh_token"] = []string{refresh}
	}
	if s.key != nil {
		asserts, err := newAsserter(&s.c, s.key.Secret())
		var jwt string
		if err == nil {
			jwt, err = asserts.sign(time.Now())
		}
		if err != nil {
			return nil, &Error{Reason: "the client's assertion cannot be signed", err: err}
		}
		conf.EndpointParams["client_assertion_type"] = []string{"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
		conf.EndpointParams["client_assertion"] = []string{jwt}
	}
	got, err := conf.Token(context.WithValue(ctx, oauth2.HTTPClient, s.client))
	if err != nil {
		return nil, explain(err)
	}
	// A server may call the type "bearer"; the scheme is Bearer (RFC 6750 section 2.1).
	out := &token{Access: got.AccessToken, Type: got.Type()}
	if !got.Expiry.IsZero() {
		out.life = max(time.Until(got.Expiry), time.Millisecond)
	}
	if s.first != nil {
		out.Refresh = got.RefreshToken
	}
	return out, nil
}

// explain says what went wrong in words without secrets: an answer of a token server may hold some.
func explain(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		reason := fmt.Sprintf("the token server answered with %d", refused.Response.StatusCode)
		if refused.ErrorCode != "" {
			reason += fmt.Sprintf(" and %.40q", refused.ErrorCode)
		}
		if refused.ErrorCode == "invalid_grant" {
			reason += "; the refresh token is not valid any more: put a new one into refresh_token_file"
		}
		return &Error{Reason: reason, err: &askedError{retryAfter(refused.Response.Header)}}
	}
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err // without the address
	}
	if strings.HasPrefix(err.Error(), "oauth2: cannot parse") || strings.Contains(err.Error(), "missing access_token") {
		return &Error{Reason: "the token server's answer holds no token"}
	}
	return &Error{Reason: "the token server cannot be reached", err: err}
}

// askedError is how long the token server asked to be left alone.
type askedError struct{ pause time.Duration }

func (e *askedError) Error() string { return "again in " + e.pause.String() }

func (s *source) asked(err error) time.Duration {
	var a *askedError
	if errors.As(err, &a) {
		return a.pause
	}
	return 0
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3).
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
