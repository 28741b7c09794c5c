package dataapi

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

const twoTokens = "one read,write 0123456789abcdef-1\ntwo read,write 0123456789abcdef-2\n"

func as(n string) string { return "Bearer 0123456789abcdef-" + n }

// pressure fills the chunk store with other things until what nobody needs has gone.
func (g *rig) pressure() {
	g.t.Helper()
	g.pressed++
	for i := range byte(20) {
		data := noise(20*g.pressed+i, 4<<20)
		sealed := chunk.NewSealer(chunk.Secret{9}).Seal(nil, data, false)
		if err := g.s.o.Chunks.Put(sealed.Record, sealed.Bytes); err != nil {
			g.t.Fatal(err)
		}
	}
	if err := g.s.o.Chunks.Sync(context.Background()); err != nil {
		g.t.Fatal(err)
	}
}

// A pin belongs to map and token: who deletes frees its own alone, and what is pinned is never evicted.
func TestPinsBelongToTokens(t *testing.T) {
	path := tokenFile(t, twoTokens)
	g := newRig(t, func(o *Options) { o.Config.TokensFile = path })
	data := noise(1, 3<<20)
	g.auth = as("1")
	id := g.put(data)
	g.auth = as("2")
	if g.put(data) != id {
		t.Fatal("one content has two maps")
	}
	g.wants("two deletes its own", g.do("DELETE", "/data/"+id, nil), 204, "")
	g.wants("two has nothing left", g.do("DELETE", "/data/"+id, nil), 404, "data-not-kept")
	g.pressure()
	if a := g.do("GET", "/data/"+id, nil); !bytes.Equal(a.body, data) {
		t.Fatalf("what one keeps is gone: %d", a.StatusCode)
	}
	g.auth = as("1")
	g.wants("one deletes", g.do("DELETE", "/data", nil, mapField+": "+id), 204, "")
	g.pressure()
	g.wants("gone", g.do("GET", "/data/"+id, nil), 404, "data-missing")
	small := g.put([]byte("small"))
	g.wants("what the map holds needs no pin", g.do("DELETE", "/data/"+small, nil), 204, "")
	st, err := g.s.o.Book.DataStats(context.Background())
	if err != nil || st != (store.DataStats{}) {
		t.Errorf("%+v, %v", st, err)
	}
}

// An edit keeps the new map and leaves the old one kept.
func TestEditsArePins(t *testing.T) {
	g := newRig(t, nil)
	data := noise(1, 3<<20)
	id := g.put(data)
	next := g.do("POST", "/data/"+id, strings.NewReader("more")).Header.Get(mapField)
	g.wants("the old one goes", g.do("DELETE", "/data/"+id, nil), 204, "")
	g.pressure()
	if a := g.do("GET", "/data/"+next, nil); !bytes.Equal(a.body, append(bytes.Clone(data), "more"...)) {
		t.Errorf("%d, %d bytes", a.StatusCode, len(a.body))
	}
	g.wants("an empty body keeps", g.do("POST", "/data/"+next, nil), 200, "")
}

