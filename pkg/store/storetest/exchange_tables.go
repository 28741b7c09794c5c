package storetest

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
)

func exchange(n byte) store.Exchange {
	return store.Exchange{ID: exID(n), Side: store.SideIngress, Peer: peerA, Upstream: "orders", Route: "/", Method: "POST",
		Target: "/v2/items?\x01\xff", Caller: "10.0.0.1:5", Stage: "accepted", State: store.StateRunning, Attempt: 1, Oep: 12,
		Key: "key", Created: at(int(n)), Deadline: at(1000), Stages: []byte(`{"a":1}`), ReqBytes: 10}
}

// end gives a patch that ends an exchange.
func end(sec int, state string) store.Patch {
	return store.Patch{State: &state, Ended: ptr(at(sec))}
}

func exIDs(rows []store.Exchange) (ns []byte) {
	for _, r := range rows {
		ns = append(ns, r.ID[3])
	}
	return ns
}

func keyIDs(keys []store.ExchangeKey) (ns []byte) {
	for _, k := range keys {
		ns = append(ns, k.ID[3])
	}
	return ns
}

func testInboxNew(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		for _, id := range []uint64{9, 3, 5, 7} {
			b.AddInbox(in(id, frame.KindReq, exID(byte(id))))
		}
		b.SetInbox(peerA, 7, 3, store.InHandled, 1)
		b.SetInbox(peerA, 7, 5, store.InNew, 2)
		b.SetInbox(peerA, 7, 999, store.InNew, 2)
	})
	rows, err := k.InboxNew(ctx, 10)
	k.equal("order of arrival", inIDs(must(t, rows, err)), []uint64{9, 5, 7})
	want := in(5, frame.KindReq, exID(5))
	want.Tries = 2
	k.equal("row", rows[1], want)
	rows, err = k.InboxNew(ctx, 1)
	k.equal("limit", inIDs(must(t, rows, err)), []uint64{9})
	rows, err = k.InboxNew(ctx, 0)
	k.equal("no rows", len(must(t, rows, err)), 0)

	k.commit(func(b *store.Batch) {
		b.DropInbox(peerA, 7, 9)
		b.DropInbox(peerA, 8, 5) // another epoch
		b.SetInbox(peerA, 7, 3, store.InNew, 0)
	})
	rows, err = k.InboxNew(ctx, 10)
	k.equal("again", inIDs(must(t, rows, err)), []uint64{3, 5, 7})
}

func testInboxExchange(t *testing.T, k *kit) {
	part := func(id uint64, attempt int, offset int64) store.In {
		i := in(id, frame.KindBody, exID(1))
		i.Attempt, i.Offset, i.Enc = attempt, offset, frame.EncZstd
		return i
	}
	k.commit(func(b *store.Batch) {
		b.AddInbox(part(1, 2, 0))
		b.AddInbox(part(2, 1, 1<<40))
		b.AddInbox(in(3, frame.KindRes, exID(1)))
		b.AddInbox(part(4, 1, 0))
		b.AddInbox(in(5, frame.KindRes, exID(2)))
		b.AddInbox(in(6, frame.KindWin, [16]byte{}))
	})
	rows, err := k.InboxExchange(ctx, exID(1))
	k.equal("order", inIDs(must(t, rows, err)), []uint64{4, 2, 3, 1})
	got, err := k.InboxPart(ctx, exID(1), 1, 1<<40)
	k.equal("part", must(t, got, err), part(2, 1, 1<<40))
	_, err = k.InboxPart(ctx, exID(1), 1, 5)
	wantErr(t, err, store.ErrNotFound)
	_, err = k.InboxPart(ctx, exID(2), 1, 0) // that is no body part
	wantErr(t, err, store.ErrNotFound)
	rows, err = k.InboxExchange(ctx, [16]byte{})
	k.equal("of no exchange", len(must(t, rows, err)), 0)

	_, err = k.InboxRequest(ctx, exID(1), true)
	wantErr(t, err, store.ErrNotFound)
	first, again := in(7, frame.KindReq, exID(2)), in(8, frame.KindReq, exID(2))
	first.Attempt, first.Offset, again.Attempt, again.Offset = 0, 0, 0, 0
	k.commit(func(b *store.Batch) {
		b.AddInbox(first)
		b.AddInbox(again)
	})
	got, err = k.InboxRequest(ctx, exID(2), true)
	k.equal("newest request", must(t, got, err), again)
	again.Body = nil
	got, err = k.InboxRequest(ctx, exID(2), false)
	k.equal("its head", must(t, got, err), again)

	k.commit(func(b *store.Batch) { b.DropInboxExchange(exID(1), 2) })
	rows, err = k.InboxExchange(ctx, exID(1))
	k.equal("lower attempts dropped", inIDs(must(t, rows, err)), []uint64{1})
	k.commit(func(b *store.Batch) { b.DropInboxExchange(exID(1), -1) })
	rows, err = k.InboxExchange(ctx, exID(1))
	k.equal("all dropped", len(must(t, rows, err)), 0)
}

