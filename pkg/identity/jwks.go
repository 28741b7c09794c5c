package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxFile bounds a key file, in bytes; eight keys take about 3 KiB.
const maxFile = 64 << 10

// formatVersion is the member "hoft" of every key file.
const formatVersion = 1

// keySet is a key file as it lies on disk: a JWK set (RFC 7517 section 5) with three members of our own.
type keySet struct {
	Hoft int    `json:"hoft"`
	ID   string `json:"id"`
	Name string `json:"name"`
	Keys []jwk  `json:"keys"`
}

// jwk is one key (RFC 7517 section 4; RFC 7518 section 6.2 for EC, RFC 8037 section 2 for OKP).
type jwk struct {
	Kty     string  `json:"kty"`
	Crv     string  `json:"crv"`
	Use     string  `json:"use"`
	Alg     string  `json:"alg"`
	KID     string  `json:"kid"`
	Retired *int64  `json:"retired"` // own member, identity files only: Unix seconds
	X       string  `json:"x"`
	Y       *string `json:"y"`
	D       *string `json:"d"`
}

// kind is one of the two rows of the suite: which type, curve and algorithm a use goes with.
type kind struct {
	use           Use
	kty, crv, alg string
}

var (
	kindSig = kind{use: UseSig, kty: "OKP", crv: "Ed25519", alg: "EdDSA"}
	kindEnc = kind{use: UseEnc, kty: "EC", crv: "P-256", alg: "ECDH-ES"}
)

// parser reads one key file; it carries the file's name and the mend for errors.
type parser struct {
	file string
	mend string // what helps against any fault of the content
}

// fail makes the typed error for this file.
func (p parser) fail(reason error, format string, args ...any) error {
	return &FileError{File: p.file, Err: reason, Detail: fmt.Sprintf(format, args...), Mend: p.mend}
}

// set decodes strictly (duplicate and unknown members, wrong case, bad UTF-8 and trailing data are refused) and checks
// all that does not depend on a single key.
func (p parser) set(data []byte) (keySet, ID, error) {
	var s keySet
	if len(data) > maxFile {
		return s, ID{}, p.fail(ErrFormat, "longer than %d bytes", maxFile)
	}
	if err := json.Unmarshal(data, &s, json.RejectUnknownMembers(true)); err != nil {
		return s, ID{}, p.fail(ErrFormat, "%s", describe(data, err))
	}
	if s.Hoft != formatVersion {
		return s, ID{}, p.fail(ErrVersion, "member hoft is %d, this version reads %d", s.Hoft, formatVersion)
	}
	id, err := ParseID(s.ID)
	if err != nil || id.IsZero() {
		return s, ID{}, p.fail(ErrID, "member id is %q", clip(s.ID))
	}
	if err := CheckName(s.Name); err != nil {
		return s, ID{}, p.fail(ErrName, "member name: %v", err)
	}
	return s, id, nil
}

// describe says where and why decoding failed. The library's own text may quote values, and a value may be a private key.
func describe(data []byte, err error) string {
	what, offset := "not valid JSON", int64(-1)
	var sem *json.SemanticError
	var syn *jsontext.SyntacticError
	switch {
	case errors.As(err, &sem):
		what, offset = "a member of the wrong type", sem.ByteOffset
	case errors.As(err, &syn):
		offset = syn.ByteOffset
	}
	switch {
	case errors.Is(err, json.ErrUnknownName):
		what = "an unknown member"
	case errors.Is(err, jsontext.ErrDuplicateName):
		what = "a member that occurs twice"
	}
	if offset < 0 || offset > int64(len(data)) {
		return what
	}
	return fmt.Sprintf("%s in line %d", what, 1+bytes.Count(data[:offset], []byte("\n")))
}

// clip shortens foreign text for an error.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// kindOf checks type, curve, use and algorithm of key number i (from 1): only the two rows of the suite, unmixed.
func (p parser) kindOf(i int, k jwk) (kind, error) {
	var is kind
	switch {
	case k.Kty == kindSig.kty && k.Crv == kindSig.crv:
		is = kindSig
	case k.Kty == kindEnc.kty && k.Crv == kindEnc.crv:
		is = kindEnc
	default:
		return kind{}, p.fail(ErrKeyType, "key %d is kty %q, crv %q; hoft knows OKP/Ed25519 and EC/P-256", i, clip(k.Kty), clip(k.Crv))
	}
	if k.Use != string(is.use) {
		return kind{}, p.fail(ErrUse, "key %d is %s with use %q; it must be %q", i, is.crv, clip(k.Use), is.use)
	}
	if k.Alg != is.alg {
		return kind{}, p.fail(ErrUse, "key %d is %s with alg %q; it must be %q", i, is.crv, clip(k.Alg), is.alg)
	}
	return is, nil
}

