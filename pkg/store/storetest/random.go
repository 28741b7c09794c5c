package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// Change is one change that can be put into several batches.
type Change func(*store.Batch)

// The small world that random changes are about: small, so that they meet.
var (
	worldPeers     = []identity.ID{peerA, peerB}
	worldExchanges = [][16]byte{{}, exID(1), exID(2), exID(3), exID(4)}
	worldKinds     = []frame.Kind{frame.KindReq, frame.KindRes, frame.KindBody, frame.KindBody}
	worldStates    = []string{store.StateRunning, "succeeded", "failed"}
	worldTimes     = []time.Time{{}, at(0), at(1), at(1), at(2), at(60)}
)

// Draw gives a random list of changes.
func Draw(t *rapid.T) []Change {
	kinds := []func(*rapid.T) Change{drawLink, drawOut, drawOut, drawAck, drawDrop, drawSent, drawMark, drawIn, drawIn,
		drawSetIn, drawDropIn, drawPut, drawPatch, drawPatch, drawExpire, drawMeta, drawBulk, drawChunks, drawChunks, drawEvent, drawKey, drawCallback, drawDisable, drawCredential, drawFetch, drawData}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Change {
		return rapid.SampledFrom(kinds).Draw(t, "kind of change")(t)
	}), 1, 8).Draw(t, "changes")
}

func pick[T any](t *rapid.T, from []T) T { return rapid.SampledFrom(from).Draw(t, "pick") }

func small(t *rapid.T) uint64 { return rapid.Uint64Range(1, 12).Draw(t, "n") }

func data(t *rapid.T) []byte { return rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "bytes") }

func ranges(t *rapid.T) (r frame.Ranges) {
	for range rapid.IntRange(0, 3).Draw(t, "ranges") {
		lo := small(t)
		r.Add(lo, lo+rapid.SampledFrom([]uint64{0, 1, 4, math.MaxUint64 - 20}).Draw(t, "span"))
	}
	return r
}

func drawLink(t *rapid.T) Change {
	r := ranges(t)
	l := store.Link{Peer: pick(t, worldPeers), Epoch: small(t), PeerBase: small(t), OOO: r, Seen: r,
		PeerCaps: rapid.SliceOfN(rapid.String(), 0, 2).Draw(t, "caps"), LastSeen: pick(t, worldTimes),
		SRTT: time.Duration(rapid.Int64().Draw(t, "srtt")), Runs: data(t), Learned: data(t)}
	return func(b *store.Batch) { b.PutLink(l) }
}

func drawOut(t *rapid.T) Change {
	o := store.Out{Peer: pick(t, worldPeers), ID: small(t), Kind: pick(t, worldKinds), Prio: rapid.Byte().Draw(t, "prio"),
		Exchange: pick(t, worldExchanges), Keep: rapid.Bool().Draw(t, "keep"), Data: data(t), Created: pick(t, worldTimes)}
	return func(b *store.Batch) { b.AddOutbox(o) }
}

func drawAck(t *rapid.T) Change {
	peer, ids, when := pick(t, worldPeers), ranges(t), pick(t, worldTimes)
	return func(b *store.Batch) { b.AckOutbox(peer, ids, when) }
}

func drawDrop(t *rapid.T) Change {
	peer, ids := pick(t, worldPeers), ranges(t)
	return func(b *store.Batch) { b.DropOutbox(peer, ids) }
}

func drawSent(t *rapid.T) Change {
	s := store.Sent{Peer: pick(t, worldPeers), Seq: small(t), Nonce: rapid.String().Draw(t, "nonce"), At: pick(t, worldTimes),
		IDs: ranges(t), Size: rapid.Int64().Draw(t, "size"), State: store.SentState(rapid.IntRange(0, 2).Draw(t, "state"))}
	return func(b *store.Batch) { b.AddSent(s) }
}

func drawMark(t *rapid.T) Change {
	peer, seqs, state := pick(t, worldPeers), ranges(t), store.SentState(rapid.IntRange(0, 2).Draw(t, "state"))
	before, prune := small(t), rapid.Bool().Draw(t, "prune")
	return func(b *store.Batch) {
		b.MarkSent(peer, seqs, state)
		if prune {
			b.PruneSent(peer, before)
		}
	}
}

