// Package frame holds what is said on a link: messages, the ack vector, the claims of a line, file names.
//
// It has values only, no input or output. PROTOCOL: docs/protocol.md. A frame is one file; it is a
// sequence of lines; each line is one sealed token whose claims are a Claims value.
package frame

// Limits of what a peer may send. Each one bounds memory or work that a bad peer could cause.
const (
	// Version is the only value of the claim "v" that this format has.
	Version = 1
	// MaxMessage is the largest encoded message, in bytes: what one message may cost in a line's claims.
	MaxMessage = 64 << 10
	// LineTarget is where packing closes a line, in bytes of claims: long enough that the token's fixed cost is small.
	LineTarget = 64 << 10
	// MaxClaims is the largest claims text accepted, in bytes.
	MaxClaims = 1 << 20
	// MaxLine is the longest line accepted, in bytes of token.
	MaxLine = 2 << 20
	// MaxLines is the largest number of lines in a file.
	MaxLines = 4096
	// MaxFile is the largest frame file, in bytes.
	MaxFile = 64 << 20
	// MaxBody is the largest decompressed body of one message, in bytes.
	MaxBody = 64 << 10
	// MaxOOO is the largest number of out-of-order ranges in one ack.
	MaxOOO = 64
	// MaxSeen is the largest number of ranges of file numbers in rx.seen.
	MaxSeen = 32
	// MaxCut is the largest number of entries in rx.cut.
	MaxCut = 16
	// MaxUnmet is the largest number of runs in unmet.
	MaxUnmet = 16
	// MaxEpoch bounds ep and pep: unix milliseconds below 2^42, so that ep x 1000 fits 16 digits.
	MaxEpoch = 1 << 42
	// MaxSeq bounds file numbers: 16 decimal digits.
	MaxSeq = 9_999_999_999_999_999
	// MaxID bounds message ids: exact in every JSON reader (2^53 - 1).
	MaxID = 1<<53 - 1
	// SeqPerEpoch is how many file numbers an epoch millisecond spans: seq starts at ep x SeqPerEpoch.
	SeqPerEpoch = 1000
)