// sigKey reads the public half of an Ed25519 key.
func (p parser) sigKey(i int, k jwk) (SigKey, error) {
	x, ok := unb64(k.X, ed25519.PublicKeySize)
	if !ok || k.Y != nil {
		return SigKey{}, p.fail(ErrKeyValue, "key %d has no single coordinate x of 32 bytes in base64url", i)
	}
	kid := thumbprintEd25519(x)
	if k.KID != kid {
		return SigKey{}, p.fail(ErrKeyID, "key %d says kid %q, its thumbprint is %q", i, clip(k.KID), kid)
	}
	return SigKey{KID: kid, Key: x}, nil
}

// encKey reads the public half of a P-256 key.
func (p parser) encKey(i int, k jwk) (EncKey, error) {
	if k.Y == nil {
		return EncKey{}, p.fail(ErrKeyValue, "key %d has no coordinate y", i)
	}
	x, okX := unb64(k.X, coordLen)
	y, okY := unb64(*k.Y, coordLen)
	if !okX || !okY {
		return EncKey{}, p.fail(ErrKeyValue, "key %d has no coordinates x and y of 32 bytes in base64url", i)
	}
	pub, err := pointP256(x, y)
	if err != nil {
		return EncKey{}, p.fail(ErrKeyValue, "key %d is no point of the curve P-256", i)
	}
	kid := thumbprintP256(x, y)
	if k.KID != kid {
		return EncKey{}, p.fail(ErrKeyID, "key %d says kid %q, its thumbprint is %q", i, clip(k.KID), kid)
	}
	return EncKey{KID: kid, Key: pub}, nil
}

// privatePart reads member d.
func (p parser) privatePart(i int, k jwk) ([]byte, error) {
	if k.D == nil {
		return nil, p.fail(ErrNotPrivate, "key %d has no member d; is this an exported key file?", i)
	}
	d, ok := unb64(*k.D, coordLen)
	if !ok {
		return nil, p.fail(ErrKeyValue, "member d of key %d is not 32 bytes in base64url", i)
	}
	return d, nil
}

// sigPair reads a whole Ed25519 key and checks that its halves belong together.
func (p parser) sigPair(i int, k jwk) (*sigPair, error) {
	pub, err := p.sigKey(i, k)
	if err != nil {
		return nil, err
	}
	d, err := p.privatePart(i, k)
	if err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(d)
	if !pub.Key.Equal(key.Public()) {
		return nil, p.fail(ErrKeyValue, "the halves of key %d do not belong together", i)
	}
	return &sigPair{kid: pub.KID, key: key}, nil
}

// encPair reads a whole P-256 key and checks that its halves belong together.
func (p parser) encPair(i int, k jwk) (*encPair, error) {
	pub, err := p.encKey(i, k)
	if err != nil {
		return nil, err
	}
	d, err := p.privatePart(i, k)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil || !pub.Key.Equal(key.Public()) {
		return nil, p.fail(ErrKeyValue, "the halves of key %d do not belong together", i)
	}
	return &encPair{kid: pub.KID, key: key}, nil
}

// counts refuses one key twice and more than MaxKeysPerUse keys of a use.
func (p parser) counts(keys []KeyInfo) error {
	n := map[Use]int{}
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k.KID] {
			return p.fail(ErrDuplicateKey, "kid %s", k.KID)
		}
		seen[k.KID] = true
		n[k.Use]++
	}
	for _, use := range []Use{UseSig, UseEnc} {
		if n[use] > MaxKeysPerUse {
			return p.fail(ErrTooMany, "%d keys with use %s, at most %d", n[use], use, MaxKeysPerUse)
		}
		if n[use] == 0 {
			return p.fail(ErrNoKey, "none with use %s", use)
		}
	}
	return nil
}

// encodeSet writes a key file in the layout of the documentation. All values were checked: nothing needs escaping.
func encodeSet(id ID, name string, keys []string) []byte {
	return fmt.Appendf(nil, `{"hoft":%d,"id":"%s","name":"%s","keys":[`+"\n %s]}\n", formatVersion, id, name, strings.Join(keys, ",\n "))
}

// encodeSig writes one Ed25519 key; d is nil for the public form, retired zero for a key in use.
func encodeSig(pub SigKey, d []byte, retired time.Time) string {
	return encodeKey(kindSig, pub.KID, retired, `"x":"`+b64(pub.Key)+`"`, d)
}

// encodeEnc is encodeSig for a P-256 key.
func encodeEnc(pub EncKey, d []byte, retired time.Time) string {
	x, y := coordinates(pub.Key)
	return encodeKey(kindEnc, pub.KID, retired, `"x":"`+b64(x)+`","y":"`+b64(y)+`"`, d)
}

func encodeKey(is kind, kid string, retired time.Time, public string, d []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"kty":"%s","crv":"%s","use":"%s","alg":"%s","kid":"%s",`, is.kty, is.crv, is.use, is.alg, kid)
	if !retired.IsZero() {
		fmt.Fprintf(&b, `"retired":%d,`, retired.Unix())
	}
	b.WriteString("\n  " + public)
	if d != nil {
		b.WriteString(`,"d":"` + b64(d) + `"`)
	}
	b.WriteString("}")
	return b.String()
}
