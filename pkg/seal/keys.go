package seal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/hoft/hoft/pkg/identity"
)

// thumbprint gives the RFC 7638 SHA-256 thumbprint of a public key, in base64url.
func thumbprint(pub crypto.PublicKey) (string, error) {
	t, err := (&jose.JSONWebKey{Key: pub}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", errors.New("not a key that has a thumbprint")
	}
	return base64.RawURLEncoding.EncodeToString(t), nil
}

// checkEnc tests that pub is a valid P-256 key and kid its thumbprint. It returns "" or what is wrong.
func checkEnc(kid string, pub *ecdsa.PublicKey) string {
	if pub == nil || pub.Curve != elliptic.P256() {
		return "encryption key is not on P-256"
	}
	if _, err := pub.ECDH(); err != nil { // refuses points that are not on the curve
		return "encryption key is not a point of P-256"
	}
	if t, err := thumbprint(pub); err != nil || t != kid {
		return "kid is not the thumbprint of the encryption key"
	}
	return ""
}

// checkSig tests that pub is an Ed25519 key and kid its thumbprint. It returns "" or what is wrong.
func checkSig(kid string, pub ed25519.PublicKey) string {
	if len(pub) != ed25519.PublicKeySize {
		return "signing key is not an Ed25519 key"
	}
	if t, err := thumbprint(pub); err != nil || t != kid {
		return "kid is not the thumbprint of the signing key"
	}
	return ""
}

// pskKeys is what one direction of a link with a pre-shared secret uses.
type pskKeys struct {
	kid       string
	sign, enc []byte
}

// derive makes the keys of the direction iss to aud: HKDF-SHA-256 (RFC 5869) of the secret without salt,
// with info = label + iss + ">" + aud. The direction in the label stops a site's own lines from being
// reflected to it. The kid, which stands in both headers and in the claim rkt, is derived in the same
// way from a label of its own: it looks like a thumbprint, is the same for every line of the
// direction, and tells nothing of the secret or of the two keys.
func derive(psk []byte, iss, aud identity.ID) (pskKeys, error) {
	dir := iss.String() + ">" + aud.String()
	var out [3][]byte
	for i, label := range []string{"hoft/v1 psk sign ", "hoft/v1 psk encrypt ", "hoft/v1 psk kid "} {
		k, err := hkdf.Key(sha256.New, psk, nil, label+dir, 32)
		if err != nil {
			return pskKeys{}, err
		}
		out[i] = k
	}
	return pskKeys{kid: base64.RawURLEncoding.EncodeToString(out[2]), sign: out[0], enc: out[1]}, nil
}
