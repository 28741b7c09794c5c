package store

import (
	"fmt"
	"math"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// Check refuses what a column cannot hold. Commit does so before anything is applied, so a batch of one caller never fails
// the group it is committed with; who must not fail then asks before.
func (b *Batch) Check() error {
	for _, o := range b.ops {
		if err := checkOp(o); err != nil {
			return err
		}
	}
	return nil
}

func checkOp(o op) error {
	switch o := o.(type) {
	case putLink:
		return checkLink(&o.Link)
	case addOutbox:
		return checkNumbers("outbox row", o.ID)
	case ackOutbox:
		return checkRanges("ack", o.ids)
	case dropOutbox:
		return checkRanges("withdrawal", o.ids)
	case addSent:
		if err := checkRanges("sent file", o.IDs); err != nil {
			return err
		}
		return checkNumbers("sent file", o.Seq)
	case markSent:
		return checkRanges("sent files", o.seqs)
	case addInbox:
		return checkNumbers("inbox row", o.PeerEpoch, o.ID)
	case setInbox:
		return checkNumbers("inbox row", o.peerEpoch, o.id)
	case dropInbox:
		return checkNumbers("inbox row", o.peerEpoch, o.id)
	case putPack:
		return checkSeq(o.Seq)
	case dropPack:
		return checkSeq(o.seq)
	case changeChunks:
		return checkChunks(&o.Change)
	case putExchange:
		return checkNumbers("exchange", o.Oep)
	}
	return nil
}

func checkLink(l *Link) error {
	for _, r := range []frame.Ranges{l.OOO, l.AckedOOO, l.Seen} {
		if err := checkRanges("link", r); err != nil {
			return err
		}
	}
	return checkNumbers("link", l.Epoch, l.PeerEpoch, l.LastID, l.SeqReserved, l.Contig, l.PeerBase, l.PeerLast, l.AckedContig)
}

func checkNumbers(what string, ns ...uint64) error {
	for _, n := range ns {
		if n > math.MaxInt64 {
			return fmt.Errorf("store: %s: number %d is too large", what, n)
		}
	}
	return nil
}

func checkRanges(what string, r frame.Ranges) error {
	if !r.Valid() {
		return fmt.Errorf("store: %s: ranges are not in order", what)
	}
	return nil
}

func checkChunks(c *chunk.Change) error {
	for _, f := range c.Files {
		if f.ID < 0 || f.Size < 0 {
			return fmt.Errorf("store: chunk file: %d of %d bytes", f.ID, f.Size)
		}
	}
	for _, r := range c.Add {
		if !r.Valid() || r.File < 0 || r.At < 0 || r.End() < 0 {
			return fmt.Errorf("store: chunk of %d bytes at %d of file %d", r.Len, r.At, r.File)
		}
	}
	return nil
}
