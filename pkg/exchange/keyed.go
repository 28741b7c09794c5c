package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// KeepKeys is how long an idempotency key is remembered at the callers' side.
const KeepKeys = 24 * time.Hour

// claim is a key whose first use is not durable yet.
type claim struct {
	print [32]byte
	id    ID
}

// keyed is what a call with an Idempotency-Key is known by (draft-ietf-httpapi-idempotency-key-header-07).
type keyed struct {
	scope [32]byte // caller, method, target and key
	body  hash.Hash
}

// newKeyed gives nil for a call that is not looked up: without a key, or of a safe method, which may be repeated
// anyway and whose answer may change. It hashes the body as it is read.
func newKeyed(r *Request) *keyed {
	if r.Key == "" || Safe(r.Method) {
		return nil
	}
	k := &keyed{scope: digest(r.Owner, r.Method, r.Peer.String(), r.Upstream, r.Host, r.Target, r.Key), body: sha256.New()}
	if r.Stored != nil {
		if text, err := r.Stored.Encode(); err == nil {
			k.body.Write(append([]byte("stored data\n"), text...))
		}
	}
	if r.Body != nil {
		r.Body = io.TeeReader(r.Body, k.body)
	}
	return k
}

// print is what must be the same in a repetition; only after the body was read.
func (k *keyed) print(r *Request) [32]byte {
	return digest(r.Method, r.Target, string(k.body.Sum(nil)))
}

// digest is SHA-256 of texts, each with its length, so that no two lists give the same bytes.
func digest(texts ...string) (sum [32]byte) {
	h := sha256.New()
	for _, t := range texts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(t)))
		h.Write(n[:])
		_, _ = io.WriteString(h, t)
	}
	h.Sum(sum[:0])
	return sum
}

// Safe says whether a method asks for no change (RFC 9110 section 9.2.1; QUERY: RFC 10008).
func Safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY", "PROPFIND", "REPORT", "SEARCH":
		return true
	}
	return false
}

// notMade are the ends of an exchange that say for sure that the callee was not called: its key is free again.
var notMade = map[string]bool{CodeDeadline: true, CodeDenied: true, CodeNoUpstream: true, CodeCalleeRefused: true, CodeCalleeDNS: true,
	CodeCalleeTLS: true, CodeAddressRefused: true, CodeNoPeer: true, CodeUnsupported: true}

// prior looks for an earlier call with the same key. It gives *joined when there is one, or why this one is refused.
func (m *Manager) prior(s *node.Step, k *keyed, r *Request) error {
	prior, found := m.claims[k.scope]
	if !found {
		row, err := m.store.Key(context.Background(), k.scope)
		switch {
		case err == nil:
			prior, found = claim{row.Print, row.Exchange}, s.Now.Sub(row.Created) < KeepKeys && !m.notMade(row.Exchange)
		case !errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("look up a key: %w", err)
		}
	}
	switch {
	case !found:
	case prior.print != k.print(r):
		return Problemf(CodeKeyReused, "the key was used for another request: %s", prior.id)
	case r.Strict && m.underWay(prior.id):
		return Problemf(CodeKeyBusy, "the first call with this key is under way: %s", prior.id)
	default:
		_, waits := m.claims[k.scope]
		return &joined{id: prior.id, early: waits, over: m.calls[prior.id] == nil && !waits}
	}
	return nil
}

// claim has the key of a call stand for it, in the step that accepts the call.
func (m *Manager) claim(s *node.Step, k *keyed, r *Request, id ID) {
	print := k.print(r)
	m.claims[k.scope] = claim{print, id}
	s.Store().PutKey(store.Key{Scope: k.scope, Print: print, Exchange: id, Created: s.Now})
	s.OnCommit(func(*node.Step) {
		if m.claims[k.scope].id == id {
			delete(m.claims, k.scope)
		}
	})
}

// underWay says whether an exchange runs, also one whose acceptance is not durable yet.
func (m *Manager) underWay(id ID) bool {
	if m.calls[id] != nil {
		return true
	}
	row, err := m.row(context.Background(), id)
	return err == nil && row.State == StateRunning
}

// notMade says whether an exchange ended without a call.
func (m *Manager) notMade(id ID) bool {
	row, err := m.row(context.Background(), id)
	return err == nil && notMade[row.Problem]
}
