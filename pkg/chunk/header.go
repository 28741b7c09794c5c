package chunk

// Alg says how a chunk's bytes are coded before they are sealed.
type Alg uint8

// The codings.
const (
	AlgNone Alg = 0
	AlgZstd Alg = 1
	// AlgPlain is of links in signed mode: the bytes are neither compressed nor encrypted.
	AlgPlain Alg = 2
)

// zstdWord and plainWord are AlgZstd and AlgPlain in a map; AlgNone has no word.
const (
	zstdWord  = "zstd"
	plainWord = "plain"
)

// String gives the word of a map, "none" for AlgNone.
func (a Alg) String() string {
	switch a {
	case AlgNone:
		return "none"
	case AlgZstd:
		return zstdWord
	case AlgPlain:
		return plainWord
	}
	return "unknown"
}

const headerText = "hoft/v1 chunk\x00"

// header is what phs and tag bind besides the content: a chunk of data can never be opened as a map, nor one coding as another.
type header [len(headerText) + 2]byte

func headerOf(alg Alg, lvl uint8) (h header) {
	copy(h[:], headerText)
	h[len(headerText)], h[len(headerText)+1] = byte(alg), lvl
	return h
}