func testInboxParts(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		b.PutExchange(exchange(1))
		b.PutExchange(exchange(2))
		for id := uint64(1); id <= 6; id++ { // exchange 3 is not known yet
			i := in(id, frame.KindBody, exID(byte(id+1)/2))
			i.Offset, i.State = int64(100-id), store.InHandled
			b.AddInbox(i)
		}
		b.AddInbox(in(7, frame.KindReq, exID(3)))
	})
	rows, err := k.InboxParts(ctx)
	k.equal("parts", inIDs(must(t, rows, err)), []uint64{2, 1, 4, 3, 6, 5})
	want := in(2, frame.KindBody, exID(1))
	want.Offset, want.State, want.Body = 98, store.InHandled, nil
	k.equal("row", rows[0], want)

	k.commit(func(b *store.Batch) { b.PatchExchange(exID(1), store.SideIngress, end(50, "succeeded")) })
	k.commit(func(b *store.Batch) { // comes too late
		i := in(8, frame.KindBody, exID(1))
		b.AddInbox(i)
		e := exchange(2)
		e.Ended = at(9)
		b.PutExchange(e)
	})
	rows, err = k.InboxParts(ctx)
	k.equal("parts of the one that runs", inIDs(must(t, rows, err)), []uint64{6, 5})
}

func testInboxTwice(t *testing.T, k *kit) {
	again := in(1, frame.KindRes, exID(2))
	k.commit(func(b *store.Batch) {
		b.AddInbox(in(1, frame.KindReq, exID(1)))
		b.SetInbox(peerA, 7, 1, store.InHandled, 1)
		b.AddInbox(again)
	})
	rows, err := k.InboxNew(ctx, 9)
	k.equal("nothing new", len(must(t, rows, err)), 0)
	again.PeerEpoch = 8
	k.commit(func(b *store.Batch) { b.AddInbox(again) })
	rows, err = k.InboxNew(ctx, 9)
	k.equal("another epoch", must(t, rows, err), []store.In{again})
}

func testPatch(t *testing.T, k *kit) {
	_, err := k.Exchange(ctx, exID(1), store.SideIngress)
	wantErr(t, err, store.ErrNotFound)
	e := exchange(1)
	k.commit(func(b *store.Batch) { b.PutExchange(e) })
	got, err := k.Exchange(ctx, exID(1), store.SideIngress)
	k.equal("as put", must(t, got, err), e)
	_, err = k.Exchange(ctx, exID(1), store.SideEgress)
	wantErr(t, err, store.ErrNotFound)

	k.commit(func(b *store.Batch) {
		b.PatchExchange(exID(1), store.SideIngress, store.Patch{})
		b.PatchExchange(exID(1), store.SideIngress, store.Patch{Stage: ptr("calling"), Stages: []byte(`{"b":2}`)})
		b.PatchExchange(exID(1), store.SideIngress, store.Patch{State: ptr("failed"), Attempt: ptr(2), Status: ptr(502),
			Problem: ptr("outcome-uncertain"), Detail: ptr("x\x00y"), ReqBytes: ptr(int64(5)), ResBytes: ptr(int64(6)), Deadline: ptr(at(8)), Ended: ptr(at(7))})
		b.PatchExchange(exID(9), store.SideIngress, store.Patch{Stage: ptr("calling")}) // unknown
	})
	e.Stage, e.Stages, e.State, e.Attempt, e.Status = "calling", []byte(`{"b":2}`), "failed", 2, 502
	e.Problem, e.Detail, e.ReqBytes, e.ResBytes, e.Deadline, e.Ended = "outcome-uncertain", "x\x00y", 5, 6, at(8), at(7)
	got, err = k.Exchange(ctx, exID(1), store.SideIngress)
	k.equal("as patched", must(t, got, err), e)
	_, err = k.Exchange(ctx, exID(9), store.SideIngress)
	wantErr(t, err, store.ErrNotFound)

	e = exchange(1)
	e.Target = "/other"
	k.commit(func(b *store.Batch) { b.PutExchange(e) })
	got, err = k.Exchange(ctx, exID(1), store.SideIngress)
	k.equal("put again", must(t, got, err), e)
}

