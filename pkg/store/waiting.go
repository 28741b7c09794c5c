package store

import "time"

// Event is one thing that happened to an exchange at the callers' side.
type Event struct {
	N        int64 // ascending, never given twice, also after all are deleted
	Exchange [16]byte
	Type     string // a stage, or how it ended
	At       time.Time
}

// Key is what an idempotency key was used for.
type Key struct {
	Scope    [32]byte // of caller, method, target and key
	Print    [32]byte // of what must be the same in a repetition
	Exchange [16]byte
	Created  time.Time
}

// Callback is one message to a receiver outside.
type Callback struct {
	ID       string // the webhook-id: the same in every try
	Exchange [16]byte
	Type     string // a stage, or how the exchange ended
	URL      string
	At       time.Time // when it happened
	State    CallbackState
	Tries    int
	Next     time.Time // the next try, while due
	Status   int       // of the last answer, 0: none came
	Error    string    // of the last try, "" if it succeeded
}

// CallbackState says what became of a callback.
type CallbackState uint8

// States of a callback.
const (
	CallbackDue CallbackState = iota
	CallbackDelivered
	CallbackDead // given up; tried again only when an operator says so
)

type (
	addEvent    struct{ Event }
	putKey      struct{ Key }
	pruneKeys   struct{ before time.Time }
	putCallback struct{ Callback }
	setCallback struct{ Callback }
	disable     struct {
		url string
		at  time.Time
	}
)

func (addEvent) isOp()    {}
func (putKey) isOp()      {}
func (pruneKeys) isOp()   {}
func (putCallback) isOp() {}
func (setCallback) isOp() {}
func (disable) isOp()     {}

// AddEvent stores an event. One of the same number stays as it is.
func (b *Batch) AddEvent(e Event) { b.ops = append(b.ops, addEvent{e}) }

// PutKey stores what a key was used for, replacing what was there.
func (b *Batch) PutKey(k Key) { b.ops = append(b.ops, putKey{k}) }

// PruneKeys deletes the keys stored before a time.
func (b *Batch) PruneKeys(before time.Time) { b.ops = append(b.ops, pruneKeys{before}) }

// PutCallback stores a callback. One with the same id stays as it is: what is told is told once.
func (b *Batch) PutCallback(c Callback) { b.ops = append(b.ops, putCallback{c}) }

// SetCallback changes State, Tries, Next, Status and Error of the callback with c.ID; an unknown one is no error.
func (b *Batch) SetCallback(c Callback) { b.ops = append(b.ops, setCallback{c}) }

// Disable notes that a receiver wants nothing any more; the zero time takes the note away.
func (b *Batch) Disable(url string, at time.Time) { b.ops = append(b.ops, disable{url, at}) }

// CallbackFilter selects callbacks for lists, the newest first.
type CallbackFilter struct {
	Exchange [16]byte // those of this exchange
	Dead     bool     // instead: those given up, of all exchanges
	Limit    int      // 0: 100
}