func drawIn(t *rapid.T) Change {
	i := store.In{Peer: pick(t, worldPeers), PeerEpoch: rapid.Uint64Range(1, 2).Draw(t, "epoch"), ID: small(t),
		Kind: pick(t, worldKinds), Exchange: pick(t, worldExchanges), Attempt: rapid.IntRange(0, 2).Draw(t, "attempt"),
		Offset: rapid.Int64Range(0, 2).Draw(t, "offset"), Data: data(t), Enc: pick(t, []frame.Enc{frame.EncNone, frame.EncZstd}),
		Beside: rapid.Int64Range(0, 9).Draw(t, "beside"), Body: data(t), SentAt: pick(t, worldTimes), Received: pick(t, worldTimes),
		State: store.InState(rapid.IntRange(0, 2).Draw(t, "state"))}
	return func(b *store.Batch) { b.AddInbox(i) }
}

func drawSetIn(t *rapid.T) Change {
	peer, epoch, id := pick(t, worldPeers), rapid.Uint64Range(1, 2).Draw(t, "epoch"), small(t)
	state, tries := store.InState(rapid.IntRange(0, 2).Draw(t, "state")), rapid.IntRange(0, 3).Draw(t, "tries")
	return func(b *store.Batch) { b.SetInbox(peer, epoch, id, state, tries) }
}

func drawDropIn(t *rapid.T) Change {
	peer, epoch, id := pick(t, worldPeers), rapid.Uint64Range(1, 2).Draw(t, "epoch"), small(t)
	ex, below, whole := pick(t, worldExchanges), rapid.IntRange(-1, 2).Draw(t, "below"), rapid.Bool().Draw(t, "whole exchange")
	return func(b *store.Batch) {
		if whole {
			b.DropInboxExchange(ex, below)
		} else {
			b.DropInbox(peer, epoch, id)
		}
	}
}

func drawPut(t *rapid.T) Change {
	e := store.Exchange{ID: pick(t, worldExchanges), Side: drawSide(t), Peer: pick(t, worldPeers), State: pick(t, worldStates),
		Target: rapid.String().Draw(t, "target"), Created: pick(t, worldTimes), Deadline: pick(t, worldTimes), Stages: data(t),
		Owner: pick(t, worldOwners), Callback: rapid.String().Draw(t, "callback"), Notify: rapid.Bool().Draw(t, "notify"), ReplayOf: pick(t, worldExchanges), Transient: rapid.Bool().Draw(t, "transient"),
		Route: pick(t, worldOwners), Oep: small(t), Ended: pick(t, []time.Time{{}, {}, at(3)}), ReqBytes: rapid.Int64().Draw(t, "bytes")}
	return func(b *store.Batch) { b.PutExchange(e) }
}

func drawSide(t *rapid.T) store.Side { return store.Side(rapid.IntRange(0, 1).Draw(t, "side")) }

func drawPatch(t *rapid.T) Change {
	id, side := pick(t, worldExchanges), drawSide(t)
	var p store.Patch
	if rapid.Bool().Draw(t, "sets state") {
		p.State = ptr(pick(t, worldStates))
	}
	if rapid.Bool().Draw(t, "sets ended") {
		p.Ended = ptr(pick(t, worldTimes))
	}
	if rapid.Bool().Draw(t, "sets deadline") {
		p.Deadline = ptr(pick(t, worldTimes))
	}
	if rapid.Bool().Draw(t, "sets stage") {
		p.Stage, p.Stages, p.Status = ptr(rapid.String().Draw(t, "stage")), data(t), ptr(rapid.Int().Draw(t, "status"))
	}
	return func(b *store.Batch) { b.PatchExchange(id, side, p) }
}

func drawExpire(t *rapid.T) Change {
	id, purge := pick(t, worldExchanges), rapid.Bool().Draw(t, "purge")
	return func(b *store.Batch) {
		if purge {
			b.PurgeExchange(id)
		} else {
			b.ExpireExchange(id)
		}
	}
}

func drawMeta(t *rapid.T) Change {
	key, value := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), data(t)
	return func(b *store.Batch) { b.SetMeta(key, value) }
}