func testList(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		for n := byte(1); n <= 6; n++ {
			e := exchange(n)
			if n%2 == 0 {
				e.Peer = peerB
			}
			b.PutExchange(e)
		}
		b.PatchExchange(exID(1), store.SideIngress, end(90, "succeeded"))
		b.PatchExchange(exID(2), store.SideIngress, end(90, "failed"))
		b.PatchExchange(exID(3), store.SideIngress, end(90, "failed"))
	})
	for _, tt := range []struct {
		name string
		f    store.ExchangeFilter
		want []byte
	}{
		{"all", store.ExchangeFilter{}, []byte{6, 5, 4, 3, 2, 1}},
		{"limit", store.ExchangeFilter{Limit: 2}, []byte{6, 5}},
		{"negative limit", store.ExchangeFilter{Limit: -1}, nil},
		{"peer", store.ExchangeFilter{Peer: peerB}, []byte{6, 4, 2}},
		{"running", store.ExchangeFilter{Running: true}, []byte{6, 5, 4}},
		{"running, whatever the state", store.ExchangeFilter{Running: true, State: "failed"}, []byte{6, 5, 4}},
		{"failed", store.ExchangeFilter{State: "failed"}, []byte{3, 2}},
		{"failed of peer", store.ExchangeFilter{State: "failed", Peer: peerA}, []byte{3}},
		{"succeeded", store.ExchangeFilter{State: "succeeded"}, []byte{1}},
		{"unknown state", store.ExchangeFilter{State: "' OR 1=1 --"}, nil},
		{"since", store.ExchangeFilter{Since: at(4)}, []byte{6, 5, 4}},
		{"before", store.ExchangeFilter{Before: exID(4), Limit: 2}, []byte{3, 2}},
		{"before, of a state", store.ExchangeFilter{Before: exID(3), State: "failed"}, []byte{2}},
	} {
		rows, err := k.Exchanges(ctx, tt.f)
		k.equal(tt.name, exIDs(must(t, rows, err)), tt.want)
	}
}

// testPaging walks a list page by page, over equal times and over the place of a row that is gone.
func testPaging(t *testing.T, k *kit) {
	v7 := func(n byte) (id [16]byte) { // its time is at(n/2), as Created is
		ms := at(int(n / 2)).UnixMilli()
		for i := range 6 {
			id[i] = byte(ms >> (40 - 8*i))
		}
		id[6], id[15] = 0x70, n
		return id
	}
	k.commit(func(b *store.Batch) {
		for n := byte(1); n <= 9; n++ {
			e := exchange(n)
			e.ID, e.Created = v7(n), at(int(n/2))
			b.PutExchange(e)
		}
	})
	var got []byte
	f := store.ExchangeFilter{Limit: 2}
	for {
		rows, err := k.Exchanges(ctx, f)
		if len(must(t, rows, err)) == 0 {
			break
		}
		for _, r := range rows {
			got = append(got, r.ID[15])
		}
		f.Before = rows[len(rows)-1].ID
		if f.Before == v7(6) {
			k.commit(func(b *store.Batch) { b.PurgeExchange(v7(6)) })
		}
	}
	k.equal("walk", got, []byte{9, 8, 7, 6, 5, 4, 3, 2, 1})
}

