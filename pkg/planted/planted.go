// Package planted names defects that can be built in to see whether the simulation finds them: the test of the test.
//
// An ordinary build has none: Bug is the constant None, and the compiler leaves out whatever depends on it. With the
// tag planted, as in "go test -tags planted -run TestPlanted/ack_early ./internal/sim", Bug is a variable that a test sets.
// scripts/ci/planted tries each. A new defect is a constant here, its name in chosen.go, the one line of
// code that does wrong, and an entry in internal/sim/planted_test.go that says which invariant must notice.
package planted

// Defect is one way of doing wrong.
type Defect int

// The defects.
const (
	None Defect = iota
	// OldPairAck: an ack of an epoch pair that is over is applied.
	OldPairAck
	// NameReuse: a new epoch is chosen without regard to the file names of the life before.
	NameReuse
	// Splice: what came of one attempt of an answer is joined to what comes of the next.
	Splice
	// Rollback: runs that begin with ids or file numbers used before, or with less than was acked, go unnoticed.
	Rollback
	// Distance: what lies far above the first gap is not taken, whatever the number of ranges.
	Distance
	// IntentLate: the callee is called before the intent is durable.
	IntentLate
	// AckEarly: what came is acked before its receipt is durable.
	AckEarly
	// AcceptEarly: a call is accepted before it is durable.
	AcceptEarly
	// ResendEarly: the timer for writing again knows nothing of the round trip.
	ResendEarly
	// HaveEarly: the peer is told that chunks are here before they are synced.
	HaveEarly
	// ShipEarly: a part of a body is given to the link, and its call accepted, before its chunks are synced.
	ShipEarly
	// LinkedPack: a pack in the outbox is the chunk store's own file, which whoever has the outbox may change.
	LinkedPack
	// AdoptUnread: a pack is taken over from the pipe without being read.
	AdoptUnread
	// ConsumeEarly: a file of the inbox is removed before what it carried is durable.
	ConsumeEarly
)
