package storetest

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/store"
)

var (
	worldOwners = []string{"", "alice", "bob"}
	worldURLs   = []string{"https://a.example/hook", "https://b.example/hook"}
	worldScopes = [][32]byte{{1}, {2}}
)

func drawEvent(t *rapid.T) Change {
	e := store.Event{N: rapid.Int64Range(1, 9).Draw(t, "n"), Exchange: pick(t, worldExchanges), Type: rapid.String().Draw(t, "type"), At: pick(t, worldTimes)}
	return func(b *store.Batch) { b.AddEvent(e) }
}

func drawKey(t *rapid.T) Change {
	k := store.Key{Scope: pick(t, worldScopes), Print: [32]byte{rapid.Byte().Draw(t, "print")}, Exchange: pick(t, worldExchanges), Created: pick(t, worldTimes)}
	before, prune := pick(t, worldTimes), rapid.Bool().Draw(t, "prune")
	return func(b *store.Batch) {
		if prune {
			b.PruneKeys(before)
		} else {
			b.PutKey(k)
		}
	}
}

func drawCallback(t *rapid.T) Change {
	c := store.Callback{ID: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "id")), Exchange: pick(t, worldExchanges), Type: rapid.String().Draw(t, "type"),
		URL: pick(t, worldURLs), At: pick(t, worldTimes), State: store.CallbackState(rapid.IntRange(0, 2).Draw(t, "state")),
		Tries: rapid.IntRange(0, 3).Draw(t, "tries"), Next: pick(t, worldTimes), Status: rapid.IntRange(0, 599).Draw(t, "status"), Error: rapid.String().Draw(t, "error")}
	put := rapid.Bool().Draw(t, "put")
	return func(b *store.Batch) {
		if put {
			b.PutCallback(c)
		} else {
			b.SetCallback(c)
		}
	}
}

func drawDisable(t *rapid.T) Change {
	url, when := pick(t, worldURLs), pick(t, worldTimes)
	return func(b *store.Batch) { b.Disable(url, when) }
}

func dumpWaiting(r store.Reader, read func(name string, f func() (any, error))) {
	read("events", func() (any, error) { return r.Events(ctx, [16]byte{}, 2, 5) })
	read("events of one", func() (any, error) { return r.Events(ctx, exID(1), 1, 5) })
	read("last event", func() (any, error) { return r.LastEvent(ctx) })
	for _, s := range worldScopes {
		read(fmt.Sprint("key ", s[0]), func() (any, error) { return r.Key(ctx, s) })
	}
	read("callback", func() (any, error) { return r.Callback(ctx, "1") })
	read("callbacks due", func() (any, error) { return r.CallbacksDue(ctx, at(3), 2) })
	read("callbacks dead", func() (any, error) { return r.Callbacks(ctx, store.CallbackFilter{Dead: true, Limit: 2}) })
	read("callbacks of one", func() (any, error) { return r.Callbacks(ctx, store.CallbackFilter{Exchange: exID(2)}) })
	for _, u := range worldURLs {
		read("disabled "+u, func() (any, error) { return r.Disabled(ctx, u) })
	}
	read("list of alice", func() (any, error) { return r.Exchanges(ctx, store.ExchangeFilter{Owner: "alice", Limit: 3}) })
	read("list of alice's failed", func() (any, error) {
		return r.Exchanges(ctx, store.ExchangeFilter{Owner: "alice", State: "failed", Route: "bob", Since: at(1)})
	})
}

func testEvents(t *testing.T, k *kit) {
	k.commit(func(b *store.Batch) {
		for n := range 4 {
			b.AddEvent(store.Event{N: int64(n + 1), Exchange: exID(byte(n % 2)), Type: "queued", At: at(n)})
		}
		b.AddEvent(store.Event{N: 2, Exchange: exID(9), Type: "twice"})
		b.PutExchange(exchange(1))
	})
	all, err := k.Events(ctx, [16]byte{}, 1, 2)
	k.equal("after", must(t, all, err), []store.Event{{N: 2, Exchange: exID(1), Type: "queued", At: at(1)}, {N: 3, Exchange: exID(0), Type: "queued", At: at(2)}})
	of, err := k.Events(ctx, exID(1), 0, 9)
	k.equal("of one", len(must(t, of, err)), 2)
	k.commit(func(b *store.Batch) { b.ExpireExchange(exID(1)) })
	of, err = k.Events(ctx, exID(1), 0, 9)
	k.equal("go with the content", len(must(t, of, err)), 0)
	last, err := k.LastEvent(ctx)
	k.equal("last", must(t, last, err), int64(3))
}

