package seal

import (
	"crypto/ed25519"
	"fmt"
	"slices"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/hoft/hoft/pkg/frame"
)

// Sealer seals lines from this site to one peer. Safe for concurrent use.
type Sealer struct {
	rkt    string
	signer jose.Signer
	crypt  jose.Encrypter // nil in signed mode
}

// NewSealer prepares sealing with self's signing key to the peer's encryption key, or with the
// pre-shared secret. It fails with ErrKeys when a key is missing, malformed or not the one its kid names.
func NewSealer(self Self, peer Peer) (*Sealer, error) {
	if err := check(&self, &peer); err != nil {
		return nil, err
	}
	if peer.PSK != nil {
		k, err := derive(peer.PSK, self.ID, peer.ID)
		if err != nil {
			return nil, keysErr(&peer, "%v", err)
		}
		return newSealer(peer.Signed, k.kid, k.kid,
			jose.SigningKey{Algorithm: jose.HS256, Key: k.sign},
			jose.Recipient{Algorithm: jose.A256KW, Key: k.enc, KeyID: k.kid})
	}
	if len(self.Sig) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("%w: own signing key is missing", ErrKeys)
	}
	if msg := checkSig(self.SigKid, self.Sig.Public().(ed25519.PublicKey)); msg != "" {
		return nil, fmt.Errorf("%w: own %s", ErrKeys, msg)
	}
	if msg := checkEnc(peer.EncKid, peer.Enc); msg != "" {
		return nil, keysErr(&peer, "%s", msg)
	}
	return newSealer(peer.Signed, self.SigKid, peer.EncKid,
		jose.SigningKey{Algorithm: jose.EdDSA, Key: slices.Clone(self.Sig)},
		jose.Recipient{Algorithm: jose.ECDH_ES, Key: peer.Enc, KeyID: peer.EncKid})
}

func newSealer(signed bool, sigKid, rkt string, key jose.SigningKey, to jose.Recipient) (*Sealer, error) {
	s := &Sealer{rkt: rkt}
	typ := jose.ContentType(typFrame)
	if signed {
		typ = typSigned
	}
	var err error
	so := (&jose.SignerOptions{}).WithType(typ).WithHeader("kid", sigKid)
	if s.signer, err = jose.NewSigner(key, so); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKeys, err)
	}
	if signed {
		return s, nil
	}
	eo := (&jose.EncrypterOptions{}).WithType(typFrame).WithContentType(ctyJWT)
	if s.crypt, err = jose.NewEncrypter(jose.A256GCM, to, eo); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKeys, err)
	}
	return s, nil
}

// Rkt is what the claim rkt of every line sealed here must be: the kid of the key it is sealed to, or in signed mode would be.
func (s *Sealer) Rkt() string { return s.rkt }

// Seal signs and encrypts claims (JSON, at most frame.MaxClaims bytes) and appends the line and its
// newline to dst. Each call uses a fresh content key. The claims are not looked at. In signed mode it does not encrypt.
func (s *Sealer) Seal(dst, claims []byte) ([]byte, error) {
	if len(claims) > frame.MaxClaims {
		return dst, fmt.Errorf("seal a line: claims of %d bytes, at most %d", len(claims), frame.MaxClaims)
	}
	signed, err := s.signer.Sign(claims)
	if err != nil {
		return dst, fmt.Errorf("sign a line: %w", err)
	}
	inner, err := signed.CompactSerialize()
	if err != nil {
		return dst, fmt.Errorf("sign a line: %w", err)
	}
	if s.crypt == nil {
		return append(append(dst, inner...), '\n'), nil
	}
	sealed, err := s.crypt.Encrypt([]byte(inner))
	if err != nil {
		return dst, fmt.Errorf("encrypt a line: %w", err)
	}
	line, err := sealed.CompactSerialize()
	if err != nil {
		return dst, fmt.Errorf("encrypt a line: %w", err)
	}
	return append(append(dst, line...), '\n'), nil
}
