package dataapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/ingress/callers"
)

// scope is what a token may do.
type scope uint8

const (
	read scope = 1 << iota
	write
)

// leastToken is the least length of a token in bytes: it is made by a machine.
const leastToken = 16

// tokens knows who may use the API. Safe for concurrent use.
type tokens struct {
	source string // "": nobody is asked
	table  atomic.Pointer[[]token]
	files  callers.Watch
	log    zerolog.Logger
}

// token is one line of the file. Digests have one length, so comparing them tells nothing of the token.
type token struct {
	name string
	may  scope
	sum  [sha256.Size]byte
}

func newTokens(source string, log zerolog.Logger) (*tokens, error) {
	t := &tokens{source: source, log: log}
	if source == "" {
		return t, nil
	}
	t.files.Add(identity.SecretPath(source))
	table, err := readTokens(source)
	if err != nil {
		return nil, err
	}
	t.table.Store(&table)
	return t, nil
}

// readTokens reads lines of a name, scopes and a token; empty lines and those that begin with # are passed over. Errors
// never quote a token.
func readTokens(source string) ([]token, error) {
	text, err := identity.LoadSecret(source, 1)
	if err != nil {
		return nil, fmt.Errorf("tokens_file: %w", err)
	}
	var out []token
	n := 0
	for line := range strings.Lines(string(text.Reveal())) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		t, err := parseToken(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("tokens_file: %s line %d: %w", source, n, err)
		}
		for _, other := range out {
			if other.name == t.name || other.sum == t.sum {
				return nil, fmt.Errorf("tokens_file: %s line %d: the name or the token is that of %s too; give each its own", source, n, other.name)
			}
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("tokens_file: %s holds no token; write a line as in: backup read,write TOKEN", source)
	}
	return out, nil
}

func parseToken(words []string) (t token, err error) {
	if len(words) != 3 {
		return t, fmt.Errorf("it has %d words; write a name, scopes and a token, as in: backup read,write TOKEN", len(words))
	}
	t.name = words[0]
	for s := range strings.SplitSeq(words[1], ",") {
		switch s {
		case "read":
			t.may |= read
		case "write":
			t.may |= write
		default:
			return t, fmt.Errorf("the second word names an unknown scope; write read, write, or read,write")
		}
	}
	if len(words[2]) < leastToken {
		return t, fmt.Errorf("the token has fewer than %d bytes; make one with: openssl rand -base64 32", leastToken)
	}
	t.sum = sha256.Sum256([]byte(words[2]))
	return t, nil
}

// identify gives the name and scopes of whoever asks; ok is false for unknown ones. Everybody may do everything, without
// a name, where nobody is asked.
func (t *tokens) identify(r *http.Request) (name string, may scope, ok bool) {
	if t.source == "" {
		return "", read | write, true
	}
	values := r.Header["Authorization"]
	if len(values) != 1 { // two readers could see two clients
		return "", 0, false
	}
	scheme, given, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", 0, false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
	for _, x := range t.fresh() { // all of them, so that the time tells nothing
		if subtle.ConstantTimeCompare(sum[:], x.sum[:]) == 1 {
			name, may, ok = x.name, x.may, true
		}
	}
	return name, may, ok
}

// fresh is the table, read again if the file changed. What cannot be read leaves the old one in force.
func (t *tokens) fresh() []token {
	t.files.Changed(func() {
		table, err := readTokens(t.source)
		if err != nil {
			t.log.Error().Err(err).Msg("the tokens of the Data API could not be read again; the old ones stay in force")
			return
		}
		t.table.Store(&table)
		t.log.Info().Msg("the tokens of the Data API were read again")
	})
	return *t.table.Load()
}
