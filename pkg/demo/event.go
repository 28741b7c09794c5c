package demo

import (
	"time"

	"github.com/hoft/hoft/pkg/pipe/mover"
)

// Show is told what happens, one method at a time. It must not block for long: files and calls wait for it.
type Show interface {
	// Begin comes once, when both sites run and before the first call.
	Begin(p Place)
	// Event comes for everything that is worth a line.
	Event(e Event)
	// Totals comes once, when all calls are over or were interrupted.
	Totals(t *Totals)
	// Idle comes after Totals when the demo stays up.
	Idle(p Place)
}

// Event is one thing that happened. Exactly one of its pointers is set.
type Event struct {
	At     time.Duration // since Begin
	Call   *CallEvent
	File   *FileEvent
	Link   *LinkEvent
	Served *ServedEvent
}

// CallEvent tells that a call was made or ended.
type CallEvent struct {
	Question *Question
	Ended    bool
	Status   int           // of the answer; 0: none
	Took     time.Duration // round trip
	Fault    string        // why the answer is not the true one; "": it is
	Lost     bool          // there is no answer at all
	Bytes    int           // of the answer's body
}

// FileEvent tells that the mover did something to a file.
type FileEvent struct {
	From, To string // sites
	N        uint64 // number of the file in this direction, from 1
	mover.Event
}

// LinkEvent tells that a site sent messages again.
type LinkEvent struct {
	Site     string
	Messages uint64 // written again
	Lost     uint64 // files that it found to be lost
	Cut      uint64 // files that the other side reported cut
	Timeouts uint64 // times that it wrote again because nothing was heard
}

// ServedEvent tells that the callee answered a call that is not the demo's own.
type ServedEvent struct {
	Method, Path string
	Status       int
}
