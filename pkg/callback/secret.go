package callback

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/identity"
)

const (
	secretPrefix = "whsec_"
	// SecretFile is where the secret is in the state folder, where the configuration names no other.
	SecretFile = "callbacks.secret"
)

var errSecret = errors.New("callbacks.secret_file: write one or two lines of whsec_ and 24 to 64 bytes in base64")

// secrets sign callbacks (Standard Webhooks 1.0.0): with two of them both do, so that receivers can change over.
type secrets []identity.Secret

// keepSecrets reads the secrets from where the configuration says, and again when the file changes; "" is the state folder,
// where one is made at the first start.
func keepSecrets(source, stateDir string) (*identity.Kept, error) {
	if source == "" {
		source = filepath.Join(stateDir, SecretFile)
		if err := makeSecret(source); err != nil {
			return nil, fmt.Errorf("callbacks: make a secret: %w", err)
		}
	}
	text, err := identity.Keep(source, len(secretPrefix)+32)
	if err != nil {
		return nil, fmt.Errorf("callbacks: %w", err)
	}
	_, err = parseSecrets(text.Secret().Reveal())
	return text, err
}

// signing gives the secrets as they are now; a file that was changed to what is none leaves the old ones in force.
func (s *Sender) signing() secrets {
	now, err := parseSecrets(s.kept.Secret().Reveal())
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.secrets = now
	} else {
		s.log.Warn().Err(err).Msg("callbacks are signed with the secrets that were read before")
	}
	return s.secrets
}

func makeSecret(path string) error {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return err
	}
	err := identity.CreateFile(path, []byte(secretPrefix+base64.StdEncoding.EncodeToString(b[:])+"\n"))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func parseSecrets(text []byte) (out secrets, err error) {
	for line := range bytes.Lines(text) {
		s := strings.TrimSpace(string(line))
		if s == "" {
			continue
		}
		key, found := strings.CutPrefix(s, secretPrefix)
		b, err := base64.StdEncoding.DecodeString(key)
		if !found || err != nil || len(b) < 24 || len(b) > 64 {
			return nil, errSecret
		}
		out = append(out, identity.NewSecret(b))
	}
	if len(out) == 0 || len(out) > 2 {
		return nil, errSecret
	}
	return out, nil
}

// sign gives the value of webhook-signature over id, time and body.
func (s secrets) sign(id string, at time.Time, body []byte) string {
	var out []string
	for _, key := range s {
		mac := hmac.New(sha256.New, key.Reveal())
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(out, " ")
}
