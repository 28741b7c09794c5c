package frame

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"
)

// Kind says what a message means. Kinds are short lower-case words; a peer's caps list those it takes.
type Kind string

// The kinds of version 1 (docs/protocol.md, "Exchanges" and "Packs and chunks").
const (
	KindReq    Kind = "req"
	KindRes    Kind = "res"
	KindBody   Kind = "body"
	KindWin    Kind = "win"
	KindAbort  Kind = "abort"
	KindCancel Kind = "cancel"
	KindStage  Kind = "stage"
	KindPack   Kind = "pack"
	KindHave   Kind = "have"
	KindProbe  Kind = "probe"
	KindWant   Kind = "want"
	KindFetch  Kind = "fetch"
	KindGone   Kind = "gone"
	KindKeys   Kind = "keys"
)

// Enc says how a message's body bytes are coded.
type Enc string

// The two codings of a body.
const (
	EncNone Enc = ""
	EncZstd Enc = "zstd"
)

// Message is the unit of reliable delivery.
//
// Data is a JSON object of the kind's own fields; Body is bytes that belong to it (a part of an HTTP
// body), coded as Enc says. Only the body is ever compressed, each by itself: header fields and
// secrets never share a compression context with bytes that somebody else chose.
type Message struct {
	ID   uint64         `json:"id"`
	Kind Kind           `json:"kind"`
	Data jsontext.Value `json:"data"`
	Enc  Enc            `json:"enc,omitzero"`
	Body Bytes          `json:"body,omitempty"`
}

// ErrBody is returned when a message's body does not decompress within MaxBody.
var ErrBody = errors.New("message body does not decode")

// ErrTooLarge is returned when an encoded message would exceed MaxMessage.
var ErrTooLarge = errors.New("message too large")

// Plain gives the body's own bytes: at most MaxBody, or ErrBody. The result may share m.Body.
func (m *Message) Plain() ([]byte, error) {
	switch m.Enc {
	case EncNone:
		if len(m.Body) > MaxBody {
			return nil, ErrBody
		}
		return m.Body, nil
	case EncZstd:
		if len(m.Body) == 0 {
			return nil, ErrBody
		}
		d := decoders.Get().(*decoder)
		defer decoders.Put(d)
		out, err := d.zstd.DecodeAll(m.Body, d.buf[:0]) // its capacity is the bound
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrBody, err)
		}
		return append(make([]byte, 0, len(out)), out...), nil
	}
	return nil, ErrBody
}

// decoder and encoder are reused, with room for the largest result: both are dear to make.
type decoder struct {
	zstd *zstd.Decoder
	buf  []byte
}

type encoder struct {
	zstd *zstd.Encoder
	buf  []byte
}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // options are constants
	}
	return &decoder{zstd: d, buf: make([]byte, MaxBody)}
}}

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(64<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // options are constants
	}
	return &encoder{zstd: e}
}}

// minCompress is the body size in bytes below which compressing is not tried: it saves nothing there.
const minCompress = 128

// Tail is an encoded message without its id: what a sender prepares before the link gives the id.
type Tail []byte

// EncodeTail encodes kind, data (a JSON object) and body. The body is compressed where that saves 5 %
// and compress is set. It fails with ErrTooLarge when the body exceeds MaxBody, or the message MaxMessage.
func EncodeTail(kind Kind, data, body []byte, compress bool) (Tail, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%w: body of %d bytes, at most %d", ErrTooLarge, len(body), MaxBody)
	}
	enc := EncNone
	if compress && len(body) >= minCompress {
		e := encoders.Get().(*encoder)
		defer encoders.Put(e) // e.buf is in use until the base64 below is written
		e.buf = e.zstd.EncodeAll(body, e.buf[:0])
		if len(e.buf) <= len(body)-len(body)/20 {
			body, enc = e.buf, EncZstd
		}
	}
	return Retail(kind, data, enc, body)
}

// Retail encodes a message whose body is coded already, see EncodeTail.
func Retail(kind Kind, data []byte, enc Enc, body []byte) (Tail, error) {
	n := len(`"kind":"","data":,"enc":"zstd","body":""}`) + len(kind) + len(data) + base64.RawURLEncoding.EncodedLen(len(body))
	t := make(Tail, 0, n)
	t = append(t, `"kind":"`...)
	t = append(t, kind...)
	t = append(t, `","data":`...)
	t = append(t, data...)
	if enc != EncNone {
		t = append(t, `,"enc":"`...)
		t = append(t, enc...)
		t = append(t, '"')
	}
	if len(body) > 0 {
		t = append(t, `,"body":"`...)
		t = base64.RawURLEncoding.AppendEncode(t, body)
		t = append(t, '"')
	}
	t = append(t, '}')
	if len(t)+len(`{"id":9007199254740991,`) > MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(t), MaxMessage)
	}
	return t, nil
}

// WithID gives the encoded message: the bytes that go to the outbox row and to the line alike.
func (t Tail) WithID(id uint64) []byte {
	b := make([]byte, 0, len(t)+24)
	b = append(b, `{"id":`...)
	b = strconv.AppendUint(b, id, 10)
	b = append(b, ',')
	return append(b, t...)
}

// Bytes is a byte string that is base64url without padding in JSON (RFC 4648 section 5).
type Bytes []byte

var strictURL = base64.RawURLEncoding.Strict()

// MarshalJSONTo writes the base64url string.
func (b Bytes) MarshalJSONTo(e *jsontext.Encoder) error {
	return e.WriteToken(jsontext.String(base64.RawURLEncoding.EncodeToString(b)))
}

// UnmarshalJSONFrom reads exactly what MarshalJSONTo writes: no padding, no escapes, no spare bits.
func (b *Bytes) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	if len(v) < 2 || v[0] != '"' {
		return errors.New("want a base64url string")
	}
	in := v[1 : len(v)-1]
	for _, c := range in {
		if c == '\n' || c == '\r' {
			return errors.New("line break in base64url")
		}
	}
	out, err := strictURL.AppendDecode(make([]byte, 0, strictURL.DecodedLen(len(in))), in)
	if err != nil {
		return err
	}
	*b = out
	return nil
}
