package frame_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// bodies are what messages carry: nothing, text that compresses, bytes that do not, sizes at bounds.
func bodies() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 40_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return [][]byte{
		nil, []byte("x"), []byte(`{"name":"value"}`), []byte(strings.Repeat(`{"name":"value","n":1},`, 700)),
		noise, noise[:127], noise[:128], make([]byte, 128), make([]byte, frame.MaxBody),
	}
}

// bombs are zstd frames that decode to more than a body may be, or are not one plain frame.
func bombs(tb testing.TB) [][]byte {
	tb.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	defer enc.Close()
	half := enc.EncodeAll(make([]byte, frame.MaxBody/2+1), nil)
	var stream bytes.Buffer // a frame that does not tell its size
	w, err := zstd.NewWriter(&stream, zstd.WithEncoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	for range 64 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return [][]byte{
		enc.EncodeAll(make([]byte, 64<<20), nil),
		enc.EncodeAll(make([]byte, frame.MaxBody+1), nil),
		append(bytes.Clone(half), half...),
		stream.Bytes(),
	}
}

// encodeAndParse sends a body through a tail, claims and the decoder.
func encodeAndParse(tb testing.TB, body []byte, compress bool) *frame.Message {
	tb.Helper()
	tail, err := frame.EncodeTail(frame.KindBody, []byte(`{"offset":7}`), body, compress)
	if err != nil {
		tb.Fatal(err)
	}
	c := testClaims()
	got, err := frame.ParseClaims(c.Append(nil, [][]byte{tail.WithID(100)}))
	if err != nil {
		tb.Fatal(err)
	}
	return &got.Msg[0]
}

func testClaims() *frame.Claims {
	last := uint64(200)
	return &frame.Claims{
		V: frame.Version, Iss: identity.ID{1}, Aud: identity.ID{2}, Rkt: strings.Repeat("A", 43), Ep: 1763798400123, Seq: 1763798400123001,
		Fin: true, Iat: 1763798401, Jti: strings.Repeat("A", 22), Base: 1, Last: &last, Ack: &frame.Ack{}, Rx: &frame.Rx{},
	}
}

func TestBodies(t *testing.T) {
	for i, body := range bodies() {
		for _, compress := range []bool{false, true} {
			if len(body) == frame.MaxBody && !compress {
				continue // does not fit uncompressed
			}
			m := encodeAndParse(t, body, compress)
			if m.ID != 100 || m.Kind != frame.KindBody || string(m.Data) != `{"offset":7}` {
				t.Errorf("body %d: %+v", i, m)
			}
			got, err := m.Plain()
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("body %d (compress %v) came out with %d bytes, want %d: %v", i, compress, len(got), len(body), err)
			}
			if m.Enc == frame.EncZstd && (!compress || len(m.Body) > len(body)-len(body)/20) {
				t.Errorf("body %d: compressed without need: %d to %d bytes", i, len(body), len(m.Body))
			}
			if compress && i == 3 && m.Enc != frame.EncZstd {
				t.Error("repetitive text was not compressed")
			}
		}
	}
}

func TestBombs(t *testing.T) {
	for i, bomb := range bombs(t) {
		m := frame.Message{Enc: frame.EncZstd, Body: bomb}
		if out, err := m.Plain(); !errors.Is(err, frame.ErrBody) || out != nil {
			t.Errorf("bomb %d of %d bytes: %d bytes came out, %v", i, len(bomb), len(out), err)
		}
	}
	for _, m := range []frame.Message{
		{Enc: "gzip", Body: []byte("x")}, {Enc: frame.EncZstd}, {Enc: frame.EncZstd, Body: []byte("x")}, {Body: make([]byte, frame.MaxBody+1)},
	} {
		if _, err := m.Plain(); err == nil {
			t.Errorf("coding %q of %d bytes was decoded", m.Enc, len(m.Body))
		}
	}
}

func TestTooLarge(t *testing.T) {
	noise := bodies()[4]
	if _, err := frame.EncodeTail(frame.KindBody, []byte(`{}`), append(noise, noise[:25_000]...), true); !errors.Is(err, frame.ErrTooLarge) {
		t.Errorf("65,000 bytes that do not compress: %v", err)
	}
	if _, err := frame.EncodeTail(frame.KindBody, []byte(`{}`), make([]byte, frame.MaxBody+1), true); !errors.Is(err, frame.ErrTooLarge) {
		t.Errorf("a body that the reader would refuse to decompress: %v", err)
	}
	// The largest message that EncodeTail makes is one that ParseClaims takes.
	lo, hi := 0, frame.MaxMessage
	for lo+1 < hi {
		mid := (lo + hi) / 2
		if _, err := frame.EncodeTail(frame.KindReq, []byte(`{}`), make([]byte, mid), false); err == nil {
			lo = mid
		} else {
			hi = mid
		}
	}
	if lo < 48_000 {
		t.Fatalf("only bodies up to %d bytes fit", lo)
	}
	if m := encodeAndParse(t, make([]byte, lo-40), false); len(m.Body) != lo-40 {
		t.Errorf("%d bytes came", len(m.Body))
	}
	data := []byte(`{"x":"` + strings.Repeat("y", frame.MaxMessage-100) + `"}`)
	tail, err := frame.EncodeTail(frame.KindReq, data, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := frame.ParseClaims(testClaims().Append(nil, [][]byte{tail.WithID(100)})); err != nil {
		t.Errorf("a message that fits is refused: %v", err)
	}
}

func TestConcurrentCoding(t *testing.T) {
	list := bodies()[:8]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				for _, body := range list {
					tail, err := frame.EncodeTail(frame.KindBody, []byte(`{}`), body, true)
					if err != nil {
						t.Error(err)
						return
					}
					c, err := frame.ParseClaims(testClaims().Append(nil, [][]byte{tail.WithID(1)}))
					if err != nil {
						t.Error(err)
						return
					}
					if got, err := c.Msg[0].Plain(); err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d bytes came, want %d: %v", len(got), len(body), err)
					}
				}
			}
		})
	}
	wg.Wait()
}
