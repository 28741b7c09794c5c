// Package identity holds who a site is and whom it trusts: key files, peers, fingerprints.
package identity

import (
	"encoding/hex"
	"errors"
)

// ID names one site: a UUID, written in lower case everywhere (file names compare byte by byte).
// The zero ID names nobody.
type ID [16]byte

// ErrID is returned for text that is not a canonical lower-case UUID.
var ErrID = errors.New("not a lower-case UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")

// ParseID reads the canonical form only (RFC 9562 section 4, lower case): one site has one spelling.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, ErrID
	}
	compact := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	for i := 0; i < len(compact); i++ {
		if c := compact[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ID{}, ErrID
		}
	}
	if _, err := hex.Decode(id[:], []byte(compact)); err != nil {
		return ID{}, ErrID
	}
	return id, nil
}

// IsZero says whether the ID names nobody.
func (id ID) IsZero() bool { return id == ID{} }

// String gives the canonical lower-case form.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return string(b[:])
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; see ParseID.
func (id *ID) UnmarshalText(b []byte) error {
	got, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = got
	return nil
}
