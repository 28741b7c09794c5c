package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hoft/hoft/pkg/config"
)

// ErrSecret is what is wrong with a token, password or other secret that a configuration names.
var ErrSecret = errors.New("not a usable secret")

// SecretPath gives the file that a secret is read from; "" where it comes from a variable.
func SecretPath(source string) string {
	if name, ok := strings.CutPrefix(source, config.CredentialPrefix); ok {
		return filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), name)
	}
	if strings.HasPrefix(source, config.EnvPrefix) {
		return ""
	}
	return source
}

// LoadSecret reads a secret of at least least bytes from where the configuration says it is: a file that
// nobody else may read, credential:NAME (systemd.exec, LoadCredential=) or env:NAME. Line ends behind it are no
// part of it. The error names the source, never what is in it.
func LoadSecret(source string, least int) (Secret, error) {
	data, err := secretBytes(source)
	if err != nil {
		return Secret{}, err
	}
	data = bytes.TrimRight(data, "\r\n")
	refuse := func(detail, mend string) (Secret, error) {
		return Secret{}, &FileError{File: source, Err: ErrSecret, Detail: detail, Mend: mend}
	}
	switch {
	case len(data) == 0:
		return refuse("it is empty", "put the secret there")
	case len(data) < least:
		return refuse(fmt.Sprintf("it has %d bytes, fewer than %d", len(data), least), "make one with: openssl rand -base64 32")
	case len(data) > maxFile:
		return refuse(fmt.Sprintf("it has more than %d bytes", maxFile), "")
	}
	return NewSecret(data), nil
}

func secretBytes(source string) ([]byte, error) {
	if name, ok := strings.CutPrefix(source, config.EnvPrefix); ok {
		value, set := os.LookupEnv(name)
		if !set {
			return nil, &FileError{File: source, Err: ErrMissing, Detail: "this variable is not set", Mend: "set it for the process of hoft"}
		}
		return []byte(value), nil
	}
	if strings.HasPrefix(source, config.CredentialPrefix) && os.Getenv("CREDENTIALS_DIRECTORY") == "" {
		return nil, &FileError{File: source, Err: ErrMissing, Detail: "$CREDENTIALS_DIRECTORY is not set",
			Mend: "start hoft by systemd with LoadCredential=, or name a file"}
	}
	data, err := readPrivate(SecretPath(source))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &FileError{File: source, Err: ErrMissing, Mend: "put the secret there, mode 0600"}
	}
	return data, err
}
