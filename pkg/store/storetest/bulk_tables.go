package storetest

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/store"
)

func testBulk(t *testing.T, k *kit) {
	own := store.Pack{Peer: peerA, Own: true, Seq: 7, Exchange: exID(1), At: at(1), Size: 99, Recs: []byte("abc"), Runs: []byte("de")}
	theirs := store.Pack{Peer: peerA, Seq: 9, Exchange: exID(2), State: 2}
	k.commit(func(b *store.Batch) {
		b.PutPack(own)
		b.PutPack(theirs)
		b.PutPack(store.Pack{Peer: peerB, Seq: 9})
	})
	own.State = 1
	k.commit(func(b *store.Batch) { b.PutPack(own); b.DropPack(peerB, true, 9); b.DropPack(peerA, false, 100) })
	packs, err := k.Packs(ctx, peerA)
	k.equal("packs", must(t, packs, err), []store.Pack{theirs, own})
	packs, err = k.Packs(ctx, peerB)
	k.equal("others", len(must(t, packs, err)), 1)

	k.commit(func(b *store.Batch) {
		b.AddOffer(store.Offer{Peer: peerA, Exchange: exID(1), Recs: []byte("2")})
		b.AddOffer(store.Offer{Peer: peerA, Exchange: exID(2), Recs: []byte("x")})
		b.AddOffer(store.Offer{Peer: peerA, Exchange: exID(1), Recs: []byte("1")})
	})
	k.commit(func(b *store.Batch) { b.DropOffers(exID(2)) })
	offers, err := k.Offers(ctx, peerA)
	k.equal("offers", must(t, offers, err), []store.Offer{{Peer: peerA, Exchange: exID(1), Recs: []byte("2")}, {Peer: peerA, Exchange: exID(1), Recs: []byte("1")}})

	k.commit(func(b *store.Batch) { b.AddHeld(peerA, [][16]byte{{1}, {2}, {1}}); b.AddHeld(peerB, [][16]byte{{1}}) })
	k.commit(func(b *store.Batch) { b.AddHeld(peerA, [][16]byte{{3}, {1}}) })
	held, err := k.Held(ctx, peerA, 2)
	k.equal("held", must(t, held, err), [][16]byte{{3}, {2}})
	k.commit(func(b *store.Batch) { b.ClearHeld(peerA) })
	held, err = k.Held(ctx, peerA, 2)
	k.equal("cleared", len(must(t, held, err)), 0)
	held, err = k.Held(ctx, peerB, 2)
	k.equal("of another", must(t, held, err), [][16]byte{{1}})
}

func drawBulk(t *rapid.T) Change {
	p := store.Pack{Peer: pick(t, worldPeers), Own: rapid.Bool().Draw(t, "own"), Seq: small(t), Exchange: pick(t, worldExchanges),
		State: uint8(rapid.IntRange(0, 2).Draw(t, "state")), At: pick(t, worldTimes), Size: rapid.Int64().Draw(t, "size"), Recs: data(t), Runs: data(t)}
	names := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [16]byte { return [16]byte{byte(small(t))} }), 0, 4).Draw(t, "names")
	what := rapid.IntRange(0, 5).Draw(t, "what")
	return func(b *store.Batch) {
		switch what {
		case 0:
			b.PutPack(p)
		case 1:
			b.DropPack(p.Peer, p.Own, p.Seq)
		case 2:
			b.AddOffer(store.Offer{Peer: p.Peer, Exchange: p.Exchange, Recs: p.Recs})
		case 3:
			b.DropOffers(p.Exchange)
		case 4:
			b.AddHeld(p.Peer, names)
		case 5:
			b.ClearHeld(p.Peer)
		}
	}
}