func testKeys(t *testing.T, k *kit) {
	key := store.Key{Scope: [32]byte{1}, Print: [32]byte{2}, Exchange: exID(3), Created: at(5)}
	k.commit(func(b *store.Batch) { b.PutKey(store.Key{Scope: key.Scope, Created: at(1)}); b.PutKey(key) })
	got, err := k.Key(ctx, key.Scope)
	k.equal("the last counts", must(t, got, err), key)
	k.commit(func(b *store.Batch) { b.PruneKeys(at(5)) })
	_, err = k.Key(ctx, key.Scope)
	k.equal("not older", err, nil)
	k.commit(func(b *store.Batch) { b.PruneKeys(at(6)) })
	_, err = k.Key(ctx, key.Scope)
	wantErr(t, err, store.ErrNotFound)
}

func testCallbacks(t *testing.T, k *kit) {
	cb := func(id string, n byte, state store.CallbackState, next int) store.Callback {
		return store.Callback{ID: id, Exchange: exID(n), Type: "completed", URL: "https://a.example/", At: at(next), State: state, Next: at(next)}
	}
	k.commit(func(b *store.Batch) {
		for _, c := range []store.Callback{cb("a", 1, 0, 9), cb("b", 1, 0, 4), cb("c", 2, 2, 7), cb("d", 2, 1, 7)} {
			b.PutCallback(c)
		}
		b.PutCallback(cb("a", 1, 0, 1)) // is there already
		b.SetCallback(store.Callback{ID: "nobody"})
		for n := range byte(3) {
			b.PutExchange(exchange(n))
			b.PatchExchange(exID(n), store.SideIngress, end(10, "succeeded"))
		}
	})
	due, err := k.CallbacksDue(ctx, at(9), 9)
	k.equal("due", must(t, due, err), []store.Callback{cb("b", 1, 0, 4), cb("a", 1, 0, 9)})
	b := due[0]
	b.Tries, b.Next, b.Status, b.Error = 1, at(20), 500, "no"
	k.commit(func(x *store.Batch) { x.SetCallback(b) })
	got, err := k.Callback(ctx, "b")
	k.equal("changed", must(t, got, err), b)
	due, err = k.CallbacksDue(ctx, at(9), 9)
	k.equal("later", len(must(t, due, err)), 1)
	k.commit(func(x *store.Batch) { x.ExpireExchange(exID(2)) })
	of, err := k.Callbacks(ctx, store.CallbackFilter{Exchange: exID(2)})
	k.equal("what was given up stays", must(t, of, err), []store.Callback{cb("c", 2, 2, 7)})
	for before, want := range map[int][]byte{7: nil, 8: nil, 11: {0, 2}, 99: {0, 2}} {
		keys, err := k.EndedBefore(ctx, at(before), 9)
		k.equal(fmt.Sprint("told of before ", before), keyIDs(must(t, keys, err)), want)
	}
	keys, err := k.EndedBefore(ctx, at(99), 1)
	k.equal("told of, one", keyIDs(must(t, keys, err)), []byte{0})
	late := cb("c", 2, 2, 98)
	k.commit(func(x *store.Batch) { x.SetCallback(late) })
	keys, err = k.EndedBefore(ctx, at(98), 9)
	k.equal("given up of late", keyIDs(must(t, keys, err)), []byte{0})
	k.commit(func(x *store.Batch) { x.SetCallback(cb("c", 2, 2, 7)) })
	k.commit(func(x *store.Batch) { x.PurgeExchange(exID(2)) })
	dead, err := k.Callbacks(ctx, store.CallbackFilter{Dead: true})
	k.equal("but not for ever", len(must(t, dead, err)), 0)
	k.commit(func(x *store.Batch) { x.Disable("u", at(1)); x.Disable("u", at(2)) })
	since, err := k.Disabled(ctx, "u")
	k.equal("disabled", must(t, since, err), at(1))
	k.commit(func(x *store.Batch) { x.Disable("u", time.Time{}) })
	since, err = k.Disabled(ctx, "u")
	k.equal("enabled", must(t, since, err), time.Time{})
}

func testForgets(t *testing.T, k *kit) {
	e := exchange(1)
	e.Owner, e.Callback, e.Detail = "alice", "https://a.example/", "secret"
	k.commit(func(b *store.Batch) {
		b.PutExchange(e)
		b.PatchExchange(exID(1), store.SideIngress, end(9, "failed"))
		b.ExpireExchange(exID(1))
	})
	got, err := k.Exchange(ctx, exID(1), store.SideIngress)
	must(t, got, err)
	k.equal("what the caller said", []string{got.Target, got.Caller, got.Key, got.Callback, got.Detail}, make([]string, 5))
	k.equal("what is left", []string{got.Method, got.State, got.Owner}, []string{"POST", "failed", "alice"})
}
