package sim

import (
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// book is what the world knows and no site does.
type book struct {
	poured  int                     // messages of the flood
	half    map[direction]written   // in the middle of the calls
	inFile  map[frame.Name][]uint64 // every name ever put; where one message is held back, with the ids in it
	sealed  *sealedBook             // what the stand-in has sealed
	content map[sentID]uint64       // hash of every message ever written
	copies  int                     // how often messages were written
}

// direction is one direction of a link.
type direction struct{ from, to identity.ID }

// sentID names a message: the ids of a direction count on through the sender's epochs.
type sentID struct {
	direction
	life int // of the sender: ids begin again when its state is lost
	id   uint64
}

// received names a message as its receiver does.
type received struct {
	peer     identity.ID
	own, pep uint64 // the epoch pair
	id       uint64
}

func newBook() book {
	return book{inFile: map[frame.Name][]uint64{}, sealed: newSealedBook(), content: map[sentID]uint64{}}
}
