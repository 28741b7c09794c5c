package frame

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoft/hoft/pkg/identity"
)

// Ack says which message ids its writer has stored durably, of one (ep, pep) pair.
// Invariant: every number in OOO is above Contig + 1.
type Ack struct {
	Contig uint64 `json:"contig"`
	OOO    Ranges `json:"ooo"`
	// Full says that a new out-of-order range would not be taken: send the lowest ids first.
	Full bool `json:"full,omitzero"`
}

// Cut reports a file that came shorter than it was written: its number and the bytes that came.
type Cut [2]uint64

// Rx is the feedback by file.
type Rx struct {
	// Top is the highest file number handled, 0 for none.
	Top uint64 `json:"top"`
	// Dly is the time from handling Top to sealing this, in milliseconds.
	Dly int64 `json:"dly"`
	// Seen is the files handled whole, newest ranges kept.
	Seen Ranges `json:"seen"`
	// Cut is the files that came cut.
	Cut []Cut `json:"cut"`
	// Run is the random bits of the newest run that has shown what it has, zero before the first.
	Run Rand `json:"run,omitzero"`
}

// Run marks one process run of the sender: its first file number, its first message id, 64 random bits.
type Run struct {
	FirstSeq, FirstID uint64
	Rand              Rand
}

// Rand is the random bits by which a process run is known.
type Rand [8]byte

// String gives base64url, nothing for the zero value.
func (r Rand) String() string {
	if r == (Rand{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(r[:])
}

// MarshalJSONTo writes base64url.
func (r Rand) MarshalJSONTo(e *jsontext.Encoder) error {
	return e.WriteToken(jsontext.String(base64.RawURLEncoding.EncodeToString(r[:])))
}

// UnmarshalJSONFrom reads exactly 64 bits.
func (r *Rand) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var b Bytes
	if err := json.UnmarshalDecode(d, &b); err != nil {
		return err
	}
	if len(b) != len(r) {
		return errors.New("run: want 64 random bits")
	}
	copy(r[:], b)
	return nil
}

// Claims is what one line says. Optional parts are nil or zero.
type Claims struct {
	V   int         `json:"v"`
	Iss identity.ID `json:"iss"`
	Aud identity.ID `json:"aud"`
	Rkt string      `json:"rkt"`
	Ep  uint64      `json:"ep"`
	Pep uint64      `json:"pep"`
	Seq uint64      `json:"seq"`
	Idx int         `json:"idx"`
	Fin bool        `json:"fin,omitzero"`
	Iat int64       `json:"iat"`
	Jti string      `json:"jti"`
	Run Run         `json:"run"`
	// Unmet is the earlier runs of the epoch, in their order, of which the sender has not heard that the recipient has
	// compared what they have, or a later one.
	Unmet []Run  `json:"unmet,omitempty"`
	Base  uint64 `json:"base"`
	// Last, Ack and Rx come on the first and the last line only.
	Last *uint64   `json:"last,omitzero"`
	Ack  *Ack      `json:"ack,omitzero"`
	Rx   *Rx       `json:"rx,omitzero"`
	Caps []string  `json:"caps,omitempty"`
	Fork bool      `json:"fork,omitzero"`
	Msg  []Message `json:"msg,omitempty"`
}

// ErrClaims is wrapped by every error of ParseClaims.
var ErrClaims = errors.New("claims refused")

// ErrVersion is returned by ParseClaims for a claims object whose "v" is not Version.
var ErrVersion = fmt.Errorf("%w: unsupported version", ErrClaims)

// MarshalJSONTo writes [first seq, first id, "random"].
func (r Run) MarshalJSONTo(e *jsontext.Encoder) error { return e.WriteValue(r.append(nil)) }

func (r Run) append(b []byte) []byte {
	b = append(b, '[')
	b = strconv.AppendUint(b, r.FirstSeq, 10)
	b = append(b, ',')
	b = strconv.AppendUint(b, r.FirstID, 10)
	b = append(b, `,"`...)
	b = base64.RawURLEncoding.AppendEncode(b, r.Rand[:])
	return append(b, `"]`...)
}

// UnmarshalJSONFrom reads exactly three elements.
func (r *Run) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return errors.Join(errors.New("run: want an array of three"), err)
	}
	for _, p := range []any{&r.FirstSeq, &r.FirstID, &r.Rand} {
		if err := json.UnmarshalDecode(d, p); err != nil {
			return err
		}
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != ']' {
		return errors.Join(errors.New("run: want an array of three"), err)
	}
	return nil
}

