package chunk

import (
	"fmt"

	"github.com/zeebo/blake3"
)

// sum is the hash of a ciphertext.
func sum(ct []byte) Sum { return blake3.Sum256(ct) }

// Verify checks a ciphertext against an announcement: length, then hash. ErrDamaged otherwise.
func (r *Record) Verify(ct []byte) error {
	if int64(len(ct)) != r.Len {
		return fmt.Errorf("%w: %d bytes, want %d", ErrDamaged, len(ct), r.Len)
	}
	if sum(ct) != r.Hsh {
		return fmt.Errorf("%w: the bytes do not have the hash %s", ErrDamaged, r.Hsh)
	}
	return nil
}

// Open checks and opens the ciphertext of a chunk, in the order of docs/security.md: length, hash, tag, then
// decompression into no more than the map states. ct is overwritten. The result lies in ct or in buf, whose capacity
// is used where it suffices. Errors are ErrDamaged (fetch it again) and ErrMap (its sender made it so).
//
// For e.Lvl > 0 the result is the JSON of a map node; use openNode to have it checked.
func (e *Entry) Open(ct, buf []byte) ([]byte, error) {
	if err := e.checkSealed(len(ct)); err != nil {
		return nil, err
	}
	if sum(ct) != e.Hsh {
		return nil, fmt.Errorf("%w: the bytes do not have the hash %s", ErrDamaged, e.Hsh)
	}
	return e.openVerified(ct, buf)
}

// openVerified is Open of bytes whose hash was checked when they came: one pass less. Bytes that changed since do not open
// either, but then the error cannot tell whose fault it is. Plain bytes have nothing but their hash: see openFrom.
func (e *Entry) openVerified(ct, buf []byte) ([]byte, error) {
	if err := e.checkSealed(len(ct)); err != nil {
		return nil, err
	}
	if e.Alg == AlgPlain {
		return ct, nil
	}
	hdr := headerOf(e.Alg, e.Lvl)
	z, err := e.Phs.aead().Open(ct[:0], e.Phs.expand(labelNonce, nonceLen), ct, hdr[:])
	if err != nil {
		return nil, fmt.Errorf("%w: hash and key do not belong together (%s)", ErrMap, e)
	}
	if e.Alg == AlgNone {
		return z, nil
	}
	return e.inflate(z, buf)
}

// checkSealed tests the length of a ciphertext against the map.
func (e *Entry) checkSealed(n int) error {
	z := int64(n - Overhead)
	if e.Alg == AlgPlain {
		if int64(n) != e.Len || n == 0 || n > MaxChunk {
			return fmt.Errorf("%w: %d bytes are not %d", ErrDamaged, n, e.Len)
		}
		return nil
	}
	switch {
	case n <= Overhead || n > MaxSealed:
		return fmt.Errorf("%w: %d bytes are no chunk", ErrDamaged, n)
	case e.Lvl == 0 && e.Alg == AlgNone && z != e.Len, e.Lvl == 0 && e.Alg != AlgNone && z >= e.Len:
		return fmt.Errorf("%w: %d bytes do not hold %d", ErrDamaged, n, e.Len)
	}
	return nil
}

// inflate decompresses z. A node's length is not in the map, so MaxChunk bounds it; the sum of its entries is checked instead.
func (e *Entry) inflate(z, buf []byte) ([]byte, error) {
	want := e.Len
	if e.Lvl > 0 {
		want = MaxChunk
	}
	if int64(cap(buf)) < want {
		buf = make([]byte, want)
	}
	plain, err := decompress(buf[:0:want], z)
	if err != nil {
		return nil, fmt.Errorf("%w: %s does not decompress to its length: %w", ErrMap, e, err)
	}
	if e.Lvl == 0 && int64(len(plain)) != want {
		return nil, fmt.Errorf("%w: %s decompresses to %d bytes", ErrMap, e, len(plain))
	}
	return plain, nil
}

// openNode opens a chunk of level 1 or more and checks its node: entries of the level below, as many bytes as promised.
func (e *Entry) openNode(ct, buf []byte) ([]Entry, error) {
	text, err := e.Open(ct, buf)
	if err != nil {
		return nil, err
	}
	entries, size, err := parseEntries(text, false)
	if err != nil {
		return nil, fmt.Errorf("node of %s: %w", e, err)
	}
	if entries[0].Lvl != e.Lvl-1 || size != e.Len {
		return nil, fmt.Errorf("%w: node of %s has entries of level %d for %d bytes", ErrMap, e, entries[0].Lvl, size)
	}
	return entries, nil
}
