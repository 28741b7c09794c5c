package chunk

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// blob is bytes that are base64url without padding in JSON, in their one spelling: no padding, escapes or spare bits.
type blob []byte

var strictURL = base64.RawURLEncoding.Strict()

// UnmarshalJSONFrom reads a JSON string. Its errors do not quote the text, which may be a secret.
func (b *blob) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	if len(v) < 2 || v[0] != '"' || bytes.ContainsAny(v, "\r\n") {
		return errNotBlob
	}
	in := v[1 : len(v)-1]
	out, err := strictURL.AppendDecode(make([]byte, 0, strictURL.DecodedLen(len(in))), in)
	if err != nil {
		return errNotBlob
	}
	*b = out
	return nil
}

var errNotBlob = errors.New("want a base64url string")

// badJSON reports the place of an error in a map and not the text, which is secret.
func badJSON(err error) error {
	if se, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("%w: JSON error at byte %d", ErrMap, se.ByteOffset)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: JSON ends early", ErrMap)
	}
	return fmt.Errorf("%w: not the JSON of a map", ErrMap)
}

func newBytesReader(b []byte) io.Reader { return bytes.NewBuffer(b[:len(b):len(b)]) }