// What has a time is kept for that long; another request of the same token may make it longer, not shorter.
func TestTimesToLive(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	g := newRig(t, func(o *Options) { o.Now = func() time.Time { return now }; o.Config.TTL = time.Hour })
	pins := func() int64 {
		t.Helper()
		if err := g.s.expire(context.Background()); err != nil {
			t.Fatal(err)
		}
		st, err := g.s.o.Book.DataStats(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return st.Pins
	}
	a := g.do("POST", "/data", bytes.NewReader(noise(1, 5000)))
	if a.Header.Get("Hoft-Data-Until") != "Fri, 02 Jan 2026 04:04:05 GMT" {
		t.Errorf("until %q", a.Header.Get("Hoft-Data-Until"))
	}
	g.do("POST", "/data?ttl=90", bytes.NewReader(noise(2, 5000)))
	g.do("POST", "/data?ttl=24h", bytes.NewReader(noise(3, 5000)))
	g.do("POST", "/data?ttl=1s", bytes.NewReader(noise(3, 5000)))
	g.do("POST", "/data?ttl=0", bytes.NewReader(noise(4, 5000)))
	g.do("POST", "/data?ttl=1s", bytes.NewReader(noise(4, 5000)))
	for _, c := range []struct {
		after time.Duration
		left  int64
	}{{0, 4}, {90 * time.Second, 3}, {time.Hour, 2}, {23 * time.Hour, 1}, {1000 * time.Hour, 1}} {
		now = now.Add(c.after)
		if got := pins(); got != c.left {
			t.Errorf("after %v: %d kept, want %d", c.after, got, c.left)
		}
	}
}

func TestQuota(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Config.MaxBytes = 1 << 20 })
	id := g.put(noise(1, 600_000))
	g.wants("too much", g.do("POST", "/data", bytes.NewReader(noise(2, 600_000))), 507, "data-quota")
	g.wants("too much, without a length", g.do("POST", "/data", struct{ *bytes.Reader }{bytes.NewReader(noise(2, 600_000))}), 507, "data-quota")
	g.wants("too much by an edit", g.do("POST", "/data/"+id, strings.NewReader("x")), 507, "data-quota")
	g.wants("what the map holds", g.do("POST", "/data", strings.NewReader("x")), 200, "")
	g.wants("the same again", g.do("POST", "/data", bytes.NewReader(noise(1, 600_000))), 200, "")
	g.wants("release", g.do("DELETE", "/data/"+id, nil), 204, "")
	g.wants("then there is room", g.do("POST", "/data", bytes.NewReader(noise(2, 600_000))), 200, "")
}

// A full chunk store is said to be full, and what is kept stays.
func TestStoreFull(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Config.MaxBytes = 1 << 40 })
	first := g.put(noise(1, 20<<20))
	g.wants("the second does not fit", g.do("POST", "/data", bytes.NewReader(noise(2, 50<<20))), 507, "storage-full")
	if a := g.do("GET", "/data/"+first, nil); len(a.body) != 20<<20 {
		t.Errorf("%d, %d bytes", a.StatusCode, len(a.body))
	}
	g.wants("release", g.do("DELETE", "/data/"+first, nil), 204, "")
	g.wants("then it fits", g.do("POST", "/data", bytes.NewReader(noise(2, 40<<20))), 200, "")
}

// What a request pinned that died with its process is released at the next start.
func TestStartReleasesWhatWasLeft(t *testing.T) {
	g := newRig(t, nil)
	ctx := context.Background()
	k := g.s.keeper("")
	for i := range pinAtOnce + 5 {
		if err := k.add(ctx, chunk.Name{byte(i), byte(i >> 8)}); err != nil {
			t.Fatal(err)
		}
	}
	book := g.s.o.Book.(*store.Mem)
	if names, err := book.ChunkPins(ctx, k.owner); err != nil || len(names) != pinAtOnce {
		t.Fatalf("%d pinned, %v", len(names), err)
	}
	if _, err := New(g.s.o); err != nil {
		t.Fatal(err)
	}
	if names, err := book.ChunkPins(ctx, k.owner); err != nil || len(names) != 0 {
		t.Errorf("%d still pinned, %v", len(names), err)
	}
	if _, err := book.DataUpload(ctx, k.owner); err == nil {
		t.Error("the upload is still known")
	}
}

// What is being stored counts too: unfinished uploads cannot pin more than may be kept, and a little.
func TestUnfinishedUploadsCount(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Config.MaxBytes = 4 << 20 })
	begin := func(seed byte, n int) answer {
		return g.do("POST", "/data", bytes.NewReader(noise(seed, n)), uploadComplete+": ?0")
	}
	first := begin(1, 3<<20)
	g.wants("the first", first, 201, "")
	g.wants("the second is too much", begin(2, 3<<20), 507, "data-quota")
	again, err := New(g.s.o) // also after a restart
	if err != nil {
		t.Fatal(err)
	}
	if p := again.ledger.come(chunk.Owner{7}, 3<<20); p == nil {
		t.Error("what was coming is forgotten at a start")
	}
	g.wants("the first is given up", g.do("DELETE", first.Header.Get("Location"), nil), 204, "")
	g.wants("then there is room", begin(3, 3<<20), 201, "")
}
