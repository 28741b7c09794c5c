package store

import (
	"context"
	"fmt"
	"time"
)

// Credential is what an upstream gave this site to show it. The store does not see what is in it.
type Credential struct {
	Upstream, Kind string
	Owner          string // for whom, "" for all
	At             time.Time
	Sealed         []byte // opaque here
}

type (
	putCredential    struct{ Credential }
	dropCredential   struct{ upstream, kind, owner string }
	pruneCredentials struct {
		kind   string
		before time.Time
	}
)

func (putCredential) isOp()    {}
func (dropCredential) isOp()   {}
func (pruneCredentials) isOp() {}

// PutCredential stores a credential, replacing what was there under its upstream, kind and owner.
func (b *Batch) PutCredential(c Credential) { b.ops = append(b.ops, putCredential{c}) }

// DropCredential deletes a credential; an unknown one is no error.
func (b *Batch) DropCredential(upstream, kind, owner string) {
	b.ops = append(b.ops, dropCredential{upstream, kind, owner})
}

// PruneCredentials deletes those of a kind that were stored before a time.
func (b *Batch) PruneCredentials(kind string, before time.Time) {
	b.ops = append(b.ops, pruneCredentials{kind, before})
}

const (
	sqlPutCredential    = `INSERT OR REPLACE INTO credentials (upstream, kind, owner, at, sealed) VALUES (?,?,?,?,?)`
	sqlDropCredential   = `DELETE FROM credentials WHERE upstream = ? AND kind = ? AND owner = ?`
	sqlPruneCredentials = `DELETE FROM credentials WHERE kind = ? AND at < ?`
	sqlCredential       = `SELECT at, sealed FROM credentials WHERE upstream = ? AND kind = ? AND owner = ?`
)

// applyCredential applies a change of credentials; ok is false when it is another's.
func (t *tx) applyCredential(o op) (ok bool, err error) {
	switch o := o.(type) {
	case putCredential:
		_, err = t.s.exec(sqlPutCredential, o.Upstream, o.Kind, o.Owner, toMilli(o.At), orNil(o.Sealed))
	case dropCredential:
		_, err = t.s.exec(sqlDropCredential, o.upstream, o.kind, o.owner)
	case pruneCredentials:
		_, err = t.s.exec(sqlPruneCredentials, o.kind, toMilli(o.before))
	default:
		return false, nil
	}
	return true, err
}

// Credential gives a stored credential, or ErrNotFound.
func (r *reader) Credential(ctx context.Context, upstream, kind, owner string) (Credential, error) {
	c := Credential{Upstream: upstream, Kind: kind, Owner: owner}
	var found bool
	var at int64
	err := r.with(ctx, func(s *session) (err error) {
		found, err = s.one([]any{&at, &c.Sealed}, sqlCredential, upstream, kind, owner)
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return Credential{}, fmt.Errorf("store: read a credential of upstream %q: %w", upstream, err)
	}
	c.At = fromMilli(at)
	return c, nil
}
