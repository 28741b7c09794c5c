package seal

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"runtime"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// Opener opens lines that peers sealed to this site. Safe for concurrent use; it never changes: when
// keys change, make a new one.
type Opener struct {
	id    identity.ID
	enc   map[string]*ecdsa.PrivateKey
	peers map[identity.ID]*opening
	seed  maphash.Seed // marks refused lines, see Mark
}

// opening is what lines from one peer are opened with.
type opening struct {
	sig    map[string]ed25519.PublicKey
	psk    *pskKeys // nil: public keys
	signed bool     // signed and not encrypted
}

// ext is the kind of file that frames of the peer come in.
func (from *opening) ext() frame.Ext {
	if from.signed {
		return frame.ExtSigned
	}
	return frame.ExtFrame
}

// NewOpener prepares opening with self's live encryption keys what the peers seal. It fails with
// ErrKeys when a key is missing, malformed or not the one its kid names, or a peer is listed twice.
func NewOpener(self Self, peers []Peer) (*Opener, error) {
	o := &Opener{id: self.ID, enc: maps.Clone(self.Enc), peers: make(map[identity.ID]*opening, len(peers)), seed: maphash.MakeSeed()}
	for kid, key := range o.enc {
		if key == nil {
			return nil, fmt.Errorf("%w: own encryption key %s is missing", ErrKeys, kid)
		}
		if msg := checkEnc(kid, &key.PublicKey); msg != "" {
			return nil, fmt.Errorf("%w: own %s", ErrKeys, msg)
		}
	}
	for i := range peers {
		p := &peers[i]
		if o.peers[p.ID] != nil {
			return nil, keysErr(p, "listed twice")
		}
		in, err := newOpening(&self, p)
		if err != nil {
			return nil, err
		}
		o.peers[p.ID] = in
	}
	return o, nil
}

func newOpening(self *Self, p *Peer) (*opening, error) {
	if err := check(self, p); err != nil {
		return nil, err
	}
	if p.PSK != nil {
		k, err := derive(p.PSK, p.ID, self.ID)
		if err != nil {
			return nil, keysErr(p, "%v", err)
		}
		return &opening{psk: &k, signed: p.Signed}, nil
	}
	if len(self.Enc) == 0 {
		return nil, fmt.Errorf("%w: own encryption key is missing", ErrKeys)
	}
	if len(p.Sig) == 0 {
		return nil, keysErr(p, "no signing key is accepted")
	}
	for kid, key := range p.Sig {
		if msg := checkSig(kid, key); msg != "" {
			return nil, keysErr(p, "%s", msg)
		}
	}
	return &opening{sig: maps.Clone(p.Sig), signed: p.Signed}, nil
}

// Line opens one line (without its newline) of the file name: checks 5 to 10 of docs/security.md, in
// their order, the cheap ones first. Every error is an *Error.
func (o *Opener) Line(name frame.Name, line []byte) (*frame.Claims, error) {
	from, err := o.sender(name)
	if err != nil {
		return nil, err
	}
	var t token
	c, err := o.open(name, from, line, &t)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// sender is check 1 as far as it is known here: a frame, for this site, from a configured peer.
func (o *Opener) sender(name frame.Name) (*opening, *Error) {
	switch from := o.peers[name.Sender]; {
	case name.Recipient != o.id:
		return nil, refuse(1, Name, "the file is for site %s, this is %s", name.Recipient, o.id)
	case from == nil:
		return nil, refuse(1, Name, "site %s is no configured peer", name.Sender)
	case !name.Ext.Frame():
		return nil, refuse(1, Name, "not a frame")
	case name.Ext != from.ext() && from.signed:
		return nil, refuse(1, Mode, "the file is encrypted, and this site takes only signed files of the peer (seal: signed): both sites must have the same seal")
	case name.Ext != from.ext():
		return nil, refuse(1, Mode, "the file is only signed, and this site takes only encrypted files of the peer: both sites must have the same seal")
	default:
		return from, nil
	}
}

// token is what opening learns of one line on the way; Inspect shows it.
type token struct {
	jwe   [5][]byte // header, encrypted key, IV, ciphertext, tag
	outer header
	jws   [3][]byte // header, payload, signature
	inner header
}

// open runs checks 5 to 10. A panic of a library makes a refused line of it, no more.
func (o *Opener) open(name frame.Name, from *opening, line []byte, t *token) (c *frame.Claims, err *Error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, refuse(0, Panic, "a library broke down: %s", describe(r))
		}
	}()
	if from.signed {
		return o.openSigned(name, from, line, t)
	}
	if err := t.shape(line); err != nil {
		return nil, err
	}
	if err := t.header(from.psk != nil); err != nil {
		return nil, err
	}
	plain, err := o.decrypt(from, line, t)
	if err != nil {
		return nil, err
	}
	payload, err := verify(from, plain, t)
	if err != nil {
		return nil, err
	}
	c, err = o.claims(name, payload)
	if err == nil && c.Rkt != string(t.outer.kid) {
		return nil, refuse(10, Claims, "rkt is not the key that opened the line")
	}
	return c, err
}

// describe tells a panic without repeating bytes of the input.
func describe(r any) string {
	if e, ok := r.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("panic with a %T", r)
}

