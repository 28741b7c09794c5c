package store

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// Batch is a list of changes that are committed together or not at all, in order.
// The zero value is empty and ready. Not safe for concurrent use.
type Batch struct {
	ops []op
}

// op is one change as a value; each store applies it in its own way.
type op interface{ isOp() }

type (
	putLink   struct{ Link }
	addOutbox struct{ Out }
	ackOutbox struct {
		peer identity.ID
		ids  frame.Ranges
		at   time.Time
	}
	dropOutbox struct {
		peer identity.ID
		ids  frame.Ranges
	}
	addSent  struct{ Sent }
	markSent struct {
		peer  identity.ID
		seqs  frame.Ranges
		state SentState
	}
	pruneSent struct {
		peer   identity.ID
		before uint64
	}
	addInbox struct{ In }
	setInbox struct {
		peer      identity.ID
		peerEpoch uint64
		id        uint64
		state     InState
		tries     int
	}
	dropInbox struct {
		peer      identity.ID
		peerEpoch uint64
		id        uint64
	}
	dropInboxExchange struct {
		exchange [16]byte
		below    int // attempts below this; -1: all
	}
	putExchange   struct{ Exchange }
	patchExchange struct {
		id   [16]byte
		side Side
		p    Patch
	}
	expireExchange struct{ id [16]byte }
	purgeExchange  struct{ id [16]byte }
	setMeta        struct {
		key   string
		value []byte
	}
)

func (putLink) isOp()           {}
func (addOutbox) isOp()         {}
func (ackOutbox) isOp()         {}
func (dropOutbox) isOp()        {}
func (addSent) isOp()           {}
func (markSent) isOp()          {}
func (pruneSent) isOp()         {}
func (addInbox) isOp()          {}
func (setInbox) isOp()          {}
func (dropInbox) isOp()         {}
func (dropInboxExchange) isOp() {}
func (putExchange) isOp()       {}
func (patchExchange) isOp()     {}
func (expireExchange) isOp()    {}
func (purgeExchange) isOp()     {}
func (setMeta) isOp()           {}

// Len gives the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// Truncate drops the changes from the n-th on: what a failed step had added.
func (b *Batch) Truncate(n int) { b.ops = b.ops[:n] }

// Append moves the changes of o behind those of b.
func (b *Batch) Append(o *Batch) {
	b.ops = append(b.ops, o.ops...)
	o.ops = nil
}

// PutLink stores the whole state of a link, replacing what was there.
func (b *Batch) PutLink(l Link) { b.ops = append(b.ops, putLink{l}) }

// AddOutbox stores a message to send. The batch fails with ErrExists if the peer's outbox holds the id un-acked.
func (b *Batch) AddOutbox(o Out) { b.ops = append(b.ops, addOutbox{o}) }

// AckOutbox marks messages as received by the peer: rows with Keep get the time, the others are deleted.
// Ids that the outbox does not hold, and those acked before, are passed over.
func (b *Batch) AckOutbox(peer identity.ID, ids frame.Ranges, at time.Time) {
	b.ops = append(b.ops, ackOutbox{peer, ids, at})
}

// DropOutbox deletes messages that are not acked: withdrawn ones. (Acked ones go with their exchange.)
func (b *Batch) DropOutbox(peer identity.ID, ids frame.Ranges) {
	b.ops = append(b.ops, dropOutbox{peer, ids})
}

// AddSent records a file that was written.
func (b *Batch) AddSent(s Sent) { b.ops = append(b.ops, addSent{s}) }

// MarkSent sets what became of files.
func (b *Batch) MarkSent(peer identity.ID, seqs frame.Ranges, state SentState) {
	b.ops = append(b.ops, markSent{peer, seqs, state})
}

// PruneSent deletes records of files below a number that are not in transit.
func (b *Batch) PruneSent(peer identity.ID, before uint64) {
	b.ops = append(b.ops, pruneSent{peer, before})
}

// AddInbox stores a received message. A message that is already there (peer, epoch and id) stays as it is.
func (b *Batch) AddInbox(i In) { b.ops = append(b.ops, addInbox{i}) }

// SetInbox changes state and tries of a received message.
func (b *Batch) SetInbox(peer identity.ID, peerEpoch, id uint64, state InState, tries int) {
	b.ops = append(b.ops, setInbox{peer, peerEpoch, id, state, tries})
}

// DropInbox deletes a received message.
func (b *Batch) DropInbox(peer identity.ID, peerEpoch, id uint64) {
	b.ops = append(b.ops, dropInbox{peer, peerEpoch, id})
}

// DropInboxExchange deletes what was received for an exchange: all of it, or (below >= 0) attempts below that one.
func (b *Batch) DropInboxExchange(exchange [16]byte, below int) {
	b.ops = append(b.ops, dropInboxExchange{exchange, below})
}

// PutExchange stores an exchange whole, replacing what was there (but for Expired).
func (b *Batch) PutExchange(e Exchange) { b.ops = append(b.ops, putExchange{e}) }

// PatchExchange changes some fields of an exchange; an unknown exchange is no error and changes nothing.
func (b *Batch) PatchExchange(id [16]byte, side Side, p Patch) {
	b.ops = append(b.ops, patchExchange{id, side, p})
}

// ExpireExchange deletes what was sent and received for an exchange and keeps its rows, marked Expired
// if they have ended. Messages that are not acked yet stay until their ack.
func (b *Batch) ExpireExchange(id [16]byte) { b.ops = append(b.ops, expireExchange{id}) }

// PurgeExchange deletes an exchange, both sides, with everything sent and received for it; messages
// that are not acked yet stay until their ack.
func (b *Batch) PurgeExchange(id [16]byte) { b.ops = append(b.ops, purgeExchange{id}) }

// SetMeta stores a value under a key.
func (b *Batch) SetMeta(key string, value []byte) { b.ops = append(b.ops, setMeta{key, value}) }
