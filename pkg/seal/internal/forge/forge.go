// Package forge writes tokens by hand, right ones and wrong ones, with the standard library alone: a
// second implementation of the line format to test the first one against.
package forge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/hoft/hoft/pkg/identity"
)

// B64 is base64url without padding (RFC 4648 section 5).
func B64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Typ is the typ of both headers.
const Typ = "hoft-frame+jwt"

// Site is a site with all its keys.
type Site struct {
	ID     identity.ID
	SigKid string
	Sig    ed25519.PrivateKey
	EncKid string
	Enc    *ecdh.PrivateKey
}

// NewSite makes a site with fresh keys; n becomes part of its id.
func NewSite(n byte) *Site {
	_, sig, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	enc, err := ecdh.P256().GenerateKey(rand.Reader)
	must(err)
	s := &Site{Sig: sig, Enc: enc}
	s.ID = identity.ID{0x01, 0x99, 0xd1, 0xc2, 0x6f, 0x0e, 0x7c, 0x41, 0x9b, 0x0a, 0x5d, 0x1f, 0x0c, 0x8e, 0x2a, n}
	s.SigKid, s.EncKid = OKPThumbprint(sig.Public().(ed25519.PublicKey)), ECThumbprint(enc.PublicKey())
	return s
}

// ECThumbprint is the RFC 7638 thumbprint of a P-256 key.
func ECThumbprint(pub *ecdh.PublicKey) string {
	x, y := coordinates(pub)
	return hash64(fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, x, y))
}

// OKPThumbprint is the RFC 7638 thumbprint of an Ed25519 key (RFC 8037 section 2).
func OKPThumbprint(pub ed25519.PublicKey) string {
	return hash64(fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, B64(pub)))
}

func hash64(s string) string {
	h := sha256.Sum256([]byte(s))
	return B64(h[:])
}

func coordinates(pub *ecdh.PublicKey) (x, y string) {
	b := pub.Bytes() // 4, x, y (SEC 1 section 2.3.3)
	return B64(b[1:33]), B64(b[33:65])
}

// EPK is the JSON of an ephemeral key.
func EPK(pub *ecdh.PublicKey) string {
	x, y := coordinates(pub)
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, x, y)
}

// Outer is the right outer header for public keys.
func Outer(kid, epk string) string {
	return fmt.Sprintf(`{"alg":"ECDH-ES","cty":"JWT","enc":"A256GCM","epk":%s,"kid":"%s","typ":"%s"}`, epk, kid, Typ)
}

// OuterPSK is the right outer header for a pre-shared secret.
func OuterPSK(kid string) string {
	return fmt.Sprintf(`{"alg":"A256KW","cty":"JWT","enc":"A256GCM","kid":"%s","typ":"%s"}`, kid, Typ)
}

// Inner is the right inner header; alg is EdDSA or HS256.
func Inner(alg, kid string) string {
	return fmt.Sprintf(`{"alg":"%s","kid":"%s","typ":"%s"}`, alg, kid, Typ)
}

// Signed is the right header of a line in signed mode; alg is EdDSA or HS256.
func Signed(alg, kid string) string {
	return fmt.Sprintf(`{"alg":"%s","kid":"%s","typ":"hoft-signed+jwt"}`, alg, kid)
}

// JWS signs payload under any header.
func JWS(key ed25519.PrivateKey, header string, payload []byte) []byte {
	in := B64([]byte(header)) + "." + B64(payload)
	return []byte(in + "." + B64(ed25519.Sign(key, []byte(in))))
}

// HS256 is JWS with a symmetric key.
func HS256(key []byte, header string, payload []byte) []byte {
	in := B64([]byte(header)) + "." + B64(payload)
	m := hmac.New(sha256.New, key)
	m.Write([]byte(in))
	return []byte(in + "." + B64(m.Sum(nil)))
}

// JWE encrypts plain to a key with ECDH-ES (RFC 7518 section 4.6); header makes the header text from
// the ephemeral key's JSON.
func JWE(to *ecdh.PublicKey, header func(epk string) string, plain []byte) []byte {
	e, err := ecdh.P256().GenerateKey(rand.Reader)
	must(err)
	z, err := e.ECDH(to)
	must(err)
	return compact(header(EPK(e.PublicKey())), nil, concatKDF(z, "A256GCM"), plain)
}

// JWEKW encrypts plain with a fresh key wrapped by kek (RFC 7518 section 4.4).
func JWEKW(kek []byte, header string, plain []byte) []byte {
	cek := make([]byte, 32)
	rand.Read(cek)
	return compact(header, wrap(kek, cek), cek, plain)
}

func compact(header string, key, cek, plain []byte) []byte {
	block, err := aes.NewCipher(cek)
	must(err)
	gcm, err := cipher.NewGCM(block)
	must(err)
	iv := make([]byte, 12)
	rand.Read(iv)
	protected := B64([]byte(header))
	ct := gcm.Seal(nil, iv, plain, []byte(protected))
	n := len(ct) - 16
	return []byte(protected + "." + B64(key) + "." + B64(iv) + "." + B64(ct[:n]) + "." + B64(ct[n:]))
}

// concatKDF derives 32 bytes (RFC 7518 section 4.6.2) with empty apu and apv: one round of SHA-256.
func concatKDF(z []byte, alg string) []byte {
	b := binary.BigEndian.AppendUint32(nil, 1)
	b = append(b, z...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(alg)))
	b = append(b, alg...)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, 256)
	h := sha256.Sum256(b)
	return h[:]
}

// wrap is AES key wrap (RFC 3394 section 2.2.1).
func wrap(kek, key []byte) []byte {
	block, err := aes.NewCipher(kek)
	must(err)
	n := len(key) / 8
	out := make([]byte, 8*(n+1))
	copy(out, "\xa6\xa6\xa6\xa6\xa6\xa6\xa6\xa6")
	copy(out[8:], key)
	var b [16]byte
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(b[:8], out[:8])
			copy(b[8:], out[8*i:])
			block.Encrypt(b[:], b[:])
			t := uint64(n*j + i)
			binary.BigEndian.PutUint64(out[:8], binary.BigEndian.Uint64(b[:8])^t)
			copy(out[8*i:], b[8:])
		}
	}
	return out
}

// PSK is what one direction uses of a pre-shared secret.
type PSK struct {
	Kid       string
	Sign, Enc []byte
}

// Derive makes them.
func Derive(psk []byte, iss, aud identity.ID) PSK {
	k := func(label string) []byte {
		b, err := hkdf.Key(sha256.New, psk, nil, "hoft/v1 psk "+label+" "+iss.String()+">"+aud.String(), 32)
		must(err)
		return b
	}
	return PSK{Kid: B64(k("kid")), Sign: k("sign"), Enc: k("encrypt")}
}

// Line is a right line: claims signed by from, sealed to to.
func Line(from, to *Site, claims []byte) []byte {
	return Seal(to, JWS(from.Sig, Inner("EdDSA", from.SigKid), claims))
}

// Seal encrypts an inner token with the right outer header.
func Seal(to *Site, inner []byte) []byte {
	return JWE(to.Enc.PublicKey(), func(epk string) string { return Outer(to.EncKid, epk) }, inner)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
