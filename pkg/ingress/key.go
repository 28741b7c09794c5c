package ingress

import (
	"net/http"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
)

const (
	keyField = "Idempotency-Key"
	maxKey   = 255 // bytes
)

// idempotencyKey reads the caller's key: a string (RFC 9651 section 3.3.3, as the draft has it) or, as many clients send
// it, the bare characters.
func idempotencyKey(h http.Header) (string, *exchange.Problem) {
	lines := h[keyField]
	if len(lines) == 0 {
		return "", nil
	}
	s := strings.TrimSpace(lines[0])
	quoted := len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"'
	if quoted {
		s = unquote(s)
	}
	if bad := !quoted && strings.ContainsAny(s, ` ",`) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }); bad || s == "" || len(s) > maxKey || len(lines) > 1 {
		return "", exchange.Problemf(exchange.CodeBadRequest, `field %s: write one string of 1 to %d printable ASCII characters, as in "8e03978e-40d5-43dd-bc93-6894a57f9324"`, keyField, maxKey)
	}
	return s, nil
}