// Dump reads all that a store tells about the small world of Draw, each read by its name; errors are
// given as their text.
func Dump(r store.Reader) map[string]any {
	ctx := context.Background()
	d := map[string]any{}
	add := func(name string, v any, err error) {
		d[name] = v
		if err != nil {
			d[name+" error"] = err.Error()
		}
	}
	read := func(name string, f func() (any, error)) { v, err := f(); add(name, v, err) }
	read("links", func() (any, error) { return r.Links(ctx) })
	read("inbox new", func() (any, error) { return r.InboxNew(ctx, 100) })
	read("inbox new 2", func() (any, error) { return r.InboxNew(ctx, 2) })
	read("inbox parts", func() (any, error) { return r.InboxParts(ctx) })
	read("result bytes", func() (any, error) { return r.ResultBytes(ctx) })
	read("results before", func() (any, error) { return r.ResultsBefore(ctx, at(61), 9) })
	read("transient before", func() (any, error) { return r.TransientBefore(ctx, at(61), 3) })
	read("ended before", func() (any, error) { return r.EndedBefore(ctx, at(2), 9) })
	read("ended before 3", func() (any, error) { return r.EndedBefore(ctx, at(90), 3) })
	read("fetches", func() (any, error) { return r.Fetches(ctx) })
	read("meta", func() (any, error) { return r.Meta(ctx, "a") })
	dumpWaiting(r, read)
	for _, u := range credentialNames {
		for _, kind := range credentialNames {
			read("credential "+u+kind, func() (any, error) { return r.Credential(ctx, u, kind, "") })
		}
	}
	read("data stats", func() (any, error) { return r.DataStats(ctx) })
	read("data pins due", func() (any, error) { return r.DataPinsDue(ctx, at(5), 3) })
	read("uploads due", func() (any, error) { return r.DataUploadsDue(ctx, at(5), 3) })
	for n := range byte(4) {
		read(fmt.Sprint("data pins ", n), func() (any, error) { return r.DataPins(ctx, [32]byte{n}) })
		read(fmt.Sprint("upload ", n), func() (any, error) { return r.DataUpload(ctx, [16]byte{n}) })
	}
	for _, p := range worldPeers {
		name := " " + p.String()
		read("outbox"+name, func() (any, error) { return r.Outbox(ctx, p, 2, 5) })
		read("outbox before"+name, func() (any, error) { return r.OutboxBefore(ctx, p, 2, 2, 5) })
		read("sent open"+name, func() (any, error) { return r.SentOpen(ctx, p) })
		read("sent last"+name, func() (any, error) { return r.SentLast(ctx, p, 4) })
		read("packs"+name, func() (any, error) { return r.Packs(ctx, p) })
		read("offers"+name, func() (any, error) { return r.Offers(ctx, p) })
		read("held"+name, func() (any, error) { return r.Held(ctx, p, 3) })
		read("stats"+name, func() (any, error) { return r.Stats(ctx, p) })
		for _, s := range append(worldStates, "") {
			read("list "+s+name, func() (any, error) {
				return r.Exchanges(ctx, store.ExchangeFilter{Peer: p, State: s, Since: at(1)})
			})
		}
	}
	for _, id := range worldExchanges {
		name := " " + identity.ID(id).String()
		read("outbox"+name, func() (any, error) { return r.OutboxExchange(ctx, id) })
		read("inbox"+name, func() (any, error) { return r.InboxExchange(ctx, id) })
		read("request"+name, func() (any, error) { return r.InboxRequest(ctx, id, true) })
		read("head"+name, func() (any, error) { return r.InboxRequest(ctx, id, false) })
		read("part"+name, func() (any, error) { return r.InboxPart(ctx, id, 1, 1) })
		read("ingress"+name, func() (any, error) { return r.Exchange(ctx, id, store.SideIngress) })
		read("egress"+name, func() (any, error) { return r.Exchange(ctx, id, store.SideEgress) })
		read("list"+name, func() (any, error) { return r.Exchanges(ctx, store.ExchangeFilter{Before: id, Limit: 3}) })
	}
	if x, ok := r.(chunk.Index); ok {
		dumpChunks(read, x)
	}
	return d
}

func dumpChunks(read func(string, func() (any, error)), x chunk.Index) {
	ctx := context.Background()
	read("chunk files", func() (any, error) { return x.ChunkFiles(ctx) })
	read("chunk stats", func() (any, error) { return x.ChunkStats(ctx) })
	read("idle chunks", func() (any, error) { return x.IdleChunks(ctx, 1, 4) })
	read("chunks in a file", func() (any, error) { return x.ChunksIn(ctx, 2) })
	for n := range byte(7) {
		read(fmt.Sprint("chunks ", n), func() (any, error) {
			rows, err := x.FindChunks(ctx, []chunk.Name{{n}})
			slices.SortFunc(rows, func(a, b chunk.Row) int { return bytes.Compare(a.Hsh[:], b.Hsh[:]) })
			return rows, err
		})
		read(fmt.Sprint("pins ", n), func() (any, error) {
			names, err := x.ChunkPins(ctx, chunk.Owner{n})
			slices.SortFunc(names, func(a, b chunk.Name) int { return bytes.Compare(a[:], b[:]) })
			return names, err
		})
	}
}
