package credentials

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

// assertionLife is how long a client's assertion counts.
const assertionLife = time.Minute

// asserter shows a client by a JWT that its private key signed (RFC 7523 section 2.2, OpenID Connect Core section 9).
type asserter struct {
	client, audience string
	signer           jose.Signer
}

var errKey = errors.New("it holds no private key: write a JWK, or PEM of PKCS #8, PKCS #1 or SEC 1 without a passphrase")

func newAsserter(c *config.OAuth2, secret identity.Secret) (*asserter, error) {
	key, kid, err := readKey(secret.Reveal())
	if err != nil {
		return nil, err
	}
	if c.KeyID != "" {
		kid = c.KeyID
	}
	alg, err := algorithm(key)
	if err != nil {
		return nil, err
	}
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		return nil, fmt.Errorf("use the key: %w", err)
	}
	return &asserter{client: c.ClientID, audience: c.TokenURL, signer: signer}, nil
}

// readKey gives the private key in a JWK or a PEM file, and its kid.
func readKey(text []byte) (key crypto.Signer, kid string, err error) {
	if block, _ := pem.Decode(text); block != nil {
		for _, parse := range []func([]byte) (any, error){
			x509.ParsePKCS8PrivateKey,
			func(b []byte) (any, error) { return x509.ParsePKCS1PrivateKey(b) },
			func(b []byte) (any, error) { return x509.ParseECPrivateKey(b) },
		} {
			if k, err := parse(block.Bytes); err == nil {
				if signer, ok := k.(crypto.Signer); ok {
					return signer, "", nil
				}
			}
		}
		return nil, "", errKey
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(bytes.TrimSpace(text)); err != nil || jwk.IsPublic() {
		return nil, "", errKey
	}
	signer, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return nil, "", errKey
	}
	return signer, jwk.KeyID, nil
}

func algorithm(key crypto.Signer) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256, nil
	case ed25519.PrivateKey:
		return jose.EdDSA, nil
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		case elliptic.P521():
			return jose.ES512, nil
		}
	}
	return "", fmt.Errorf("keys of type %T cannot be used; use RSA, P-256, P-384, P-521 or Ed25519", key)
}

// sign makes an assertion that counts once and soon ends.
func (a *asserter) sign(now time.Time) (string, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	claims, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}{a.client, a.client, a.audience, base64.RawURLEncoding.EncodeToString(id[:]), now.Unix(), now.Add(assertionLife).Unix()})
	if err != nil {
		return "", err
	}
	signed, err := a.signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
