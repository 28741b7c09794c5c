package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// tx applies batches inside one transaction of the writer's connection.
type tx struct {
	s           *session
	resultBytes int64   // change of the counter in this transaction
	ended       []exKey // rows that got an end in the batch at work
}

// batch applies one batch. skip says which changes need not be made.
func (t *tx) batch(b *Batch, skip func(op int) bool) error {
	t.ended = t.ended[:0]
	for i, o := range b.ops {
		if skip(i) {
			continue
		}
		if err := t.apply(o); err != nil {
			return err
		}
	}
	return t.countEnded()
}

// finish writes what was carried along.
func (t *tx) finish() error {
	if t.resultBytes == 0 {
		return nil
	}
	_, err := t.s.exec(sqlAddResultBytes, t.resultBytes)
	return err
}

func (t *tx) apply(o op) error {
	switch o := o.(type) {
	case putLink:
		return t.putLink(&o.Link)
	case addOutbox:
		return t.addOutbox(&o.Out)
	case ackOutbox:
		return t.ackOutbox(&o)
	case dropOutbox:
		return t.dropOutbox(&o.peer, o.ids)
	case addSent:
		return t.addSent(&o.Sent)
	case markSent:
		return t.markSent(&o.peer, o.seqs, o.state)
	case pruneSent:
		return t.pruneSent(&o.peer, o.before)
	case addInbox:
		return t.addInbox(&o.In)
	case setInbox:
		return t.setInbox(&o)
	case dropInbox:
		return t.dropInbox(&o)
	case dropInboxExchange:
		return t.dropInboxExchange(&o.exchange, o.below)
	case putExchange:
		return t.putExchange(&o.Exchange)
	case patchExchange:
		return t.patchExchange(&o)
	case expireExchange:
		return t.expireExchange(&o.id)
	case purgeExchange:
		return t.purgeExchange(&o.id)
	case changeChunks:
		return t.applyChunks(&o.Change)
	case setMeta:
		return t.setMeta(o.key, o.value)
	}
	if ok, err := t.applyBulk(o); ok {
		return err
	}
	if ok, err := t.applyWaiting(o); ok {
		return err
	}
	if ok, err := t.applyCredential(o); ok {
		return err
	}
	if ok, err := t.applyFetch(o); ok {
		return err
	}
	if ok, err := t.applyData(o); ok {
		return err
	}
	panic(fmt.Sprintf("store: change %T has no SQL", o))
}

// applyWaiting makes the changes for callers who do not hold a connection.
func (t *tx) applyWaiting(o op) (ok bool, err error) {
	switch o := o.(type) {
	case addEvent:
		err = t.addEvent(&o.Event)
	case putKey:
		err = t.putKey(&o.Key)
	case pruneKeys:
		_, err = t.s.exec(sqlPruneKeys, toMilli(o.before))
	case putCallback:
		err = t.putCallback(&o.Callback)
	case setCallback:
		err = t.setCallback(&o.Callback)
	case disable:
		err = t.disable(&o)
	default:
		return false, nil
	}
	return true, err
}

// isUnique says whether err is a violation of a unique index.
func isUnique(err error) bool { return hasCode(err, sqlite3.SQLITE_CONSTRAINT_UNIQUE) }

func hasCode(err error, code int) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == code || e.Code()&0xff == code)
}
