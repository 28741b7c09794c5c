package site

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"fmt"

	"github.com/hoft/hoft/pkg/admin/inspect"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
)

// sealing prepares opening and, in the order of the peers, sealing.
func (s *Site) sealing() (*seal.Opener, []*seal.Sealer, error) {
	self := SelfKeys(s.self)
	peers := make([]seal.Peer, len(s.peers))
	sealers := make([]*seal.Sealer, len(s.peers))
	for i, p := range s.peers {
		var err error
		if peers[i], err = peerKeys(p, &s.cfg.Peers[i]); err != nil {
			return nil, nil, err
		}
		if sealers[i], err = seal.NewSealer(self, peers[i]); err != nil {
			return nil, nil, fmt.Errorf("peer %s: %w", p.Name, err)
		}
	}
	opener, err := seal.NewOpener(self, peers)
	return opener, sealers, err
}

// SelfKeys gives an identity's keys as sealing needs them.
func SelfKeys(id *identity.Site) seal.Self {
	self := seal.Self{ID: id.ID(), Enc: map[string]*ecdsa.PrivateKey{}}
	self.SigKid, self.Sig = id.SigKey()
	for _, k := range id.Keys() {
		if key, ok := id.EncKey(k.KID); ok {
			self.Enc[k.KID] = key
		}
	}
	return self
}

// peerKeys gives a peer's accepted keys, or the secret shared with it.
func peerKeys(p *identity.Peer, cfg *config.Peer) (seal.Peer, error) {
	out := PeerKeys(p)
	if cfg.PSK != "" {
		psk, err := identity.LoadPSK(cfg.PSK)
		if err != nil {
			return seal.Peer{}, err
		}
		out = seal.Peer{ID: p.ID, Name: p.Name, PSK: psk.Bytes()}
	}
	out.Signed = cfg.Signed()
	return out, nil
}

// PeerKeys gives a peer's accepted public keys as sealing needs them.
func PeerKeys(p *identity.Peer) seal.Peer {
	out := seal.Peer{ID: p.ID, Name: p.Name, Sig: map[string]ed25519.PublicKey{}}
	for _, k := range p.Sig {
		out.Sig[k.KID] = k.Key
	}
	if enc, ok := p.EncKey(); ok {
		out.EncKid, out.Enc = enc.KID, enc.Key
	}
	return out
}

// InspectKeys prepares what files are inspected with: the identity's keys and those of peers. configured gives what the
// configuration says of a peer, by its name; the zero value for one that it does not list.
func InspectKeys(self *identity.Site, peers []*identity.Peer, configured map[string]config.Peer) (inspect.Keys, error) {
	keys := make([]seal.Peer, len(peers))
	for i, p := range peers {
		cfg, err := configured[p.Name], error(nil)
		if keys[i], err = peerKeys(p, &cfg); err != nil {
			return inspect.Keys{}, err
		}
	}
	return inspect.NewKeys(self, SelfKeys(self), keys, peers)
}
