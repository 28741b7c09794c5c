package identity

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a Secret shows in place of its bytes.
const Redacted = "[redacted]"

// Secret holds bytes that must never be shown: keys, pre-shared secrets, tokens. Whatever prints, logs or marshals it
// gets Redacted. The bytes lie behind a function, so that fmt shows an address at most when a Secret is an unexported
// field of another struct: there fmt may not call the methods, and with a wrong verb it follows even pointers. The zero
// Secret is empty. Secrets do not change and may
// be used by several goroutines.
type Secret struct{ bytes func() []byte }

// NewSecret takes a copy of b.
func NewSecret(b []byte) Secret {
	c := append([]byte(nil), b...)
	return Secret{bytes: func() []byte { return c }}
}

// Reveal gives a copy of the bytes, for the one place that needs them.
func (s Secret) Reveal() []byte {
	if s.bytes == nil {
		return nil
	}
	return append([]byte(nil), s.bytes()...)
}

// Len is the number of bytes held.
func (s Secret) Len() int {
	if s.bytes == nil {
		return 0
	}
	return len(s.bytes())
}

// Equal compares in constant time (for secrets of one length).
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), o.Reveal()) == 1
}

// String gives Redacted.
func (s Secret) String() string { return Redacted }

// GoString gives Redacted (%#v).
func (s Secret) GoString() string { return Redacted }

// Format gives Redacted for every verb and flag, %x and %d too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalJSON gives Redacted as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText gives Redacted.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }
