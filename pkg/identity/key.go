package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Use says what a key is for; one key never serves both (RFC 7517 section 4.2).
type Use string

// The two uses.
const (
	UseSig Use = "sig" // Ed25519, JWS alg EdDSA
	UseEnc Use = "enc" // P-256, JWE alg ECDH-ES
)

// MaxKeysPerUse bounds the keys that one site may show for one use: the current one and those whose overlap runs.
const MaxKeysPerUse = 4

// SigKey is a public key that verifies a site's signatures.
type SigKey struct {
	KID string // RFC 7638 SHA-256 thumbprint, base64url
	Key ed25519.PublicKey
}

// EncKey is a public key to which lines for a site are encrypted.
type EncKey struct {
	KID string // RFC 7638 SHA-256 thumbprint, base64url
	Key *ecdsa.PublicKey
}

// KeyInfo describes a key without the key.
type KeyInfo struct {
	Use     Use
	KID     string
	Retired time.Time // when a newer key replaced it; zero: in use (never known for a peer's keys)
}

// coordLen is the length of every coordinate and private part of both curves, in bytes.
const coordLen = 32

// thumbprintEd25519 is the RFC 7638 thumbprint of an Ed25519 key (members after RFC 8037 section 2).
func thumbprintEd25519(pub ed25519.PublicKey) string {
	return thumbprint(`{"crv":"Ed25519","kty":"OKP","x":"` + b64(pub) + `"}`)
}

// thumbprintP256 is the RFC 7638 thumbprint of a P-256 point, given as its two 32-byte coordinates.
func thumbprintP256(x, y []byte) string {
	return thumbprint(`{"crv":"P-256","kty":"EC","x":"` + b64(x) + `","y":"` + b64(y) + `"}`)
}

// thumbprint hashes the canonical JSON of a key (RFC 7638 section 3: required members only, sorted, no space).
func thumbprint(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return b64(sum[:])
}

// coordinates splits a P-256 public key into x and y.
func coordinates(pub *ecdsa.PublicKey) (x, y []byte) {
	point, err := pub.Bytes()
	if err != nil {
		panic("identity: a P-256 key that was checked when it was made has no encoding: " + err.Error())
	}
	return point[1 : 1+coordLen], point[1+coordLen:]
}

// pointP256 makes a public key of its coordinates; a point off the curve is refused.
func pointP256(x, y []byte) (*ecdsa.PublicKey, error) {
	point := append([]byte{4}, x...) // SEC 1 section 2.3.3: 4 marks the uncompressed form
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(point, y...))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// unb64 reads exactly n bytes of canonical base64url: no padding, no line breaks (which Go's decoder skips), no spare bits.
func unb64(s string, n int) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != n || b64(b) != s {
		return nil, false
	}
	return b, true
}
