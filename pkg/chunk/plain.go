package chunk

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// Chunks of links in signed mode: whoever looks into the pipe is to read them. Their bytes are the data's own, the hash
// stands in a signed map, and nothing about them is secret.

// NewPlainSealer makes a Sealer that neither encrypts nor compresses chunks of data. Nodes of a nested map are sealed under a
// secret that nobody has: such a map is not for use.
func NewPlainSealer() (*Sealer, error) {
	secret, err := NewSecret()
	if err != nil {
		return nil, err
	}
	s := NewSealer(secret)
	s.plain = true
	return s, nil
}

// leave makes a chunk of data as it is; dst may be data[:0].
func leave(dst, data []byte) Sealed {
	start := len(dst)
	dst = append(dst, data...)
	e := Entry{Hsh: sum(dst[start:]), Len: int64(len(data)), Alg: AlgPlain}
	return Sealed{Entry: e, Record: Record{Name: e.Name(), Hsh: e.Hsh, Len: e.Len}, Bytes: dst[start:]}
}

// plainName is the name of plain bytes with this hash.
func (s *Sum) plainName() Name {
	b, err := hkdf.Expand(sha256.New, s[:], labelPlain, len(Name{}))
	if err != nil {
		panic(err) // the lengths are constants
	}
	return Name(b)
}

// ParsePlainMap is ParseMap for links in signed mode: a list of plain chunks of data and nothing else, so that nothing passes
// by whoever reads along.
func ParsePlainMap(b []byte) (Map, error) {
	if len(b) > maxNodeText {
		return Map{}, fmt.Errorf("%w: %w: %d bytes of JSON", ErrMap, ErrTooLarge, len(b))
	}
	if jsontext.Value(b).Kind() != '[' {
		return Map{}, fmt.Errorf("%w: not a list of plain chunks", ErrMap)
	}
	entries, _, err := parseEntries(b, true)
	return Map{Entries: entries}, err
}
