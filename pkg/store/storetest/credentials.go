package storetest

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/store"
)

func testCredentials(t *testing.T, k *kit) {
	token := store.Credential{Upstream: "u", Kind: "oauth2", At: at(1), Sealed: []byte("abc")}
	jar := store.Credential{Upstream: "u", Kind: "cookies", Owner: "peer/caller", At: at(2)}
	k.commit(func(b *store.Batch) {
		b.PutCredential(jar)
		b.PutCredential(store.Credential{Upstream: "u", Kind: "oauth2", At: at(9)})
		b.PutCredential(token)
		b.PutCredential(store.Credential{Upstream: "v", Kind: "cookies", At: at(5)})
	})
	read := func(upstream, kind, owner string) (store.Credential, bool) {
		c, err := k.Credential(ctx, upstream, kind, owner)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		return c, err == nil
	}
	got, _ := read("u", "oauth2", "")
	k.equal("replaced", got, token)
	got, _ = read("u", "cookies", "peer/caller")
	k.equal("jar", got, jar)
	_, ok := read("u", "cookies", "")
	k.equal("another owner's", ok, false)
	k.commit(func(b *store.Batch) { b.PruneCredentials("cookies", at(5)); b.PruneCredentials("oauth2", at(1)) })
	_, ok = read("u", "cookies", "peer/caller")
	k.equal("pruned", ok, false)
	_, ok = read("v", "cookies", "")
	k.equal("not older", ok, true)
	_, ok = read("u", "oauth2", "")
	k.equal("another kind", ok, true)
	k.commit(func(b *store.Batch) { b.DropCredential("u", "oauth2", ""); b.DropCredential("none", "x", "y") })
	_, ok = read("u", "oauth2", "")
	k.equal("dropped", ok, false)
}

// credentialNames is the small world of credentials.
var credentialNames = []string{"a", "b"}

func drawCredential(t *rapid.T) Change {
	c := store.Credential{Upstream: pick(t, credentialNames), Kind: pick(t, credentialNames), At: pick(t, worldTimes), Sealed: data(t)}
	what := rapid.IntRange(0, 3).Draw(t, "what")
	return func(b *store.Batch) {
		switch what {
		case 0:
			b.DropCredential(c.Upstream, c.Kind, c.Owner)
		case 1:
			b.PruneCredentials(c.Kind, c.At)
		default:
			b.PutCredential(c)
		}
	}
}
