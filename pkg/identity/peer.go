package identity

import (
	"crypto/ed25519"
	"time"
)

// Peer is a public key set: what one site shows of itself, or what another accepts of it. Treat it as read-only; it may
// then be used by several goroutines.
type Peer struct {
	ID   ID
	Name string
	Sig  []SigKey // newest first, at most MaxKeysPerUse
	Enc  []EncKey // newest first, at most MaxKeysPerUse
	From []string // the files that the keys came from; nil for a site's own Public
	// Revoked lists keys that the files hold but that no longer count; they are in neither Sig nor Enc.
	Revoked []KeyInfo
}

// ReadPeer reads a public key file, as hoft keys export writes it. The mode of the file does not matter: what it holds
// is no secret, and whom to trust is the reader's decision.
func ReadPeer(path string) (*Peer, error) {
	data, err := readChecked(path, nil)
	if err != nil {
		return nil, err
	}
	return ParsePeer(data, path)
}

// ParsePeer reads the content of a public key file; file is its name, for errors. A file with private keys is refused.
func ParsePeer(data []byte, file string) (*Peer, error) {
	p := parser{file: file, mend: "ask the other side for a new file: hoft keys export > NAME.pub.jwks"}
	set, id, err := p.set(data)
	if err != nil {
		return nil, err
	}
	peer := &Peer{ID: id, Name: set.Name, From: []string{file}}
	for i, k := range set.Keys {
		if err := peer.add(p, i+1, k); err != nil {
			return nil, err
		}
	}
	if err := p.counts(peer.Keys()); err != nil {
		return nil, err
	}
	return peer, nil
}

// add reads key number i of the file.
func (peer *Peer) add(p parser, i int, k jwk) error {
	if k.D != nil {
		p.mend = "it must not leave its site: delete it here, have that site make new keys, and take what hoft keys export prints"
		return p.fail(ErrPrivate, "key %d has member d", i)
	}
	if k.Retired != nil {
		return p.fail(ErrFormat, "key %d has member retired, which belongs into identity files", i)
	}
	is, err := p.kindOf(i, k)
	if err != nil {
		return err
	}
	if is.use == UseSig {
		key, err := p.sigKey(i, k)
		if err != nil {
			return err
		}
		peer.Sig = append(peer.Sig, key)
		return nil
	}
	key, err := p.encKey(i, k)
	if err != nil {
		return err
	}
	peer.Enc = append(peer.Enc, key)
	return nil
}

// SigKey gives the key that verifies what this peer signed under kid; false when the peer has no such accepted key.
func (peer *Peer) SigKey(kid string) (ed25519.PublicKey, bool) {
	for _, k := range peer.Sig {
		if k.KID == kid {
			return k.Key, true
		}
	}
	return nil, false
}

// EncKey gives the key to encrypt to: the newest accepted one. False only when all were revoked; Resolve never returns
// such a peer.
func (peer *Peer) EncKey() (EncKey, bool) {
	if len(peer.Enc) == 0 {
		return EncKey{}, false
	}
	return peer.Enc[0], true
}

// Keys lists the accepted keys, signing keys first and the newest of a use first.
func (peer *Peer) Keys() []KeyInfo {
	out := make([]KeyInfo, 0, len(peer.Sig)+len(peer.Enc))
	for _, k := range peer.Sig {
		out = append(out, KeyInfo{Use: UseSig, KID: k.KID})
	}
	for _, k := range peer.Enc {
		out = append(out, KeyInfo{Use: UseEnc, KID: k.KID})
	}
	return out
}

// Fingerprint is the text that operators compare; every accepted key counts. See fingerprint.
func (peer *Peer) Fingerprint() string {
	var kids []string
	for _, k := range peer.Keys() {
		kids = append(kids, k.KID)
	}
	return fingerprint(peer.ID, kids)
}

// Encode gives the public key file (a JWK set with the members hoft, id and name).
func (peer *Peer) Encode() []byte {
	var keys []string
	for _, k := range peer.Sig {
		keys = append(keys, encodeSig(k, nil, time.Time{}))
	}
	for _, k := range peer.Enc {
		keys = append(keys, encodeEnc(k, nil, time.Time{}))
	}
	return encodeSet(peer.ID, peer.Name, keys)
}
