package chunk

import "encoding/binary"

// Sizes of chunks in bytes. A chunk is not cut before minCut, seldom before normalCut, soon after it, and always at MaxChunk.
const (
	minCut    = 256 << 10
	normalCut = 1 << 20
	fixedCut  = 1 << 20
)

// A cut is made behind a byte where all bits of a mask are zero in the rolling hash: 20 bits before normalCut, 16 after
// it (Xia et al., FastCDC, USENIX ATC 2016: gear hash, normalized chunking). Bit 63 is left out, so that the hash may be
// tested shifted by one, see scan. The bits lie high, because bit n depends on the last n+1 bytes.
//
// Where only the bits of maskLeap are zero, which all masks share, the next leap bytes are passed over: that happens every
// 32 KiB, so three quarters of the bytes are never looked at, and the masks for cuts have two bits less (Jin et al.,
// jump-based chunking, IEEE TCC 2023). Because the content says where to leap, two copies soon look at the same places
// again.
const (
	maskBefore uint64 = 0x5555555555 << 24 // bits 24, 26, … 62
	maskAfter  uint64 = 0x55555555 << 32   // bits 32, 34, … 62
	maskLeap   uint64 = 0x15555555 << 34   // bits 34, 36, … 62
	leap              = 96 << 10
)

const gearLen = 256 * 8

// gear is a random number per byte value, from the Secret: who does not know it cannot tell from the lengths of chunks
// what the data is (no strong promise, see docs/security.md).
type gear struct {
	one, two [256]uint64 // two: shifted by one
}

func newGear(random []byte) (g gear) {
	for i := range g.one {
		g.one[i] = binary.LittleEndian.Uint64(random[8*i:])
		g.two[i] = g.one[i] << 1
	}
	return g
}

// cutter finds where a chunk ends while its bytes come in.
type cutter struct {
	g    *gear  // nil: cut at fixed lengths
	hash uint64 // of the bytes from minCut, or from where the last leap went to, up to pos
	pos  int    // bytes of the chunk that were looked at or passed over; may lie behind what has come
}

// scan looks at the bytes of a chunk from where the last call ended; b begins with the chunk. It gives the length of the
// chunk when it ends in b, and 0 when more bytes are needed.
func (c *cutter) scan(b []byte) int {
	if c.g == nil {
		if len(b) >= fixedCut {
			return fixedCut
		}
		return 0
	}
	if len(b) <= minCut {
		return 0
	}
	c.pos = max(c.pos, minCut)
	if n := c.roll(b[:min(len(b), normalCut)], maskBefore); n > 0 {
		return n
	}
	if n := c.roll(b[:min(len(b), MaxChunk)], maskAfter); n > 0 {
		return n
	}
	if len(b) >= MaxChunk {
		return MaxChunk
	}
	return 0
}

// roll moves the hash over b[pos:] and gives the place behind the first byte that makes a cut, or 0. Two bytes go in one
// step (Xia et al., IEEE TPDS 2020): after the first the hash is one place further left than it should be, and so is the
// mask it is tested with.
func (c *cutter) roll(b []byte, mask uint64) int {
	for c.pos < len(b) {
		h, end := c.toLeap(b)
		if !end {
			return 0
		}
		if h&mask == 0 {
			return c.pos
		}
		c.hash, c.pos = 0, c.pos+leap
	}
	return 0
}

// toLeap moves hash and place behind the first byte where maskLeap fits, and gives the hash there; false: it is not in b.
func (c *cutter) toLeap(b []byte) (uint64, bool) {
	h, i := c.hash, c.pos
	one, two := &c.g.one, &c.g.two
	for ; i+1 < len(b); i += 2 {
		pair := b[i : i+2 : i+2]
		h = h<<2 + two[pair[0]]
		if h&(maskLeap<<1) == 0 {
			c.pos = i + 1
			return h >> 1, true
		}
		h += one[pair[1]]
		if h&maskLeap == 0 {
			c.pos = i + 2
			return h, true
		}
	}
	if i < len(b) {
		h = h<<1 + one[b[i]]
		i++
	}
	c.hash, c.pos = h, i
	return h, h&maskLeap == 0
}

// reset begins the next chunk.
func (c *cutter) reset() { c.hash, c.pos = 0, 0 }
