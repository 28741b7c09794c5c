package storetest

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/store"
)

func testData(t *testing.T, k *kit) {
	pin := store.DataPin{Root: [32]byte{1}, Token: "a", Owner: [16]byte{1}, Size: 100, Created: at(1), Expires: at(5)}
	other := store.DataPin{Root: [32]byte{1}, Owner: [16]byte{2}, Size: 100, Created: at(1)}
	k.commit(func(b *store.Batch) {
		b.PutDataPin(pin)
		b.PutDataPin(other)
		b.PutDataPin(store.DataPin{Root: [32]byte{2}, Token: "a", Size: 7, Created: at(1), Expires: at(4)})
	})
	pins := func(root byte) []store.DataPin {
		out, err := k.DataPins(ctx, [32]byte{root})
		noErr(t, err)
		return out
	}
	k.equal("pins of one root", pins(1), []store.DataPin{other, pin})
	due, err := k.DataPinsDue(ctx, at(5), 10)
	noErr(t, err)
	k.equal("due", len(due), 2)
	k.equal("the earliest is first", due[0].Root, [32]byte{2})
	due, err = k.DataPinsDue(ctx, at(5), 1)
	noErr(t, err)
	k.equal("at most", len(due), 1)
	stats := func() store.DataStats {
		out, err := k.DataStats(ctx)
		noErr(t, err)
		return out
	}
	k.equal("stats", stats(), store.DataStats{Pins: 3, Bytes: 207})
	pin.Size, pin.Expires = 50, time.Time{}
	k.commit(func(b *store.Batch) {
		b.PutDataPin(pin)
		b.DropDataPin([32]byte{2}, "a")
		b.DropDataPin([32]byte{9}, "x")
	})
	k.equal("replaced", pins(1), []store.DataPin{other, pin})
	k.equal("dropped", len(pins(2)), 0)
	k.equal("stats after", stats(), store.DataStats{Pins: 2, Bytes: 150})

	up := store.DataUpload{ID: [16]byte{1}, Token: "a", Resumable: true, Length: -1, Map: []byte("[]"), Asked: []byte("{}"), Created: at(1), Expires: at(9)}
	k.commit(func(b *store.Batch) {
		b.PutDataUpload(store.DataUpload{ID: up.ID})
		b.PutDataUpload(up)
		b.PutDataUpload(store.DataUpload{ID: [16]byte{2}, Expires: at(3)})
	})
	got, err := k.DataUpload(ctx, up.ID)
	noErr(t, err)
	k.equal("upload", got, up)
	_, err = k.DataUpload(ctx, [16]byte{3})
	k.equal("unknown", errors.Is(err, store.ErrNotFound), true)
	over, err := k.DataUploadsDue(ctx, at(3), 10)
	noErr(t, err)
	k.equal("uploads due", len(over), 1)
	k.commit(func(b *store.Batch) { b.DropDataUpload(up.ID); b.DropDataUpload([16]byte{7}) })
	_, err = k.DataUpload(ctx, up.ID)
	k.equal("dropped upload", errors.Is(err, store.ErrNotFound), true)
}

func drawData(t *rapid.T) Change {
	root := [32]byte{byte(rapid.IntRange(1, 3).Draw(t, "root"))}
	id := [16]byte{byte(rapid.IntRange(1, 3).Draw(t, "upload"))}
	p := store.DataPin{Root: root, Token: pick(t, credentialNames), Owner: id, Size: int64(rapid.IntRange(0, 9).Draw(t, "size")), Created: pick(t, worldTimes), Expires: pick(t, worldTimes)}
	u := store.DataUpload{ID: id, Token: p.Token, Resumable: rapid.Bool().Draw(t, "resumable"), Complete: rapid.Bool().Draw(t, "complete"), Length: p.Size - 1, Map: data(t), Asked: data(t),
		Created: p.Created, Expires: p.Expires}
	what := rapid.IntRange(0, 5).Draw(t, "what")
	return func(b *store.Batch) {
		switch what {
		case 0:
			b.DropDataPin(root, p.Token)
		case 1:
			b.DropDataUpload(id)
		case 2, 3:
			b.PutDataUpload(u)
		default:
			b.PutDataPin(p)
		}
	}
}

func noErr(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
