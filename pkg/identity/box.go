package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// boxLabel names what the key is for (RFC 5869 section 3.2).
const boxLabel = "hoft/v1 state box"

const kidLen = 43 // a SHA-256 thumbprint in base64url

// ErrSealed says that what was kept sealed cannot be opened: by another identity, for another purpose, or damaged.
var ErrSealed = errors.New("cannot be opened with this identity")

// Box seals what the state folder keeps besides keys, such as tokens of servers. Its key is HKDF-SHA-256 of the
// Ed25519 seed, without salt, with boxLabel as info: whoever has the database alone has nothing. Safe for concurrent use.
type Box struct {
	kid  string
	keys map[string]cipher.AEAD // by the kid of the signing key that they come from
}

// Box makes the box of this identity. What was sealed before a rotation opens as long as the retired key is kept.
func (s *Site) Box() (*Box, error) {
	b := &Box{kid: s.sig[0].kid, keys: map[string]cipher.AEAD{}}
	for _, p := range s.sig {
		aead, err := boxKey(p.key)
		if err != nil {
			return nil, err
		}
		b.keys[p.kid] = aead
	}
	return b, nil
}

func boxKey(sig ed25519.PrivateKey) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, sig.Seed(), nil, boxLabel, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of the box: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Seal gives kid | nonce(12) | AES-256-GCM of plain. purpose must be given again to open it: what is sealed for one
// place does not open at another.
func (b *Box) Seal(plain []byte, purpose string) []byte {
	var nonce [12]byte
	_, _ = rand.Read(nonce[:]) // never fails (crypto/rand)
	out := append([]byte(b.kid), nonce[:]...)
	return b.keys[b.kid].Seal(out, nonce[:], plain, []byte(b.kid+"\n"+purpose))
}

// Open is the reverse of Seal, or gives ErrSealed.
func (b *Box) Open(sealed []byte, purpose string) ([]byte, error) {
	if len(sealed) < kidLen+12 {
		return nil, ErrSealed
	}
	kid, nonce, text := string(sealed[:kidLen]), sealed[kidLen:kidLen+12], sealed[kidLen+12:]
	aead := b.keys[kid]
	if aead == nil {
		return nil, ErrSealed
	}
	plain, err := aead.Open(nil, nonce, text, []byte(kid+"\n"+purpose))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
