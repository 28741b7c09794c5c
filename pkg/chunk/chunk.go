// Package chunk splits bodies into self-encrypted pieces, finds and opens them through data maps, and keeps the pieces on disk.
//
// A body is cut at places that its content gives (or at fixed ones), each piece is compressed where that saves, and
// sealed with a key that follows from its own bytes and a secret of this site (docs/protocol.md, "Chunks"):
//
//	phs = BLAKE3-keyed(K, hdr || z)    K from the Secret; z the bytes, compressed or not; hdr says which
//	key, nonce, name = HKDF(phs)       ct = AES-256-GCM(key, nonce, z, hdr)    hsh = BLAKE3(ct)
//
// On links in signed mode a chunk is the piece itself, and its name follows from its hash (plain.go).
//
// So the same piece under the same Secret gives the same bytes again, and is sent and stored once. The data map lists
// hsh, phs and length of each piece. Whoever has the map can open the data and needs no Secret: phs is secret key
// material and never appears in logs, names or output.
//
// The way of a body: a Writer takes the plaintext and gives sealed chunks in order to a sink, and the Map at the end.
// Chunks travel and lie on disk as records (AppendHeader, Pack). A Reader opens any range of a Map over a Source. A
// Store keeps records in files; which chunk lies where is in an Index that pkg/store implements.
package chunk

import (
	"encoding/binary"
	"encoding/hex"
)

// Limits. Each bounds what a peer or a file can cost; docs/protocol.md lists them.
const (
	// MaxChunk bounds the plaintext of one chunk in bytes, of maps too.
	MaxChunk = 4 << 20
	// Overhead is what sealing adds to a chunk in bytes: the tag of AES-GCM.
	Overhead = 16
	// MaxSealed bounds the ciphertext of one chunk in bytes.
	MaxSealed = MaxChunk + Overhead
	// HeaderLen is the length in bytes of a record's header: name and length.
	HeaderLen = 16 + 4
	// MaxEntries bounds the entries of one map node.
	MaxEntries = 65536
	// MaxLevel is the highest level of a map node; data has level 0.
	MaxLevel = 4
	// MaxInline bounds the content that a map holds itself, in bytes.
	MaxInline = 3000
	// MaxRoot is the length of a map's JSON in bytes above which a Writer stores it as chunks of the next level.
	MaxRoot = 3000
	// MaxSize bounds the data of one map in bytes: what JSON numbers hold exactly (RFC 8259 section 6).
	MaxSize = 1<<53 - 1
)

// Name finds a chunk: in records, packs and the store. It tells nothing of the content and is no secret.
type Name [16]byte

// String gives the name in hex.
func (n Name) String() string { return hex.EncodeToString(n[:]) }

// Sum is the BLAKE3-256 of a chunk's ciphertext. It is no secret.
type Sum [32]byte

// String gives the sum in hex.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// Record says which ciphertext a record of a pack holds: what a pack's announcement lists.
type Record struct {
	Name Name
	Hsh  Sum
	// Len is the length of the ciphertext in bytes: Overhead+1 to MaxSealed, or 1 to MaxChunk of plain bytes.
	Len int64
}

// Size is the length of the whole record in bytes, header included.
func (r Record) Size() int64 { return HeaderLen + r.Len }

// Valid says whether the length is one that a chunk can have.
func (r Record) Valid() bool { return r.Len > 0 && r.Len <= MaxSealed }

// AppendHeader appends the record's header: name(16) and length(4, big endian). The ciphertext follows it.
func (r Record) AppendHeader(dst []byte) []byte {
	dst = append(dst, r.Name[:]...)
	return binary.BigEndian.AppendUint32(dst, uint32(r.Len))
}
