package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Entry is what the configuration says of one peer.
type Entry struct {
	Name string // must be the name that the peer's key file holds
	Keys string // public key file; "": only what hoft keys trust stored
}

// Resolve gives the accepted keys of the configured peers, in the order of entries: those of the configured file and
// those of the trusted store, less the revoked ones (SECURITY: revocation always wins). It refuses this site itself as a
// peer, a name that differs from the file's, one id, name or key for two peers, and a peer that nothing is known of
// (ErrUnknownPeer). All problems are reported together.
func Resolve(stateDir string, self *Site, entries []Entry) ([]*Peer, error) {
	stored, err := LoadPeers(stateDir)
	if err != nil {
		return nil, err
	}
	revoked, err := LoadRevoked(stateDir)
	if err != nil {
		return nil, err
	}
	accepted := &Peers{}
	var problems []error
	for _, e := range entries {
		peer, err := resolve(e, stored, revoked)
		if err == nil {
			err = peer.checkSelf(self)
		}
		if err == nil {
			err = accepted.Add(peer)
		}
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return accepted.All(), nil
}

// resolve gives the accepted keys of one configured peer.
func resolve(e Entry, stored *Peers, revoked Revoked) (*Peer, error) {
	var peer *Peer
	if e.Keys == "" {
		found, ok := stored.ByName(e.Name)
		if !ok {
			return nil, fmt.Errorf("peer %q: %w: no keys: in the configuration and none trusted; run: hoft keys trust FILE", clip(e.Name), ErrUnknownPeer)
		}
		peer = found
	} else {
		file, err := ReadPeer(e.Keys)
		if fe, ok := errors.AsType[*FileError](err); ok && errors.Is(err, fs.ErrNotExist) {
			fe.Mend = "put the file there that hoft keys export printed at the other side, or leave keys: out and run: hoft keys trust FILE"
		}
		if err != nil {
			return nil, fmt.Errorf("peer %q: %w", clip(e.Name), err)
		}
		if file.Name != e.Name {
			return nil, &FileError{File: e.Keys, Err: ErrName, Detail: fmt.Sprintf("it calls its site %q, the configuration says %q", file.Name, clip(e.Name)),
				Mend: "write name: " + file.Name + ", or name the right file"}
		}
		if peer, err = stored.Merge(file.without(revoked)); err != nil {
			return nil, err
		}
	}
	if len(peer.Sig) == 0 || len(peer.Enc) == 0 {
		return nil, &FileError{File: strings.Join(peer.From, ", "), Err: ErrRevoked, Detail: "of one use every key",
			Mend: "ask the other side for a file with its present keys, then: hoft keys trust FILE"}
	}
	return peer, nil
}

// Merge joins a configured peer with what the store holds of the same id. It refuses a name, or a key, that belongs to
// another stored peer. Which of the two lists is the newer one decides what is encrypted to: the store, which learns of
// new keys while hoft runs, unless its newest key is an older one in the file.
func (ps *Peers) Merge(file *Peer) (*Peer, error) {
	for _, other := range ps.all {
		if other.ID == file.ID {
			continue
		}
		if err := file.conflict(other); err != nil {
			return nil, err
		}
	}
	have, ok := ps.ByID(file.ID)
	if !ok {
		return file, nil
	}
	if have.Name != file.Name {
		return nil, &FileError{File: strings.Join(file.From, ", "), Err: ErrConflict,
			Detail: fmt.Sprintf("site %s is called %q here and %q in %s", file.ID, file.Name, have.Name, strings.Join(have.From, ", ")),
			Mend:   "run: hoft keys trust FILE with the file that is right"}
	}
	out := &Peer{ID: file.ID, Name: file.Name, From: slices.Concat(file.From, have.From), Revoked: slices.Concat(file.Revoked, have.Revoked)}
	out.Sig = join(have.Sig, file.Sig, func(k SigKey) string { return k.KID })
	out.Enc = join(have.Enc, file.Enc, func(k EncKey) string { return k.KID })
	if len(out.Sig) > MaxKeysPerUse || len(out.Enc) > MaxKeysPerUse {
		return nil, &FileError{File: strings.Join(out.From, " and "), Err: ErrTooMany, Detail: fmt.Sprintf("together more than %d keys of one use", MaxKeysPerUse),
			Mend: "take keys: out of the configuration and run: hoft keys trust FILE with the newest file"}
	}
	return out, nil
}

// join makes one list of two, without doubles: the store's first, unless its first key stands further down in the file.
func join[K any](store, file []K, kid func(K) string) []K {
	first, second := store, file
	if len(store) > 0 && slices.IndexFunc(file, func(k K) bool { return kid(k) == kid(store[0]) }) > 0 {
		first, second = file, store
	}
	out := slices.Clone(first)
	for _, k := range second {
		if !slices.ContainsFunc(out, func(o K) bool { return kid(o) == kid(k) }) {
			out = append(out, k)
		}
	}
	return out
}
