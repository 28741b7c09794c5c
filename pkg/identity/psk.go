package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// pskPrefix begins every pre-shared secret, so that no passphrase is taken for one.
const pskPrefix = "hoft-psk-1:"

// pskLen is the length of a pre-shared secret and of the keys made of it, in bytes.
const pskLen = 32

// PSK is a 256-bit secret that two sites share in place of public keys. The zero PSK is of no use.
type PSK struct{ secret Secret }

// NewPSK makes a random one. There are no passphrases.
func NewPSK() (PSK, error) {
	var b [pskLen]byte
	if _, err := rand.Read(b[:]); err != nil {
		return PSK{}, fmt.Errorf("make a pre-shared secret: %w", err)
	}
	return PSK{secret: NewSecret(b[:])}, nil
}

// ParsePSK reads "hoft-psk-1:" and 32 bytes in base64url, with at most one line end behind; file is its name, for errors.
func ParsePSK(text []byte, file string) (PSK, error) {
	line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	secret, found := strings.CutPrefix(line, pskPrefix)
	b, ok := unb64(secret, pskLen)
	if !found || !ok {
		return PSK{}, &FileError{File: file, Err: ErrPSK, Detail: "it is not one line of " + pskPrefix + " and 43 characters",
			Mend: "make one with: hoft keys psk --out FILE"}
	}
	return PSK{secret: NewSecret(b)}, nil
}

// LoadPSK reads a file with a pre-shared secret, which nobody else may be able to read.
func LoadPSK(path string) (PSK, error) {
	data, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return PSK{}, &FileError{File: path, Err: ErrMissing, Mend: "make one with: hoft keys psk --out " + path}
	}
	if err != nil {
		return PSK{}, err
	}
	return ParsePSK(data, path)
}

// Create writes the secret into a new file (0600); an existing one gives ErrExists.
func (p PSK) Create(path string) error {
	err := createFile(path, p.Encode(), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &FileError{File: path, Err: ErrExists, Mend: "name another file with --out, or delete this one if no peer uses it"}
	}
	return err
}

// Encode gives the file's content: the secret in clear.
func (p PSK) Encode() []byte { return []byte(pskPrefix + b64(p.secret.Reveal()) + "\n") }

// Bytes gives a copy of the 32 bytes, for the one package that derives keys from them (pkg/seal).
func (p PSK) Bytes() []byte { return p.secret.Reveal() }
