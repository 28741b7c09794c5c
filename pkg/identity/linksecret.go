package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// linksFolder is where a state folder keeps the secrets that decide how this site's chunks look (pkg/chunk).
const linksFolder = "links"

// linkPrefix begins the content of such a file, so that no other secret is taken for one.
const linkPrefix = "hoft-link-1:"

// linkLen is the length of the secret in bytes.
const linkLen = 32

// LinkSecret gives the secret under which site me seals chunks for peer, from links/<me>--<peer>.secret; with the zero
// peer that of data which the site keeps for itself, from links/<me>.secret. What is not there is made. The secret never
// leaves the site: a peer needs none to open what it gets. Deleting the file (while hoft is stopped) makes a new
// one at the next start; that costs nothing but that data sent before is sent once more.
func LinkSecret(stateDir string, me, peer ID) (Secret, error) {
	folder := filepath.Join(stateDir, linksFolder)
	name := me.String()
	if !peer.IsZero() {
		name += "--" + peer.String()
	}
	path := filepath.Join(folder, name+".secret")
	data, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := ownFolder(folder); err != nil {
			return Secret{}, err
		}
		return createLinkSecret(path)
	}
	if err != nil {
		return Secret{}, err
	}
	line := strings.TrimSuffix(string(data), "\n")
	text, found := strings.CutPrefix(line, linkPrefix)
	b, ok := unb64(text, linkLen)
	if !found || !ok {
		return Secret{}, &FileError{File: path, Err: ErrFormat, Detail: "it is not one line of " + linkPrefix + " and 43 characters",
			Mend: "delete it; a new one is made, and data that was sent before is sent once more"}
	}
	return NewSecret(b), nil
}

func createLinkSecret(path string) (Secret, error) {
	var b [linkLen]byte
	if _, err := rand.Read(b[:]); err != nil {
		return Secret{}, fmt.Errorf("make a secret for chunks: %w", err)
	}
	if err := createFile(path, []byte(linkPrefix+b64(b[:])+"\n"), 0o600); err != nil {
		return Secret{}, err
	}
	return NewSecret(b[:]), nil
}
