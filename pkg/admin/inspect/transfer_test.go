package inspect

import (
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// A transfer half way: four chunks offered, one held by the peer, two in a pack, and the answer announced.
func TestTransfers(t *testing.T) {
	db, peer, self := store.NewMem(), identity.ID{2}, identity.ID{1}
	now := time.UnixMilli(1_763_798_410_000).UTC()
	id := exchange.NewID(now.Add(-10 * time.Second))
	recs := make([]chunk.Record, 4)
	for i := range recs {
		recs[i] = chunk.Record{Name: chunk.Name{byte(i)}, Len: 1000}
	}
	var b store.Batch
	b.PutExchange(store.Exchange{ID: id, Peer: peer, State: "running", Stage: "queued", Created: now.Add(-10 * time.Second)})
	b.AddOffer(store.Offer{Peer: peer, Exchange: id, Recs: bulk.PackRecords(recs[:3])})
	b.AddOffer(store.Offer{Peer: peer, Exchange: id, Recs: bulk.PackRecords(recs[2:])})
	b.AddOffer(store.Offer{Peer: peer, Exchange: [16]byte{9}, Recs: bulk.PackRecords(recs)})
	b.AddHeld(peer, [][16]byte{recs[0].Name})
	b.PutPack(store.Pack{Peer: peer, Own: true, Seq: 7, Exchange: id, State: uint8(bulk.Written), At: now, Recs: bulk.PackRecords(recs[1:3])})
	b.PutPack(store.Pack{Peer: peer, Seq: 8, Exchange: id, State: uint8(bulk.Announced), At: now, Recs: bulk.PackRecords(recs[:2])})
	b.PutPack(store.Pack{Peer: peer, Seq: 9, Exchange: id, State: uint8(bulk.Settled), At: now})
	if err := db.Apply(&b); err != nil {
		t.Fatal(err)
	}
	x, err := Call(t.Context(), id, Keys{Self: self}, db, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Transfers) != 2 {
		t.Fatalf("%+v", x.Transfers)
	}
	out, in := x.Transfers[0], x.Transfers[1]
	if out.Way != "out" || out.Chunks != 4 || out.Bytes != 4000 || out.ThereChunks != 1 || out.InPipeChunks != 2 || len(out.Packs) != 1 ||
		out.RateBps != 100 || out.LeftS == nil || *out.LeftS != 30 {
		t.Errorf("%+v", out)
	}
	if in.Way != "in" || in.Chunks != 2 || len(in.Packs) != 1 || in.Packs[0].State != "announced" || in.LeftS != nil {
		t.Errorf("%+v", in)
	}
}