// Append writes the claims as JSON behind dst, with msgs (encoded messages, see Tail.WithID) in place of c.Msg.
func (c *Claims) Append(dst []byte, msgs [][]byte) []byte {
	b := append(dst, `{"v":`...)
	b = strconv.AppendInt(b, int64(c.V), 10)
	b = appendString(b, `,"iss":"`, c.Iss.String())
	b = appendString(b, `,"aud":"`, c.Aud.String())
	b = appendString(b, `,"rkt":"`, c.Rkt)
	b = appendUint(b, `,"ep":`, c.Ep)
	b = appendUint(b, `,"pep":`, c.Pep)
	b = appendUint(b, `,"seq":`, c.Seq)
	b = appendUint(b, `,"idx":`, uint64(c.Idx))
	if c.Fin {
		b = append(b, `,"fin":true`...)
	}
	b = append(b, `,"iat":`...)
	b = strconv.AppendInt(b, c.Iat, 10)
	b = appendString(b, `,"jti":"`, c.Jti)
	b = append(b, `,"run":`...)
	b = c.Run.append(b)
	if len(c.Unmet) > 0 {
		b = append(b, `,"unmet":[`...)
		for i, u := range c.Unmet {
			if i > 0 {
				b = append(b, ',')
			}
			b = u.append(b)
		}
		b = append(b, ']')
	}
	b = appendUint(b, `,"base":`, c.Base)
	if c.Last != nil {
		b = appendUint(b, `,"last":`, *c.Last)
	}
	if c.Ack != nil {
		b = c.Ack.append(append(b, `,"ack":`...))
	}
	if c.Rx != nil {
		b = c.Rx.append(append(b, `,"rx":`...))
	}
	if len(c.Caps) > 0 {
		b = append(b, `,"caps":[`...)
		for i, s := range c.Caps {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, `"`, s)
		}
		b = append(b, ']')
	}
	if c.Fork {
		b = append(b, `,"fork":true`...)
	}
	if len(msgs) > 0 {
		b = append(b, `,"msg":[`...)
		for i, m := range msgs {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, m...)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func (a *Ack) append(b []byte) []byte {
	b = appendUint(b, `{"contig":`, a.Contig)
	b = appendPairs(append(b, `,"ooo":`...), a.OOO)
	if a.Full {
		b = append(b, `,"full":true`...)
	}
	return append(b, '}')
}

func (x *Rx) append(b []byte) []byte {
	b = appendUint(b, `{"top":`, x.Top)
	b = append(b, `,"dly":`...)
	b = strconv.AppendInt(b, x.Dly, 10)
	b = appendPairs(append(b, `,"seen":`...), x.Seen)
	b = appendPairs(append(b, `,"cut":`...), x.Cut)
	if x.Run != (Rand{}) {
		b = appendString(b, `,"run":"`, x.Run.String())
	}
	return append(b, '}')
}

func appendPairs[P ~[2]uint64](b []byte, pairs []P) []byte {
	b = append(b, '[')
	for i, x := range pairs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendUint(appendUint(b, `[`, x[0]), `,`, x[1])
		b = append(b, ']')
	}
	return append(b, ']')
}

func appendUint(b []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(b, key...), n, 10)
}

// appendString writes a value that needs no escaping: ids, base64url and caps are made of such characters only.
func appendString(b []byte, key, v string) []byte {
	return append(append(append(b, key...), v...), '"')
}

// absent is a number out of every range.
const absent = ^uint64(0)

// ParseClaims decodes strictly: unknown or repeated members, wrong case, bad UTF-8, wrong types and
// numbers out of range are refused. It checks the claims by themselves; what they must agree with
// (file name, keys) is the opener's to check.
func ParseClaims(b []byte) (*Claims, error) {
	if len(b) > MaxClaims {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrClaims, MaxClaims)
	}
	c := Claims{Pep: absent, Seq: absent, Idx: -1, Iat: -1, Run: Run{FirstSeq: absent}} // a missing member is out of range
	if err := json.Unmarshal(b, &c, json.RejectUnknownMembers(true)); err != nil {
		if v, ok := peekVersion(b); ok && v != Version {
			return nil, ErrVersion // a later version may have members that this one does not know
		}
		return nil, fmt.Errorf("%w: not JSON of the members and types of version 1%s", ErrClaims, where(err))
	}
	if c.V != Version {
		return nil, ErrVersion
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrClaims, err)
	}
	return &c, nil
}

// where tells the place of a decoding error. It repeats no value: data and bodies may be secret.
func where(err error) string {
	var p jsontext.Pointer
	if se, ok := errors.AsType[*json.SemanticError](err); ok {
		p = se.JSONPointer
	} else if se, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		p = se.JSONPointer
	}
	const most = 64 // a pointer has names in it that the sender chose
	switch {
	case p == "":
		return ""
	case len(p) > most:
		return fmt.Sprintf(", at %q…", string(p[:most]))
	}
	return fmt.Sprintf(", at %q", string(p))
}

func peekVersion(b []byte) (v int, ok bool) {
	var x struct {
		V *int `json:"v"`
	}
	if err := json.Unmarshal(b, &x); err != nil || x.V == nil {
		return 0, false
	}
	return *x.V, true
}
