package forge

import (
	"strings"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// Epoch is the epoch that all forged claims are of.
const Epoch = 1_763_798_400_123

// Seq is the n-th file number of the epoch.
func Seq(n uint64) uint64 { return Epoch*frame.SeqPerEpoch + n }

// Name is the name of a frame.
func Name(from, to identity.ID, seq uint64) frame.Name {
	return frame.Name{Recipient: to, Sender: from, Seq: seq, Ext: frame.ExtFrame}
}

// Claims are right claims of line idx of a file with n lines; they hold one message with pad bytes of
// text in its data.
func Claims(from, to identity.ID, rkt string, seq uint64, idx, n, pad int) []byte {
	id := uint64(100 + idx)
	c := frame.Claims{
		V: frame.Version, Iss: from, Aud: to, Rkt: rkt, Ep: Epoch, Pep: Epoch - 100_000, Seq: seq, Idx: idx, Fin: idx == n-1,
		Iat: 1_763_798_401, Jti: "q83vASNFZ4mrze8BI0VniQ", Run: frame.Run{FirstSeq: Seq(1), FirstID: 50, Rand: [8]byte{1, 2, 3}}, Base: 90,
	}
	if idx == 0 || c.Fin {
		last := uint64(100 + n)
		c.Last = &last
		c.Ack = &frame.Ack{Contig: 15, OOO: frame.Ranges{{17, 17}, {20, 31}}}
		c.Rx = &frame.Rx{Top: 42, Dly: 12, Seen: frame.Ranges{{1, 40}, {42, 42}}, Cut: []frame.Cut{{41, 1000}}}
	}
	tail, err := frame.EncodeTail(frame.KindReq, []byte(`{"method":"GET","target":"/`+strings.Repeat("x", pad)+`"}`), []byte("a body"), true)
	must(err)
	return c.Append(nil, [][]byte{tail.WithID(id)})
}
