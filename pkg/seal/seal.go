// Package seal signs and encrypts the lines of a frame, and opens them again with every check.
//
// A line is one nested token in compact form: a JWS (RFC 7515) inside a JWE (RFC 7516), without the
// newline that ends it in a file. There are two suites and no negotiation; which one applies is
// decided by how the peer is configured, never by what a token says:
//
//   - public keys: EdDSA with Ed25519 (RFC 8037) inside ECDH-ES with P-256 and A256GCM (RFC 7518)
//   - pre-shared secret: HS256 inside A256KW and A256GCM, all keys derived per direction
//
// With a peer in signed mode a line is the signed token alone, for whoever must read it on the way. Its typ is another, so
// that a line made for one mode is never one of the other.
//
// One token has exactly one spelling: whatever a JOSE library would tolerate (line breaks and spare
// bits in base64url, other headers, compression, a superfluous encrypted key) is refused here before
// the library sees it. So any change of any bit of a line makes it no line at all.
//
// A file is a sequence of lines, each sealed by itself: the lines before a cut stay good.
// Sealer, Opener and what they return are safe for concurrent use.
package seal

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/hoft/hoft/pkg/identity"
)

// PSKSize is the length of a pre-shared secret in bytes.
const PSKSize = 32

// Self is this site's own keys as sealing needs them. Sealing to a peer with a pre-shared secret
// needs the ID only.
type Self struct {
	ID identity.ID
	// SigKid is the thumbprint (RFC 7638, SHA-256, base64url) of Sig's public half.
	SigKid string
	Sig    ed25519.PrivateKey
	// Enc holds the live P-256 keys by their thumbprints: the current one and those that were
	// replaced but still open what is on its way.
	Enc map[string]*ecdsa.PrivateKey
}

// Peer is what this site accepts of one peer: its public keys, or the pre-shared secret. Never both.
type Peer struct {
	ID identity.ID
	// Name is this site's own label for the peer; it appears in errors of configuration only.
	Name string
	// Sig holds the accepted Ed25519 keys by their thumbprints.
	Sig map[string]ed25519.PublicKey
	// EncKid and Enc are the P-256 key that lines to the peer are sealed to.
	EncKid string
	Enc    *ecdsa.PublicKey
	// PSK is the secret of PSKSize bytes, or nil for public keys.
	PSK []byte
	// Signed says that lines to and from the peer are signed and not encrypted. EncKid is then what they are bound to.
	Signed bool
}

// ErrKeys is wrapped by every error about unusable keys.
var ErrKeys = errors.New("unusable keys")

func keysErr(p *Peer, format string, args ...any) error {
	return fmt.Errorf("%w: peer %q (%s): %s", ErrKeys, p.Name, p.ID, fmt.Sprintf(format, args...))
}

// check tests what Self and Peer must hold whatever is done with them.
func check(self *Self, p *Peer) error {
	switch {
	case self.ID.IsZero() || p.ID.IsZero():
		return keysErr(p, "site id missing")
	case self.ID == p.ID:
		return keysErr(p, "a site cannot be its own peer")
	case p.PSK != nil && (len(p.Sig) > 0 || p.Enc != nil):
		return keysErr(p, "has a pre-shared secret and public keys; remove one of the two")
	case p.PSK != nil && len(p.PSK) != PSKSize:
		return keysErr(p, "pre-shared secret has %d bytes, want %d", len(p.PSK), PSKSize)
	}
	return nil
}

// The fixed values of the headers.
const (
	typFrame  = "hoft-frame+jwt"
	typSigned = "hoft-signed+jwt"
	ctyJWT    = "JWT"
)
