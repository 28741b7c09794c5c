package seal

import (
	"bytes"

	"github.com/hoft/hoft/pkg/frame"
)

// Outer is what one line shows to everybody, without any key.
type Outer struct {
	// Bytes is the length of the line without its newline.
	Bytes int
	// Parts are the lengths in characters of header, encrypted key, initialization vector, ciphertext
	// and tag. All zero when the line is no token.
	Parts [5]int
	// Signed says that the line is a signed token that is not encrypted; then Parts are the lengths of header,
	// payload and signature.
	Signed bool
	// Alg, Enc and Kid are the header's; Kid names the key that the line is sealed to. They are set once
	// the header could be read, even if it is then refused. At most 1 KiB of printable ASCII.
	Alg, Enc, Kid string
	// SigAlg and SigKid are those of the signed token's header; set once it could be read.
	SigAlg, SigKid string
	// PSK says that the header is of the suite with a pre-shared secret.
	PSK bool
	// Err is what check 5 or 6 refuses, or nil.
	Err *Error
}

// Inspect reports what can be said of a line without keys. A newline at its end is ignored.
func Inspect(line []byte) Outer {
	var t token
	return t.inspect(bytes.TrimSuffix(line, []byte("\n")))
}

func (t *token) inspect(line []byte) Outer {
	out := Outer{Bytes: len(line), Signed: bytes.Count(line, []byte(".")) == 2}
	if out.Signed {
		out.PSK = len(line)-bytes.LastIndexByte(line, '.')-1 == len32
		out.Err = t.signedShape(line, out.PSK)
		t.report(&out)
		return out
	}
	if out.Err = t.shape(line); out.Err != nil {
		return out
	}
	out.PSK = len(t.jwe[1]) > 0 // no peer is known here, so the shape tells the suite
	out.Err = t.header(out.PSK)
	t.report(&out)
	return out
}

func (t *token) report(out *Outer) {
	for i, p := range t.jwe {
		out.Parts[i] = len(p)
	}
	if out.Signed {
		for i, p := range t.jws {
			out.Parts[i] = len(p)
		}
	}
	out.Alg, out.Enc, out.Kid = string(t.outer.alg), string(t.outer.enc), string(t.outer.kid)
	out.SigAlg, out.SigKid = string(t.inner.alg), string(t.inner.kid)
}

// Inner is what a line shows to who can open it.
type Inner struct {
	Outer
	// Claims is set when every check passed. Message data and bodies may hold secrets: what is shown of
	// them is the caller's to choose.
	Claims *frame.Claims
}

// Inspect opens a line as Line does and reports on the way; Err says which check failed, and nil that
// none did. What needs several lines of a file (idx, fin) is not tested. A newline at the end is ignored.
func (o *Opener) Inspect(name frame.Name, line []byte) Inner {
	line = bytes.TrimSuffix(line, []byte("\n"))
	from, err := o.sender(name)
	if err != nil {
		out := Inner{Outer: Inspect(line)}
		out.Err = err
		return out
	}
	var t token
	out := Inner{Outer: Outer{Bytes: len(line), PSK: from.psk != nil, Signed: from.signed}}
	out.Claims, out.Err = o.open(name, from, line, &t)
	t.report(&out.Outer)
	return out
}
