package config

import (
	"strings"
)

// Where a secret may be besides a file: a key that ends with _file takes these too.
const (
	CredentialPrefix = "credential:" // a file below systemd's $CREDENTIALS_DIRECTORY
	EnvPrefix        = "env:"        // a variable
)

// elsewhere says whether a secret is named that lies in no file of its own.
func elsewhere(s string) bool {
	return strings.HasPrefix(s, CredentialPrefix) || strings.HasPrefix(s, EnvPrefix)
}

// secret checks where a secret is said to be; "" is none.
func (v *checker) secret(key, s string) {
	const mend = "name a file, credential:NAME or env:NAME"
	if name, ok := strings.CutPrefix(s, CredentialPrefix); ok && (name == "" || strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".")) {
		v.bad(key, "", "names no credential", mend)
	}
	if name, ok := strings.CutPrefix(s, EnvPrefix); ok && (name == "" || strings.ContainsAny(name, "=\x00 ")) {
		v.bad(key, "", "names no variable", mend)
	}
}
