package admin

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hoft/hoft/pkg/identity"
)

// TokenFile is the file in the state folder that holds the operator's token.
const TokenFile = "admin.token"

// loadToken reads the token of a state folder, or makes it: 256 random bits, for this user's eyes alone.
func loadToken(stateDir string) (string, error) {
	path := filepath.Join(stateDir, TokenFile)
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make the operator's token: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(b[:])
	err := identity.CreateFile(path, []byte(token+"\n")) // half a token would be refused at every start
	if errors.Is(err, fs.ErrExist) {
		return readToken(path)
	}
	if err != nil {
		return "", fmt.Errorf("make the operator's token: %w", err)
	}
	return token, nil
}

// minToken is the shortest token accepted, in characters: somebody may write one by hand.
const minToken = 20

func readToken(path string) (string, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return "", fmt.Errorf("the operator's token: %w", err)
	}
	if !fi.Mode().IsRegular() || runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s: open to other users or no file (mode %v): run chmod 600 on it, or remove it to have a new token made", path, fi.Mode())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the operator's token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if len(token) < minToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s: not one word of at least %d characters: remove it to have a new token made", path, minToken)
	}
	return token, nil
}
