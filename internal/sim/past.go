package sim

import (
	"strconv"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
)

const (
	// pastFiles is how many files each direction has seen before a run begins, of sites that are veterans: more than
	// frame.SeqPerEpoch, so that the names of an epoch have run over into those of the next milliseconds.
	pastFiles = 2500
	// pastMessages is how many messages they carried.
	pastMessages = 9000
)

// givePast has the sites begin in the middle of a long conversation.
func (w *World) givePast() {
	if !w.plan.Veteran {
		return
	}
	epoch := func(s *site) uint64 { return uint64(began.Add(-30*24*time.Hour).UnixMilli()) + uint64(s.n) }
	for _, s := range w.sites {
		var b store.Batch
		for _, o := range w.sites {
			if o == s {
				continue
			}
			own, pep := epoch(s), epoch(o)
			first, theirs := own*frame.SeqPerEpoch, pep*frame.SeqPerEpoch
			for seq := first; seq < first+pastFiles; seq++ {
				w.book.inFile[frame.Name{Recipient: o.id, Sender: s.id, Seq: seq, Ext: w.frameExt(s, o)}] = nil
			}
			b.PutLink(store.Link{Peer: o.id, Epoch: own, PeerEpoch: pep, LastID: pastMessages, SeqReserved: first + pastFiles,
				Contig: pastMessages, PeerBase: pastMessages + 1, PeerLast: pastMessages, AckedContig: pastMessages,
				Runs: []byte(`{"confirmed":true}`), PeerCaps: exchange.Caps(false), LastSeen: began.Add(-time.Minute), Seen: frame.Ranges{{theirs, theirs + pastFiles - 1}}})
		}
		b.SetMeta("horizon_ms", strconv.AppendInt(nil, began.Add(-30*24*time.Hour).UnixMilli(), 10))
		if err := s.disk.Apply(&b); err != nil {
			panic(err)
		}
	}
}
