package chunk

import "encoding/binary"

// Sizes of chunks in bytes. A chunk is not cut before minCut, seldom before normalCut, soon after it, and always at MaxChunk.
const (
	minCut    = 256 << 10
	normalCut = 1 << 20
	fixedCut  = 1 << 20
)

// A cut is made where all bits of a mask are zero in the rolling hash: 22 bits before normalCut, 18 after it
// ("normalized chunking" of FastCDC). Bit 63 is left out, so that the hash may be tested one step late, see cut.
// The bits lie high: bit n depends on the last n+1 bytes.
const (
	maskBefore uint64 = 0x55555555555 << 20 // bits 20, 22, … 62
	maskAfter  uint64 = 0x555555555 << 28   // bits 28, 30, … 62
)

const gearLen = 256 * 8

// gear is a random number per byte value, from the Secret: whoever does not know it does not know where data is cut. (That is
// no strong promise: see docs/security.md.)
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
