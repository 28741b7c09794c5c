package httpfields

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
)

// Digest checks a body against its Content-Digest field while it passes (RFC 9530 section 2). Algorithms other than
// the two active ones are passed over, as are values that are no byte sequence.
type Digest struct {
	sums []sum
}

type sum struct {
	name string
	h    hash.Hash
	want []byte
}

// NewDigest gives what checks the body of a message with these fields; nil when there is nothing to check.
func NewDigest(fields exchange.Fields) *Digest { return NewDigestOf(fields, "Content-Digest") }

// NewDigestOf is NewDigest by another field of the same form: Repr-Digest (RFC 9530 section 3).
func NewDigestOf(fields exchange.Fields, field string) *Digest {
	d := &Digest{}
	for _, member := range List(fields, field) {
		name, value, _ := strings.Cut(member, "=")
		value, _, _ = strings.Cut(strings.TrimSpace(value), ";")
		text, ok := strings.CutPrefix(strings.TrimSpace(value), ":")
		if text, ok = cutSuffix(text, ok); !ok {
			continue
		}
		want, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "sha-256":
			d.sums = append(d.sums, sum{name, sha256.New(), want})
		case "sha-512":
			d.sums = append(d.sums, sum{name, sha512.New(), want})
		}
	}
	if len(d.sums) == 0 {
		return nil
	}
	return d
}

func cutSuffix(s string, ok bool) (string, bool) {
	s, closed := strings.CutSuffix(s, ":")
	return s, ok && closed
}

// Add takes the next bytes of the body. A nil Digest takes anything.
func (d *Digest) Add(p []byte) {
	if d == nil {
		return
	}
	for _, s := range d.sums {
		_, _ = s.h.Write(p) // a hash takes everything
	}
}

// Wrong names the algorithm whose digest the whole body does not have, "" if all agree.
func (d *Digest) Wrong() string {
	if d == nil {
		return ""
	}
	for _, s := range d.sums {
		if !bytes.Equal(s.h.Sum(nil), s.want) {
			return s.name
		}
	}
	return ""
}
