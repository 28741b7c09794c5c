package link

import (
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/planted"
)

// forked says whether a line shows that the peer's state is doubled or was set back within its epoch
// (PROTOCOL "Epochs": fork). Nothing of such a frame may be applied: its ids and file numbers were used
// before for something else. Genuine old or replayed frames never look like this.
//
// Every start of a site draws a run: its first file number, its first message id, random bits. Both
// numbers are durably reserved before use, so a newer run begins above all that older runs can have used.
func (l *Link) forked(c *frame.Claims) bool {
	r, known := c.Run, l.st.PeerRun
	switch {
	case planted.Bug == planted.Rollback:
		return false
	case known == (frame.Run{}):
	case r.Rand == known.Rand:
		return l.forgot(c, l.runFloor)
	case r.FirstSeq == known.FirstSeq:
		return true // two runs that began at the same place
	case r.FirstSeq < known.FirstSeq: // late, from an older run
		return c.Seq >= known.FirstSeq || len(c.Msg) > 0 && c.Msg[len(c.Msg)-1].ID >= known.FirstID
	case r.FirstID <= l.highest() || r.FirstSeq <= l.top:
		return true // newer, but what it has begun with was used already
	case l.forgot(c, l.st.AckedContig):
		return true
	default:
		l.runFloor = l.st.AckedContig
	}
	l.st.PeerRun = r
	l.dirty = true
	return false
}

// forgot says whether the peer has less of our messages than its earlier runs said: what is acked is durable, so its
// state was set back.
func (l *Link) forgot(c *frame.Claims, floor uint64) bool {
	return c.Ack != nil && c.Pep == l.st.Epoch && c.Ack.Contig < floor
}

// highest is the highest message id received from the peer in this epoch.
func (l *Link) highest() uint64 {
	hi := l.st.Contig
	for _, r := range []frame.Ranges{l.st.OOO, l.staging, l.fresh} {
		if m, ok := r.Max(); ok {
			hi = max(hi, m)
		}
	}
	return hi
}