// shape is check 5 without the lengths that depend on the suite.
func (t *token) shape(line []byte) *Error {
	if len(line) > frame.MaxLine {
		return refuse(4, Size, "line longer than %d bytes", frame.MaxLine)
	}
	if msg := split(line, t.jwe[:]); msg != "" {
		return refuse(5, Charset, msg)
	}
	if len(t.jwe[2]) != lenIV || len(t.jwe[4]) != lenTag {
		return refuse(5, Charset, "initialization vector or tag of a wrong length")
	}
	if len(t.jwe[0]) == 0 || len(t.jwe[3]) == 0 {
		return refuse(5, Charset, "header or ciphertext is empty")
	}
	return nil
}

// header is the rest of check 5, and check 6.
func (t *token) header(psk bool) *Error {
	if n := len(t.jwe[1]); !psk && n != 0 || psk && n != lenWrap {
		return refuse(5, Charset, "encrypted key of a wrong length for the suite")
	}
	if msg := parseHeader(t.jwe[0], &t.outer); msg != "" {
		return refuse(6, Header, msg)
	}
	if msg := t.outer.outer(psk); msg != "" {
		return refuse(6, Header, msg)
	}
	return nil
}

// One algorithm each: the library must never choose.
var (
	ecdhES  = []jose.KeyAlgorithm{jose.ECDH_ES}
	a256KW  = []jose.KeyAlgorithm{jose.A256KW}
	a256GCM = []jose.ContentEncryption{jose.A256GCM}
	edDSA   = []jose.SignatureAlgorithm{jose.EdDSA}
	hmac256 = []jose.SignatureAlgorithm{jose.HS256}
)

// decrypt is check 7: exactly the key that kid names, no trial of others.
func (o *Opener) decrypt(from *opening, line []byte, t *token) ([]byte, *Error) {
	var key any
	algs := ecdhES
	if from.psk != nil {
		algs = a256KW
		if string(t.outer.kid) != from.psk.kid {
			return nil, refuse(7, Decrypt, "kid %s is not the one of the pre-shared secret", t.outer.kid)
		}
		key = from.psk.enc
	} else {
		priv := o.enc[string(t.outer.kid)]
		if priv == nil {
			return nil, refuse(7, Decrypt, "sealed to key %s, which is not a live key of this site", t.outer.kid)
		}
		key = priv
	}
	obj, err := jose.ParseEncryptedCompact(string(line), algs, a256GCM)
	if err != nil {
		return nil, refuse(7, Decrypt, "the token does not parse")
	}
	plain, err := obj.Decrypt(key)
	if err != nil {
		return nil, refuse(7, Decrypt, "it does not decrypt: changed on the way, or sealed to another key")
	}
	return plain, nil
}

// verify is check 8: exactly the key that kid names among those accepted of this sender.
func verify(from *opening, plain []byte, t *token) ([]byte, *Error) {
	if msg := split(plain, t.jws[:]); msg != "" {
		return nil, refuse(8, Signature, "inner token: "+msg)
	}
	psk := from.psk != nil
	if !t.signature(psk) {
		return nil, refuse(8, Signature, "inner token: signature of a wrong length")
	}
	if msg := parseHeader(t.jws[0], &t.inner); msg != "" {
		return nil, refuse(8, Signature, "inner token: "+msg)
	}
	if msg := t.inner.inner(psk, typFrame); msg != "" {
		return nil, refuse(8, Signature, msg)
	}
	return verifySignature(from, plain, t)
}

// signature says whether the signature's length is that of the suite.
func (t *token) signature(psk bool) bool {
	n := len(t.jws[2])
	return !psk && n == lenSig || psk && n == len32
}

// verifySignature is the rest of check 8, for a token whose shape and header are right.
func verifySignature(from *opening, plain []byte, t *token) ([]byte, *Error) {
	var key any
	algs := edDSA
	if from.psk != nil {
		algs = hmac256
		if string(t.inner.kid) != from.psk.kid {
			return nil, refuse(8, Signature, "inner kid %s is not the one of the pre-shared secret", t.inner.kid)
		}
		key = from.psk.sign
	} else {
		pub := from.sig[string(t.inner.kid)]
		if pub == nil {
			return nil, refuse(8, Signature, "signed with key %s, which is not accepted for the sender", t.inner.kid)
		}
		key = pub
	}
	obj, err := jose.ParseSignedCompact(string(plain), algs)
	if err != nil {
		return nil, refuse(8, Signature, "the inner token does not parse")
	}
	payload, err := obj.Verify(key)
	if err != nil {
		return nil, refuse(8, Signature, "the signature does not verify")
	}
	return payload, nil
}

// claims is checks 9 and 10, but for rkt and for what concerns several lines of a file.
func (o *Opener) claims(name frame.Name, payload []byte) (*frame.Claims, *Error) {
	c, err := frame.ParseClaims(payload)
	switch {
	case errors.Is(err, frame.ErrVersion):
		return nil, refuse(10, Version, "the claims are of another version of the format")
	case err != nil:
		return nil, refuse(9, Claims, "%v", err)
	case c.Iss != name.Sender:
		return nil, refuse(10, Claims, "iss is not the sender in the file name")
	case c.Aud != o.id:
		return nil, refuse(10, Claims, "aud is not this site")
	case c.Seq != name.Seq:
		return nil, refuse(10, Claims, "seq is not the one of the file name")
	}
	return c, nil
}
