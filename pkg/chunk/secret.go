package chunk

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what secrets show in place of their bytes.
const Redacted = "[redacted]"

// Secret decides what equal data looks like: under one Secret equal chunks have equal names and bytes, under two nothing
// is equal. A site has one per peer that it sends to, and one for its own Data API (pkg/identity keeps both); it never
// leaves the site, and readers do not need it. A body that is to be equal to nothing gets a fresh one (NewSecret).
type Secret [32]byte

// NewSecret makes a random one.
func NewSecret() (Secret, error) {
	var s Secret
	if _, err := rand.Read(s[:]); err != nil {
		return Secret{}, fmt.Errorf("make a chunk secret: %w", err)
	}
	return s, nil
}

// String gives Redacted.
func (Secret) String() string { return Redacted }

// GoString gives Redacted (%#v).
func (Secret) GoString() string { return Redacted }

// Format gives Redacted for every verb, %x and %d too.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalJSON gives Redacted as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }

// Phs is the pre-hash of a chunk, from which its key, nonce and name follow: the capability to open it. It shows
// Redacted wherever it is printed or marshaled; only Map.Encode writes it.
type Phs [32]byte

// String gives Redacted.
func (Phs) String() string { return Redacted }

// GoString gives Redacted (%#v).
func (Phs) GoString() string { return Redacted }

// Format gives Redacted for every verb, %x and %d too.
func (Phs) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalJSON gives Redacted as a JSON string.
func (Phs) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// LogValue implements slog.LogValuer.
func (Phs) LogValue() slog.Value { return slog.StringValue(Redacted) }

// Labels of the derivations (docs/protocol.md, "Chunks").
const (
	labelPhs   = "hoft/v1 chunk phs"
	labelCut   = "hoft/v1 cdc table"
	labelKey   = "hoft/v1 chunk key"
	labelNonce = "hoft/v1 chunk nonce"
	labelName  = "hoft/v1 chunk name"
	labelPlain = "hoft/v1 plain name"
)

// derive is HKDF-SHA256 without salt (RFC 5869).
func (s *Secret) derive(label string, n int) []byte {
	b, err := hkdf.Key(sha256.New, s[:], nil, label, n)
	if err != nil {
		panic(err) // the lengths are constants
	}
	return b
}

// expand is HKDF-Expand with SHA-256: a phs is uniform already (RFC 5869 section 3.3).
func (p *Phs) expand(label string, n int) []byte {
	b, err := hkdf.Expand(sha256.New, p[:], label, n)
	if err != nil {
		panic(err) // the lengths are constants
	}
	return b
}

// Name gives the name of the chunk.
func (p *Phs) Name() Name { return Name(p.expand(labelName, len(Name{}))) }