func testExpire(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		for n := byte(1); n <= 4; n++ {
			b.PutExchange(exchange(n))
			b.AddOutbox(out(uint64(n), true, exID(n)))
			b.AddInbox(in(uint64(n), frame.KindRes, exID(n)))
		}
		b.AckOutbox(peerA, frame.Ranges{{1, 4}}, at(20))
		b.PatchExchange(exID(3), store.SideIngress, end(30, "succeeded"))
		b.PatchExchange(exID(1), store.SideIngress, end(40, "succeeded"))
		b.PatchExchange(exID(2), store.SideIngress, end(50, "failed"))
	})
	keys, err := k.ResultsBefore(ctx, at(50), 10)
	k.equal("results", must(t, keys, err), []store.ExchangeKey{{ID: exID(3), Ended: at(30)}, {ID: exID(1), Ended: at(40)}})
	keys, err = k.ResultsBefore(ctx, at(99), 2)
	k.equal("limit", keyIDs(must(t, keys, err)), []byte{3, 1})

	k.commit(func(b *store.Batch) { b.ExpireExchange(exID(3)) })
	keys, err = k.ResultsBefore(ctx, at(99), 10)
	k.equal("results left", keyIDs(must(t, keys, err)), []byte{1, 2})
	keys, err = k.EndedBefore(ctx, at(99), 10)
	k.equal("ended", keyIDs(must(t, keys, err)), []byte{3, 1, 2})
	keys, err = k.EndedBefore(ctx, at(99), 2)
	k.equal("ended, limit", keyIDs(must(t, keys, err)), []byte{3, 1})
	keys, err = k.EndedBefore(ctx, time.Time{}, 2)
	k.equal("before nothing", len(must(t, keys, err)), 0)
	e, err := k.Exchange(ctx, exID(3), store.SideIngress)
	k.equal("row stays", must(t, e, err).Expired, true)
	k.gone(3)

	k.commit(func(b *store.Batch) { b.PurgeExchange(exID(3)); b.PurgeExchange(exID(1)); b.PurgeExchange(exID(77)) })
	_, err = k.Exchange(ctx, exID(3), store.SideIngress)
	wantErr(t, err, store.ErrNotFound)
	_, err = k.Exchange(ctx, exID(1), store.SideIngress)
	wantErr(t, err, store.ErrNotFound)
	k.gone(1)
}

// gone checks that nothing sent or received is stored for an exchange.
func (k *kit) gone(n byte) {
	k.t.Helper()
	outs, err := k.OutboxExchange(ctx, exID(n))
	k.equal("sent", len(must(k.t, outs, err)), 0)
	ins, err := k.InboxExchange(ctx, exID(n))
	k.equal("received", len(must(k.t, ins, err)), 0)
}

func testPurgeOpen(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		b.PutExchange(exchange(1))
		e := exchange(1)
		e.Side = store.SideEgress
		b.PutExchange(e)
		b.AddOutbox(out(1, true, exID(1)))
		b.AddOutbox(out(2, true, exID(1)))
		b.AckOutbox(peerA, frame.Ranges{{1, 1}}, at(1))
		b.PurgeExchange(exID(1))
	})
	_, err := k.Exchange(ctx, exID(1), store.SideEgress)
	wantErr(t, err, store.ErrNotFound)
	rows, err := k.Outbox(ctx, peerA, 0, 9)
	k.equal("still to send", must(t, rows, err), []store.Out{out(2, false, exID(1))})
	k.commit(func(b *store.Batch) { b.AckOutbox(peerA, frame.Ranges{{2, 2}}, at(2)) })
	k.gone(1)
}

