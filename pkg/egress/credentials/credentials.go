// Package credentials holds what upstreams want to be shown: OAuth 2 tokens, cookies, passwords, keys. None of it leaves this side.
package credentials

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// Vault keeps sealed credentials; *store.SQLite and *store.Mem have what is wanted of it.
type Vault interface {
	Credential(ctx context.Context, upstream, kind, owner string) (store.Credential, error)
	Commit(ctx context.Context, b *store.Batch) error
}

// Sealer seals what goes into the vault; *identity.Box is one.
type Sealer interface {
	Seal(plain []byte, purpose string) []byte
	Open(sealed []byte, purpose string) ([]byte, error)
}

// Options are what a Keeper needs besides its configuration.
type Options struct {
	Vault  Vault
	Sealer Sealer
	// Client calls token servers. It must not follow redirects.
	Client *http.Client
	Now    func() time.Time // nil: time.Now
	Log    zerolog.Logger
}

// Keeper shows one upstream what it wants to see. Safe for concurrent use. A nil Keeper shows nothing.
type Keeper struct {
	auth   string // Authorization without OAuth 2 or a secret: ""
	user   string
	secret *identity.Kept // of Basic or Bearer
	fields []field
	tokens *tokens
	jars   *jars
}

type field struct {
	name  string
	value *identity.Kept
}

// New reads the secrets of an upstream; nil where it has no auth.
func New(upstream string, c *config.Auth, o Options) (*Keeper, error) {
	if c == nil {
		return nil, nil
	}
	k := &Keeper{}
	var err error
	switch {
	case c.OAuth2 != nil:
		if k.tokens, err = newTokens(upstream, c.OAuth2, o); err != nil {
			return nil, fmt.Errorf("auth: oauth2: %w", err)
		}
	case c.Basic != nil:
		k.auth, k.user = "Basic", c.Basic.User
		if k.secret, err = identity.Keep(c.Basic.PasswordFile, 1); err != nil {
			return nil, fmt.Errorf("auth: basic: password_file: %w", err)
		}
	case c.BearerFile != "":
		k.auth = "Bearer"
		if k.secret, err = identity.Keep(c.BearerFile, 1); err != nil {
			return nil, fmt.Errorf("auth: bearer_file: %w", err)
		}
	}
	for _, f := range c.Fields {
		value, err := identity.Keep(f.ValueFile, 1)
		if err != nil {
			return nil, fmt.Errorf("auth: fields: %s: value_file: %w", f.Name, err)
		}
		k.fields = append(k.fields, field{textproto.CanonicalMIMEHeaderKey(f.Name), value})
	}
	if c.Cookies {
		k.jars = newJars(upstream, o)
	}
	return k, nil
}

// Error says why there is nothing to show. Its text holds no secret and no address.
type Error struct {
	Reason string // for people and for status
	err    error  // the cause, for the log
}

func (e *Error) Error() string {
	if e.err != nil {
		return e.Reason + ": " + e.err.Error()
	}
	return e.Reason
}

func (e *Error) Unwrap() error { return e.err }

// Shown is what one request got.
type Shown struct {
	token string // of OAuth 2
}

var errValue = errors.New("a secret has characters that no header field may have")

// Show sets the fields of a request to u that owner makes, in place of what came with it.
func (k *Keeper) Show(ctx context.Context, h http.Header, u *url.URL, owner string) (Shown, error) {
	if k == nil {
		return Shown{}, nil
	}
	var shown Shown
	switch {
	case k.tokens != nil:
		t, err := k.tokens.get(ctx)
		if err != nil {
			return shown, err
		}
		shown.token = t.Access
		h["Authorization"] = []string{t.Type + " " + t.Access}
	case k.auth == "Basic":
		h["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(k.user+":"+string(k.secret.Secret().Reveal())))}
	case k.auth != "":
		h["Authorization"] = []string{k.auth + " " + string(k.secret.Secret().Reveal())}
	}
	for _, f := range k.fields {
		h[f.name] = []string{string(f.value.Secret().Reveal())}
	}
	if k.jars != nil {
		delete(h, "Cookie")
		if c := k.jars.cookies(ctx, owner, u); c != "" {
			h["Cookie"] = []string{c}
		}
	}
	for _, values := range h {
		for _, v := range values {
			for i := range len(v) {
				if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
					return shown, &Error{Reason: errValue.Error()}
				}
			}
		}
	}
	return shown, nil
}

// Refused says whether a request that was answered with 401 may be worth another try: what it showed is thrown away.
func (k *Keeper) Refused(shown Shown) bool {
	return k != nil && k.tokens != nil && k.tokens.refused(shown.token)
}

// Keep takes the cookies out of an answer to owner and keeps them here.
func (k *Keeper) Keep(ctx context.Context, h http.Header, u *url.URL, owner string) {
	if k == nil || k.jars == nil {
		return
	}
	k.jars.keep(ctx, owner, u, h)
	delete(h, "Set-Cookie")
	delete(h, "Set-Cookie2")
}

// Failing says why there is no token, "" while all is well.
func (k *Keeper) Failing() string {
	if k == nil || k.tokens == nil {
		return ""
	}
	return k.tokens.failing()
}

// Close ends what is under way.
func (k *Keeper) Close() {
	if k != nil && k.tokens != nil {
		k.tokens.close()
	}
}
