package identity

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// revokedFile lists the key ids that never count again, one per line, in the state folder.
const revokedFile = "revoked.kids"

// Revoked is a set of key ids that never count again, wherever the key comes from.
type Revoked map[string]bool

// LoadRevoked reads the revocation list of a state folder; none yet is an empty one. A damaged list is refused: to skip
// a line could bring a stolen key back.
func LoadRevoked(stateDir string) (Revoked, error) {
	path := filepath.Join(stateDir, revokedFile)
	data, err := readChecked(path, checkTrusted)
	if errors.Is(err, fs.ErrNotExist) {
		return Revoked{}, nil
	}
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, &FileError{File: path, Err: ErrFormat, Detail: "longer than 64 KiB", Mend: "remove kids of peers that are gone for good"}
	}
	revoked := Revoked{}
	for line := range strings.Lines(string(data)) {
		kid := strings.TrimSpace(line)
		if kid == "" || strings.HasPrefix(kid, "#") {
			continue
		}
		if !IsKeyID(kid) {
			return nil, &FileError{File: path, Err: ErrFormat, Detail: "a line that is no key id", Mend: "correct it; hoft keys list shows the key ids"}
		}
		revoked[kid] = true
	}
	return revoked, nil
}

// IsKeyID says whether text has the form of a key id: 32 bytes in base64url (RFC 7638 with SHA-256).
func IsKeyID(text string) bool {
	_, ok := unb64(text, 32)
	return ok
}

// Revoke adds key ids to the list of a state folder, for good.
func Revoke(stateDir string, kids ...string) error {
	revoked, err := LoadRevoked(stateDir)
	if err != nil {
		return err
	}
	path := filepath.Join(stateDir, revokedFile)
	for _, kid := range kids {
		if !IsKeyID(kid) {
			return &FileError{File: path, Err: ErrKeyID, Detail: "to be added is no key id", Mend: "hoft keys list shows the key ids"}
		}
		revoked[kid] = true
	}
	text := "# Key ids that hoft never accepts again, one per line.\n" + strings.Join(revoked.IDs(), "\n") + "\n"
	if len(text) > maxFile {
		return &FileError{File: path, Err: ErrFormat, Detail: "it would grow beyond 64 KiB", Mend: "remove kids of peers that are gone for good"}
	}
	return replaceFile(path, []byte(text), 0o644)
}

// IDs lists the set in order.
func (r Revoked) IDs() []string {
	out := make([]string, 0, len(r))
	for kid := range r {
		out = append(out, kid)
	}
	slices.Sort(out)
	return out
}

// without gives the peer less its revoked keys, which Revoked then lists.
func (peer *Peer) without(revoked Revoked) *Peer {
	out := *peer
	out.Sig, out.Enc, out.Revoked = nil, nil, slices.Clone(peer.Revoked)
	for _, k := range peer.Sig {
		if revoked[k.KID] {
			out.Revoked = append(out.Revoked, KeyInfo{Use: UseSig, KID: k.KID})
		} else {
			out.Sig = append(out.Sig, k)
		}
	}
	for _, k := range peer.Enc {
		if revoked[k.KID] {
			out.Revoked = append(out.Revoked, KeyInfo{Use: UseEnc, KID: k.KID})
		} else {
			out.Enc = append(out.Enc, k)
		}
	}
	return &out
}