func testResultBytes(t *testing.T, k *kit) {
	bytesAre := func(what string, want int64) {
		t.Helper()
		n, err := k.ResultBytes(ctx)
		k.equal(what, must(t, n, err), want)
	}
	bytesAre("empty", 0)
	k.commit(func(b *store.Batch) {
		b.PutExchange(exchange(1))
		b.PutExchange(exchange(2))
		b.AddOutbox(out(1, true, exID(1)))         // 2 bytes
		b.AddOutbox(out(2, false, exID(1)))        // not kept
		b.AddInbox(in(1, frame.KindRes, exID(1)))  // 3 bytes
		b.AddInbox(in(2, frame.KindBody, exID(2))) // 3 bytes
	})
	bytesAre("running", 0)
	k.commit(func(b *store.Batch) {
		b.PatchExchange(exID(1), store.SideIngress, end(5, "succeeded"))
		b.AddInbox(in(3, frame.KindBody, exID(1))) // in the batch that ends it: counts
		b.PatchExchange(exID(2), store.SideIngress, end(6, "succeeded"))
	})
	bytesAre("ended", 2+3+3+3)
	k.commit(func(b *store.Batch) { b.PatchExchange(exID(1), store.SideIngress, end(7, "failed")) })
	bytesAre("ended again", 11)
	k.commit(func(b *store.Batch) { b.PutExchange(exchange(2)) })
	bytesAre("runs again", 8)
	k.commit(func(b *store.Batch) { b.ExpireExchange(exID(1)) })
	bytesAre("expired", 0)
	k.commit(func(b *store.Batch) {
		b.PatchExchange(exID(2), store.SideIngress, end(8, "failed"))
		b.PurgeExchange(exID(1))
	})
	bytesAre("other ended", 3)
	told, unknown := end(9, "succeeded"), end(9, "succeeded")
	content := int64(40)
	told.Content, unknown.Content = &content, &content
	k.commit(func(b *store.Batch) {
		b.PutExchange(exchange(4))
		b.PatchExchange(exID(4), store.SideIngress, told)
		b.PatchExchange(exID(5), store.SideIngress, unknown) // has no row
	})
	bytesAre("told by the caller", 43)
	k.commit(func(b *store.Batch) { b.ExpireExchange(exID(4)) })
	bytesAre("what was told, expired", 3)
	k.commit(func(b *store.Batch) { b.PurgeExchange(exID(2)) })
	bytesAre("purged", 0)
}

func testBig(t *testing.T, k *kit) {
	big := bytes.Repeat([]byte{0, 1, 0xff}, 2<<20/3)
	var ranges frame.Ranges
	for n := uint64(0); n < 4096; n++ {
		ranges.Add(math.MaxInt64-3*n, math.MaxInt64-3*n)
	}
	o, i, l := out(1, true, exID(1)), in(1, frame.KindBody, exID(1)), store.Link{Peer: peerA, OOO: ranges, Runs: big}
	o.Data, i.Body = big, big
	k.commit(func(b *store.Batch) { b.AddOutbox(o); b.AddInbox(i); b.PutLink(l) })
	k.commit(func(b *store.Batch) {
		b.AckOutbox(peerA, frame.Ranges{{1, 1}}, at(5))
		b.SetInbox(peerA, 7, 1, store.InHandled, 1)
	})
	o.Acked, i.State, i.Tries = at(5), store.InHandled, 1
	outs, err := k.OutboxExchange(ctx, exID(1))
	k.equal("outbox", must(t, outs, err), []store.Out{o})
	ins, err := k.InboxExchange(ctx, exID(1))
	k.equal("inbox", must(t, ins, err), []store.In{i})
	k.equal("link", must(k.links()), []store.Link{l})
}

// testCopies checks that rows given to a batch, and rows read, are the store's own.
func testCopies(t *testing.T, k *kit) {
	o := out(1, true, exID(1))
	k.commit(func(b *store.Batch) { b.AddOutbox(o) })
	o.Data[0] = 'X'
	rows, err := k.Outbox(ctx, peerA, 0, 1)
	must(t, rows, err)[0].Data[1] = 'X'
	rows, err = k.Outbox(ctx, peerA, 0, 1)
	k.equal("data", must(t, rows, err)[0].Data, []byte{'d', 1})
}
