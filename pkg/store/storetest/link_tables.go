package storetest

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
)

func testLinks(t *testing.T, k *kit) {
	full := store.Link{Peer: peerB, Epoch: 1, PeerEpoch: 2, LastID: 3, SeqReserved: frame.MaxSeq, Contig: 5,
		OOO: frame.Ranges{{7, 9}, {12, 12}}, PeerBase: 4, PeerLast: frame.MaxID, AckedContig: 2, AckedOOO: frame.Ranges{{4, 4}},
		PeerCaps: []string{"zstd", "pack"}, SRTT: 1234567, RTTVar: 89 * time.Second, LastSeen: at(3), Seen: frame.Ranges{{1, 2}},
		Runs: []byte(`[1]`), Learned: []byte(`{"safe":1}`)}
	k.commit(func(b *store.Batch) { b.PutLink(full); b.PutLink(store.Link{Peer: peerA, Epoch: 9}) })
	k.equal("links", must(k.links()), []store.Link{{Peer: peerA, Epoch: 9}, full})

	k.commit(func(b *store.Batch) { b.PutLink(store.Link{Peer: peerB, Epoch: 1}); full.Epoch = 2; b.PutLink(full) })
	k.equal("replaced", must(k.links())[1], full)
}

// links is Links in the form that must takes.
func (k *kit) links() (*testing.T, []store.Link, error) {
	l, err := k.Links(ctx)
	return k.t, l, err
}

func testOutbox(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		for _, id := range []uint64{5, 1, 9, 3} {
			b.AddOutbox(out(id, false, exID(1)))
		}
		other := out(4, false, exID(1))
		other.Peer = peerB
		b.AddOutbox(other)
	})
	rows, err := k.Outbox(ctx, peerA, 0, 10)
	k.equal("ids", outIDs(must(t, rows, err)), []uint64{1, 3, 5, 9})
	k.equal("row", rows[0], out(1, false, exID(1)))
	rows, err = k.Outbox(ctx, peerA, 1, 2)
	k.equal("after and limit", outIDs(must(t, rows, err)), []uint64{3, 5})
	for _, limit := range []int{0, -1} {
		rows, err = k.Outbox(ctx, peerA, 0, limit)
		k.equal("no limit, no rows", len(must(t, rows, err)), 0)
	}
	rows, err = k.Outbox(ctx, peerA, math.MaxUint64, 5)
	k.equal("after the end", len(must(t, rows, err)), 0)
	k.commit(func(b *store.Batch) {
		bulk := out(2, false, exID(1))
		bulk.Prio++
		b.AddOutbox(bulk)
	})
	prio := out(1, false, exID(1)).Prio
	rows, err = k.OutboxBefore(ctx, peerA, prio+1, 1, 2)
	k.equal("before a priority", outIDs(must(t, rows, err)), []uint64{3, 5})
	rows, err = k.OutboxBefore(ctx, peerA, prio, 0, 5)
	k.equal("before the first priority", len(must(t, rows, err)), 0)
	k.commit(func(b *store.Batch) { b.DropOutbox(peerA, frame.Ranges{{2, 2}}) })
	rows, err = k.OutboxExchange(ctx, exID(1))
	k.equal("by exchange", outIDs(must(t, rows, err)), []uint64{1, 3, 4, 5, 9})
	rows, err = k.OutboxExchange(ctx, exID(2))
	k.equal("by unknown exchange", len(must(t, rows, err)), 0)
}

func testAck(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		b.AddOutbox(out(1, true, exID(1)))
		b.AddOutbox(out(2, false, exID(1)))
		b.AddOutbox(out(3, true, exID(1)))
		b.AddOutbox(out(4, true, [16]byte{})) // belongs to none: nothing would ever delete it
		b.AddOutbox(out(5, true, exID(1)))
	})
	k.commit(func(b *store.Batch) { b.AckOutbox(peerA, frame.Ranges{{1, 2}, {4, 4}}, at(50)) })
	k.commit(func(b *store.Batch) { b.AckOutbox(peerA, frame.Ranges{{0, 2}, {100, math.MaxUint64}}, at(60)) })
	rows, err := k.Outbox(ctx, peerA, 0, 10)
	k.equal("open", outIDs(must(t, rows, err)), []uint64{3, 5})
	rows, err = k.OutboxExchange(ctx, exID(1))
	k.equal("kept", outIDs(must(t, rows, err)), []uint64{1, 3, 5})
	want := out(1, true, exID(1))
	want.Acked = at(50)
	k.equal("first ack counts", rows[0], want)
}

func testDrop(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		b.AddOutbox(out(1, true, exID(1)))
		b.AddOutbox(out(2, true, exID(1)))
		b.AddOutbox(out(3, false, exID(1)))
		b.AckOutbox(peerA, frame.Ranges{{1, 1}}, at(9))
		b.DropOutbox(peerA, frame.Ranges{{1, 2}})
	})
	rows, err := k.OutboxExchange(ctx, exID(1))
	k.equal("left", outIDs(must(t, rows, err)), []uint64{1, 3})
}

