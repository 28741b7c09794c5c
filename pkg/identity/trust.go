package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// peersFolder is where a state folder keeps the public keys that hoft keys trust accepted, one file per peer.
const peersFolder = "peers"

const peerExt = ".jwks"

// peerPath is the file of one trusted peer.
func peerPath(stateDir string, id ID) string {
	return filepath.Join(stateDir, peersFolder, id.String()+peerExt)
}

// Peers is a set of peers in which id, name and every key belong to one peer only. It is not safe for concurrent Add.
type Peers struct{ all []*Peer }

// LoadPeers reads the trusted store of a state folder, without the keys that were revoked. A store that does not exist
// yet is empty. All problems are reported together.
func LoadPeers(stateDir string) (*Peers, error) {
	revoked, err := LoadRevoked(stateDir)
	if err != nil {
		return nil, err
	}
	peers := &Peers{}
	folder := filepath.Join(stateDir, peersFolder)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return peers, nil
	}
	if err != nil {
		return nil, fileErr(folder, err)
	}
	if err := checkFolder(folder); err != nil {
		return nil, err
	}
	var problems []error
	for _, e := range entries {
		// Our own temporary names begin with a dot; they are left over only after a power cut.
		if strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != peerExt {
			continue
		}
		peer, err := readTrusted(filepath.Join(folder, e.Name()))
		if err == nil {
			err = peers.Add(peer.without(revoked))
		}
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	slices.SortFunc(peers.all, func(a, b *Peer) int { return strings.Compare(a.Name, b.Name) })
	return peers, nil
}

// readTrusted reads one file of the store; its name must be that of the peer in it.
func readTrusted(path string) (*Peer, error) {
	data, err := readChecked(path, checkTrusted)
	if err != nil {
		return nil, err
	}
	peer, err := ParsePeer(data, path)
	if err != nil {
		return nil, err
	}
	if filepath.Base(path) != peer.ID.String()+peerExt {
		return nil, &FileError{File: path, Err: ErrConflict, Detail: "it holds the keys of " + peer.Name + " (" + peer.ID.String() + ")",
			Mend: "move it away and run: hoft keys trust FILE"}
	}
	return peer, nil
}

// All lists the peers by name.
func (ps *Peers) All() []*Peer { return slices.Clone(ps.all) }

// ByID finds a peer by its id.
func (ps *Peers) ByID(id ID) (*Peer, bool) {
	return ps.find(func(p *Peer) bool { return p.ID == id })
}

// ByName finds a peer by its name.
func (ps *Peers) ByName(name string) (*Peer, bool) {
	return ps.find(func(p *Peer) bool { return p.Name == name })
}

func (ps *Peers) find(is func(*Peer) bool) (*Peer, bool) {
	i := slices.IndexFunc(ps.all, is)
	if i < 0 {
		return nil, false
	}
	return ps.all[i], true
}

// Add takes a peer into the set. ErrConflict: its id, its name or one of its keys belongs to another peer already.
func (ps *Peers) Add(peer *Peer) error {
	for _, other := range ps.all {
		if err := peer.conflict(other); err != nil {
			return err
		}
	}
	ps.all = append(ps.all, peer)
	return nil
}

// conflict says what two different peers may not share.
func (peer *Peer) conflict(other *Peer) error {
	fail := func(what, mend string) error {
		return &FileError{File: strings.Join(peer.From, ", "), Err: ErrConflict,
			Detail: what + " is also that of " + other.Name + " (" + other.ID.String() + ") from " + strings.Join(other.From, ", "), Mend: mend}
	}
	switch {
	case peer.ID == other.ID:
		return fail("its id "+peer.ID.String(), "keep one of the two")
	case peer.Name == other.Name:
		return fail("its name "+peer.Name, "remove the one that is no longer used, or have one site make a new identity under another name")
	}
	for _, k := range peer.Keys() {
		for _, o := range other.Keys() {
			if k.KID == o.KID {
				return fail("its key "+k.KID, "one of the two files is forged or was edited: ask both sides for their fingerprints")
			}
		}
	}
	return nil
}

// checkSelf refuses this site's own keys, its id or its name as those of a peer.
func (peer *Peer) checkSelf(self *Site) error {
	file := strings.Join(peer.From, ", ")
	if peer.ID == self.ID() {
		return &FileError{File: file, Err: ErrSelf, Mend: "give this file to the other side, and take the file that the other side exported"}
	}
	err := peer.conflict(&Peer{ID: self.id, Name: self.name, Sig: self.Public().Sig, Enc: self.Public().Enc, From: []string{"this site"}})
	if fe, ok := errors.AsType[*FileError](err); ok && peer.Name == self.name {
		fe.Mend = "two sites that talk to each other need two names: make one of them again under another name"
	}
	return err
}

// Trust keeps a peer's public keys in the state folder, in place of what was kept for that id before. It refuses this
// site's own keys, what conflicts with another trusted peer, and revoked keys: revocation is for good.
func Trust(stateDir string, self *Site, peer *Peer) error {
	if err := CheckTrust(stateDir, self, peer); err != nil {
		return err
	}
	folder := filepath.Join(stateDir, peersFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fileErr(folder, err)
	}
	return replaceFile(peerPath(stateDir, peer.ID), peer.Encode(), 0o644)
}

// CheckTrust says whether Trust would refuse, and writes nothing.
func CheckTrust(stateDir string, self *Site, peer *Peer) error {
	if err := peer.checkSelf(self); err != nil {
		return err
	}
	revoked, err := LoadRevoked(stateDir)
	if err != nil {
		return err
	}
	if bad := peer.without(revoked).Revoked; len(bad) > 0 {
		return &FileError{File: strings.Join(peer.From, ", "), Err: ErrRevoked, Detail: "kid " + bad[0].KID,
			Mend: "ask the other side for a file with its present keys"}
	}
	stored, err := LoadPeers(stateDir)
	if err != nil {
		return err
	}
	for _, other := range stored.all {
		if other.ID == peer.ID {
			continue // this is what will be replaced
		}
		if err := peer.conflict(other); err != nil {
			return err
		}
	}
	return nil
}
