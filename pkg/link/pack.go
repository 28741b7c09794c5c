package link

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// TakeSeq gives the number of a pack: packs and frames of a link share one counter. ok is false when no number
// is reserved, or nothing may be written: the peer's epoch is not known yet, or the link has stopped.
func (l *Link) TakeSeq() (seq uint64, ok bool) {
	if l.stopped != "" || l.st.PeerEpoch == 0 || l.nextSeq >= l.reserved {
		return 0, false
	}
	seq = l.nextSeq
	l.nextSeq++
	if l.nextSeq+seqAhead > l.st.SeqReserved {
		l.urgent = true // reserve more
	}
	return seq, true
}

// GotPack tells that a pack of the peer was handled: it takes part in the feedback by file as frames do.
func (l *Link) GotPack(now time.Time, seq uint64, size int64, whole bool) {
	l.stats.FilesRead++
	l.stats.BytesRead += uint64(size)
	if l.st.PeerEpoch != 0 && seq/frame.SeqPerEpoch >= l.st.PeerEpoch {
		l.handled(now, File{Seq: seq, Size: size, Whole: whole, Cut: !whole})
	}
}

// WrotePack counts a pack that was written; its size teaches as that of a frame does.
func (l *Link) WrotePack(seq uint64, size int64) {
	l.stats.FilesWritten++
	l.stats.BytesWritten += uint64(size)
	l.size.wrote(seq, size, 0)
}

// PeerCaps is what the peer said last that it takes. Not to be changed.
func (l *Link) PeerCaps() []string { return l.st.PeerCaps }

// SmallTrip is how long a small file's round trip may take: the time after which something should have been heard.
func (l *Link) SmallTrip() time.Duration { return l.rtt.timeout(l.cfg.AckDelay) }
