package chunk

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// minCompress is the length in bytes below which compressing is not tried.
	minCompress = 128
	// window is how far back zstd looks, in bytes: a chunk's usual length. A larger one costs memory and gains little.
	window = 1 << 20
	// maxWindow is what a decoder accepts, in bytes.
	maxWindow = 8 << 20
	// Pieces of this many bytes are tried before a chunk is compressed: data that is packed already must cost next to nothing.
	pieceLen = 4 << 10
	pieces   = 8
)

// worthwhile says whether compressing n bytes to z saves at least 5 %.
func worthwhile(z, n int) bool { return z <= n-n/20 }

// encoder is reused: dear to make. EncodeAll starts afresh each time, so no two chunks share a context.
type encoder struct {
	zstd        *zstd.Encoder
	sample, out []byte
}

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // options are constants
	}
	return &encoder{zstd: e}
}}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // options are constants
	}
	return d
}}

// promising compresses a few pieces of data and says whether all of it may be worth it.
func (e *encoder) promising(data []byte) bool {
	if len(data) <= pieces*pieceLen {
		return true
	}
	e.sample = e.sample[:0]
	step := (len(data) - pieceLen) / (pieces - 1)
	for i := range pieces {
		e.sample = append(e.sample, data[i*step:][:pieceLen]...)
	}
	e.out = e.zstd.EncodeAll(e.sample, e.out[:0])
	return worthwhile(len(e.out), len(e.sample))
}

// compress appends data to dst, compressed; ok is false when that saves too little. dst is then worthless.
func compress(dst, data []byte) (z []byte, ok bool) {
	if len(data) < minCompress {
		return dst, false
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	if !e.promising(data) {
		return dst, false
	}
	z = e.zstd.EncodeAll(data, dst)
	return z, worthwhile(len(z)-len(dst), len(data))
}

// decompress appends z to dst, decompressed, within the capacity of dst.
func decompress(dst, z []byte) ([]byte, error) {
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	return d.DecodeAll(z, dst)
}
