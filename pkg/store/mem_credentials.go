package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// memCredentials is the part of a memState that is about credentials.
type memCredentials map[[3]string]Credential

func (s memCredentials) clone() memCredentials { return maps.Clone(s) }

func (s memCredentials) apply(o op) (ok bool) {
	switch o := o.(type) {
	case putCredential:
		c := o.Credential
		c.At, c.Sealed = stored(c.At), storedBytes(c.Sealed)
		s[[3]string{c.Upstream, c.Kind, c.Owner}] = c
	case dropCredential:
		delete(s, [3]string{o.upstream, o.kind, o.owner})
	case pruneCredentials:
		maps.DeleteFunc(s, func(_ [3]string, c Credential) bool { return c.Kind == o.kind && toMilli(c.At) < toMilli(o.before) })
	default:
		return false
	}
	return true
}

// Credential implements Reader.
func (m *Mem) Credential(ctx context.Context, upstream, kind, owner string) (c Credential, err error) {
	found := false
	err = m.read(ctx, func(s *memState) {
		c, found = s.credentials[[3]string{upstream, kind, owner}]
		c.Sealed = slices.Clone(c.Sealed)
	})
	if err == nil && !found {
		err = fmt.Errorf("store: read a credential of upstream %q: %w", upstream, ErrNotFound)
	}
	return c, err
}
