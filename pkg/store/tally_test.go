package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

func TestCountsForOperators(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	if store.Size(dir) != 0 {
		t.Error("a database that is not there has a size")
	}
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	peer, now := identity.ID{7}, time.UnixMilli(1_795_347_222_331).UTC()
	var b store.Batch
	put := func(n byte, side store.Side, stage, state string, created time.Time) {
		e := store.Exchange{ID: [16]byte{n}, Side: side, Peer: peer, Stage: stage, State: state, Created: created}
		if state != store.StateRunning {
			e.Ended = created
		}
		b.PutExchange(e)
	}
	put(1, store.SideIngress, "queued", store.StateRunning, now)
	put(2, store.SideIngress, "queued", store.StateRunning, now.Add(-72*time.Hour))
	put(3, store.SideEgress, "calling", store.StateRunning, now)
	put(4, store.SideIngress, "returned", "succeeded", now)
	put(5, store.SideIngress, "calling", "uncertain", now)
	put(6, store.SideIngress, "queued", "failed", now)
	put(7, store.SideEgress, "arrived", "failed", now)
	put(8, store.SideIngress, "queued", "failed", now.Add(-48*time.Hour))
	for id, state := range []store.InState{store.InNew, store.InFailed, store.InFailed} {
		b.AddInbox(store.In{Peer: peer, PeerEpoch: 1, ID: uint64(id + 1), Kind: frame.KindReq, State: state})
	}
	if err := db.Commit(ctx, &b); err != nil {
		t.Fatal(err)
	}
	running, err := db.Running(ctx)
	if want := []store.Count{{Side: store.SideIngress, Word: "queued", N: 2}, {Side: store.SideEgress, Word: "calling", N: 1}}; err != nil || !slices.Equal(running, want) {
		t.Errorf("running: %v, %v", running, err)
	}
	wrong, err := db.WentWrong(ctx, now.Add(-24*time.Hour))
	if want := []store.Count{{Side: store.SideIngress, Word: "failed", N: 1}, {Side: store.SideIngress, Word: "uncertain", N: 1},
		{Side: store.SideEgress, Word: "failed", N: 1}}; err != nil || !slices.Equal(wrong, want) {
		t.Errorf("went wrong: %v, %v", wrong, err)
	}
	for p, want := range map[identity.ID]int64{peer: 2, {8}: 0} {
		if n, err := db.SetAside(ctx, p); err != nil || n != want {
			t.Errorf("set aside: %d, %v; want %d", n, err, want)
		}
	}
	if store.Size(dir) == 0 {
		t.Error("the database has no size")
	}
}