func testExists(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) { b.AddOutbox(out(1, true, exID(1))) })
	var b store.Batch
	b.SetMeta("k", []byte("v"))
	b.AddOutbox(out(1, false, exID(2)))
	wantErr(t, k.Commit(ctx, &b), store.ErrExists)
	_, err := k.Meta(ctx, "k")
	wantErr(t, err, store.ErrNotFound)

	k.commit(func(b *store.Batch) { // an acked or withdrawn id may come again, as in a new epoch
		b.AckOutbox(peerA, frame.Ranges{{1, 1}}, at(1))
		b.AddOutbox(out(1, true, exID(2)))
		b.DropOutbox(peerA, frame.Ranges{{1, 1}})
		b.AddOutbox(out(1, true, exID(3)))
	})
	rows, err := k.Outbox(ctx, peerA, 0, 9)
	k.equal("open", must(t, rows, err), []store.Out{out(1, true, exID(3))})
	k.commit(func(b *store.Batch) { b.PurgeExchange(exID(1)) }) // what goes with it was acked
	rows, err = k.Outbox(ctx, peerA, 0, 9)
	k.equal("still open", must(t, rows, err), []store.Out{out(1, true, exID(3))})
}

func testStats(t *testing.T, k *kit) {
	failed := in(1, frame.KindReq, exID(1))
	failed.State = store.InFailed
	k.commit(func(b *store.Batch) {
		for id := uint64(1); id <= 4; id++ {
			b.AddOutbox(out(id, id%2 == 0, exID(1)))
		}
		b.AckOutbox(peerA, frame.Ranges{{1, 2}}, at(1))
		b.AddInbox(failed)
		b.AddInbox(in(2, frame.KindReq, exID(1)))
	})
	st, err := k.Stats(ctx, peerA)
	k.equal("stats", must(t, st, err), store.LinkStats{Messages: 2, Bytes: 4, Oldest: at(3), Failed: 1})
	st, err = k.Stats(ctx, peerB)
	k.equal("none", must(t, st, err), store.LinkStats{})
}

func testSent(t *testing.T, k *kit) {
	file := func(seq uint64) store.Sent {
		return store.Sent{Peer: peerA, Seq: seq, Nonce: "n", At: at(int(seq)), IDs: frame.Ranges{{seq, seq + 1}}, Size: 99}
	}
	k.commit(func(b *store.Batch) {
		for _, seq := range []uint64{4, 1, 2, 3} {
			b.AddSent(file(seq))
		}
		b.MarkSent(peerA, frame.Ranges{{1, 1}, {3, 3}}, store.SentAcked)
		b.MarkSent(peerA, frame.Ranges{{3, 3}, {90, math.MaxUint64}}, store.SentReplaced)
		b.MarkSent(peerB, frame.Ranges{{1, 9}}, store.SentReplaced)
	})
	open, err := k.SentOpen(ctx, peerA)
	k.equal("open", must(t, open, err), []store.Sent{file(2), file(4)})
	third := file(3)
	third.State = store.SentReplaced
	last, err := k.SentLast(ctx, peerA, 2)
	k.equal("last", must(t, last, err), []store.Sent{file(4), third})

	k.commit(func(b *store.Batch) { b.PruneSent(peerA, 4) })
	last, err = k.SentLast(ctx, peerA, 9)
	k.equal("pruned", must(t, last, err), []store.Sent{file(4), file(2)})
	none, err := k.SentLast(ctx, peerA, 0)
	k.equal("no rows", len(must(t, none, err)), 0)
}

func testMeta(t *testing.T, k *kit) {
	_, err := k.Meta(ctx, "x")
	wantErr(t, err, store.ErrNotFound)
	k.commit(func(b *store.Batch) {
		b.SetMeta("x", []byte("1"))
		b.SetMeta("x", []byte("2"))
		b.SetMeta("empty", nil)
	})
	v, err := k.Meta(ctx, "x")
	k.equal("value", string(must(t, v, err)), "2")
	v, err = k.Meta(ctx, "empty")
	k.equal("empty", len(must(t, v, err)), 0)
}

func testTooLarge(t *testing.T, k *kit) {
	for name, fill := range map[string]func(*store.Batch){
		"link":   func(b *store.Batch) { b.PutLink(store.Link{Peer: peerA, LastID: math.MaxUint64}) },
		"outbox": func(b *store.Batch) { b.AddOutbox(store.Out{Peer: peerA, ID: math.MaxUint64}) },
		"ranges": func(b *store.Batch) { b.AckOutbox(peerA, frame.Ranges{{5, 6}, {1, 2}}, at(1)) },
	} {
		var b store.Batch
		b.SetMeta("k", nil)
		fill(&b)
		if err := k.Commit(ctx, &b); err == nil {
			t.Errorf("%s: committed", name)
		}
		_, err := k.Meta(ctx, "k")
		wantErr(t, err, store.ErrNotFound)
	}
}

func testContext(t *testing.T, k *kit) {
	done, cancel := context.WithCancel(ctx)
	cancel()
	var b store.Batch
	b.SetMeta("k", nil)
	wantErr(t, k.Commit(done, &b), context.Canceled)
	_, err := k.Meta(done, "k")
	wantErr(t, err, context.Canceled)
	_, err = k.Meta(ctx, "k")
	wantErr(t, err, store.ErrNotFound)
}

func testClosed(t *testing.T, k *kit) {
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	var b store.Batch
	b.SetMeta("k", nil)
	wantErr(t, k.Commit(ctx, &b), store.ErrClosed)
	_, err := k.Links(ctx)
	wantErr(t, err, store.ErrClosed)
}
