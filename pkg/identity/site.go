package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
)

// Site is who we are: id, name and private keys. It does not change after Generate or Load and may be used by several
// goroutines. Printing it shows name and id only.
type Site struct {
	id   ID
	name string
	sig  []*sigPair // the current one first, then the retired
	enc  []*encPair // likewise
}

// sigPair and encPair are private keys. They are held by pointer, so that fmt never walks into them.
type sigPair struct {
	kid     string
	key     ed25519.PrivateKey
	retired time.Time
}

type encPair struct {
	kid     string
	key     *ecdsa.PrivateKey
	retired time.Time
}

// Generate makes a new site: a UUIDv7 (RFC 9562 section 5.7), an Ed25519 key to sign and a P-256 key to receive.
func Generate(name string) (*Site, error) {
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrName, clip(name), err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a site id: %w", err)
	}
	_, sig, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an Ed25519 key: %w", err)
	}
	enc, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a P-256 key: %w", err)
	}
	return &Site{
		id: ID(id), name: name,
		sig: []*sigPair{newSigPair(sig)},
		enc: []*encPair{newEncPair(enc)},
	}, nil
}

func newSigPair(key ed25519.PrivateKey) *sigPair {
	p := &sigPair{key: key}
	p.kid = thumbprintEd25519(p.public())
	return p
}

func newEncPair(key *ecdsa.PrivateKey) *encPair {
	x, y := coordinates(&key.PublicKey)
	return &encPair{key: key, kid: thumbprintP256(x, y)}
}

func (p *sigPair) public() ed25519.PublicKey { return p.key.Public().(ed25519.PublicKey) }

// ID is the site's id.
func (s *Site) ID() ID { return s.id }

// Name is the site's name.
func (s *Site) Name() string { return s.name }

// String gives name and id, nothing secret.
func (s *Site) String() string { return s.name + " (" + s.id.String() + ")" }

// Format prints String for every verb, so that %+v and %#v show no key.
func (s *Site) Format(f fmt.State, _ rune) {
	text := "<nil>"
	if s != nil {
		text = s.String()
	}
	_, _ = io.WriteString(f, text)
}

// MarshalJSON refuses: private keys leave by Save alone, public ones by Public.
func (s *Site) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a site is not marshalled: use Save or Public")
}

// SigKey gives the key that signs now, with its id.
func (s *Site) SigKey() (kid string, key ed25519.PrivateKey) { return s.sig[0].kid, s.sig[0].key }

// EncKey gives the private key that opens what was encrypted to kid: the current one or a retired one that is still
// kept. An unknown kid gives false; no other key is to be tried then.
func (s *Site) EncKey(kid string) (*ecdsa.PrivateKey, bool) {
	for _, p := range s.enc {
		if p.kid == kid {
			return p.key, true
		}
	}
	return nil, false
}

// Keys lists all keys, signing keys first and within a use the current one first.
func (s *Site) Keys() []KeyInfo {
	var out []KeyInfo
	for _, p := range s.sig {
		out = append(out, KeyInfo{Use: UseSig, KID: p.kid, Retired: p.retired})
	}
	for _, p := range s.enc {
		out = append(out, KeyInfo{Use: UseEnc, KID: p.kid, Retired: p.retired})
	}
	return out
}

// Public is what the other side is to know: id, name and the public half of every key that is still kept, the current
// one of each use first.
func (s *Site) Public() *Peer {
	p := &Peer{ID: s.id, Name: s.name}
	for _, k := range s.sig {
		p.Sig = append(p.Sig, SigKey{KID: k.kid, Key: k.public()})
	}
	for _, k := range s.enc {
		p.Enc = append(p.Enc, EncKey{KID: k.kid, Key: &k.key.PublicKey})
	}
	return p
}

// Fingerprint is the fingerprint of Public.
func (s *Site) Fingerprint() string { return s.Public().Fingerprint() }
