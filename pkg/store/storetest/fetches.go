package storetest

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

func testFetches(t *testing.T, k *kit) {
	first := store.Fetch{Exchange: exID(2), Map: []byte("[]"), Off: 7, Len: 1 << 40, Peers: []identity.ID{peerB, peerA}}
	k.commit(func(b *store.Batch) {
		b.PutFetch(store.Fetch{Exchange: exID(2), Map: []byte("old")})
		b.PutFetch(store.Fetch{Exchange: exID(1)})
		b.PutFetch(store.Fetch{Exchange: exID(3)})
		b.PutFetch(first)
	})
	k.commit(func(b *store.Batch) { b.DropFetch(exID(3)); b.DropFetch(exID(9)) })
	got, err := k.Fetches(ctx)
	k.equal("fetches", must(t, got, err), []store.Fetch{{Exchange: exID(1)}, first})
}

func drawFetch(t *rapid.T) Change {
	f := store.Fetch{Exchange: pick(t, worldExchanges), Map: data(t), Off: rapid.Int64().Draw(t, "off"), Len: rapid.Int64().Draw(t, "len")}
	if rapid.Bool().Draw(t, "peers") {
		f.Peers = []identity.ID{pick(t, worldPeers)}
	}
	drop := rapid.Bool().Draw(t, "drop")
	return func(b *store.Batch) {
		if drop {
			b.DropFetch(f.Exchange)
		} else {
			b.PutFetch(f)
		}
	}
}
