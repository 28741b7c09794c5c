// Package inspect explains frame files and exchanges to operators: all that the keys at hand can open, and no secret.
package inspect

import (
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
)

// Keys are what files are looked at with. The zero value has none: then only what everybody can see is told.
type Keys struct {
	// Missing says why there is no Opener, with the mend; "" when there is one.
	Missing string
	Opener  *seal.Opener
	Self    identity.ID
	name    string
	peers   map[identity.ID]string // names, for people
	enc     map[string]string      // whose key to encrypt to a kid names
	own     map[string]bool        // live own kids of these
	sig     map[identity.ID]map[string]bool
	psk     map[identity.ID]bool
	signed  map[identity.ID]bool // peers in signed mode
}

// NewKeys prepares the keys of a site and its peers.
func NewKeys(self *identity.Site, own seal.Self, peers []seal.Peer, named []*identity.Peer) (Keys, error) {
	k := Keys{Self: own.ID, name: self.Name(), peers: map[identity.ID]string{}, enc: map[string]string{}, own: map[string]bool{},
		sig: map[identity.ID]map[string]bool{}, psk: map[identity.ID]bool{}, signed: map[identity.ID]bool{}}
	var err error
	if k.Opener, err = seal.NewOpener(own, peers); err != nil {
		return Keys{}, err
	}
	for kid := range own.Enc {
		k.own[kid], k.enc[kid] = true, self.Name()
	}
	for _, p := range named {
		k.peers[p.ID] = p.Name
		for _, e := range p.Enc {
			k.enc[e.KID] = p.Name
		}
	}
	for _, p := range peers {
		k.psk[p.ID], k.signed[p.ID] = p.PSK != nil, p.Signed
		k.sig[p.ID] = map[string]bool{}
		for kid := range p.Sig {
			k.sig[p.ID][kid] = true
		}
	}
	return k, nil
}

// WithoutKeys is for a site whose keys cannot be had, and why. self is its id if that is known.
func WithoutKeys(why string) Keys { return Keys{Missing: why} }

// party names a site.
func (k *Keys) party(id identity.ID) Party {
	p := Party{ID: id.String(), Name: k.peers[id]}
	if id == k.Self && k.Opener != nil {
		p.Name = k.name
	}
	return p
}

// opens says whether a file of this name may be opened here: one of a peer for this site.
func (k *Keys) opens(n *Name) bool {
	return k.Opener != nil && n != nil && n.parsed.Recipient == k.Self && k.knows(n.parsed.Sender)
}

// knows says whether a site is a peer.
func (k *Keys) knows(id identity.ID) bool {
	_, ok := k.sig[id]
	return ok
}
