package seal

import "github.com/hoft/hoft/pkg/frame"

// openSigned is checks 4 to 10 of a line in signed mode: a signed token that is not encrypted.
func (o *Opener) openSigned(name frame.Name, from *opening, line []byte, t *token) (*frame.Claims, *Error) {
	if err := t.signedShape(line, from.psk != nil); err != nil {
		return nil, err
	}
	payload, err := verifySignature(from, line, t)
	if err != nil {
		return nil, err
	}
	c, err := o.claims(name, payload)
	if err != nil {
		return nil, err
	}
	if from.psk != nil && c.Rkt != from.psk.kid || from.psk == nil && o.enc[c.Rkt] == nil {
		return nil, refuse(10, Claims, "rkt is not a live key of this site")
	}
	return c, nil
}

// signedShape is checks 4 to 6 of a line in signed mode.
func (t *token) signedShape(line []byte, psk bool) *Error {
	if len(line) > frame.MaxLine {
		return refuse(4, Size, "line longer than %d bytes", frame.MaxLine)
	}
	if msg := split(line, t.jws[:]); msg != "" {
		return refuse(5, Charset, msg)
	}
	if len(t.jws[0]) == 0 || len(t.jws[1]) == 0 {
		return refuse(5, Charset, "header or payload is empty")
	}
	if !t.signature(psk) {
		return refuse(5, Charset, "signature of a wrong length for the suite")
	}
	if msg := parseHeader(t.jws[0], &t.inner); msg != "" {
		return refuse(6, Header, msg)
	}
	if msg := t.inner.inner(psk, typSigned); msg != "" {
		return refuse(6, Header, msg)
	}
	return nil
}
