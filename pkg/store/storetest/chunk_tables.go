package storetest

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

// crow gives a row; equal names and hashes for equal n and variant.
func crow(n, variant byte, file, at int64) chunk.Row {
	return chunk.Row{Record: chunk.Record{Name: chunk.Name{n}, Hsh: chunk.Sum{n, variant}, Len: 100 + int64(n)}, File: file, At: at}
}

func testChunks(t *testing.T, k *kit) {
	change := func(c chunk.Change) {
		t.Helper()
		if err := k.CommitChunks(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	idle := func() []chunk.Row { rows, err := k.IdleChunks(ctx, 0, 9); return must(t, rows, err) }
	stats := func() chunk.IndexStats { st, err := k.ChunkStats(ctx); return must(t, st, err) }
	files := func() []chunk.File { f, err := k.ChunkFiles(ctx); return must(t, f, err) }

	a, b, c, d := crow(1, 0, 1, 0), crow(2, 0, 1, 121), crow(2, 9, 2, 0), crow(3, 0, 2, 122)
	ownerX, ownerY := chunk.Owner{7}, chunk.Owner{8}
	change(chunk.Change{Now: at(5), Files: []chunk.File{{ID: 1, Size: 243}}, Add: []chunk.Row{a, b}, Pin: []chunk.Pin{{Owner: ownerX, Names: []chunk.Name{{1}, {3}}}}})
	change(chunk.Change{Now: at(3), Files: []chunk.File{{ID: 2, Size: 245}, {ID: 1, Size: 200}}, Add: []chunk.Row{c, d}})
	k.equal("idle", idle(), []chunk.Row{c, b})
	rest, err := k.IdleChunks(ctx, 1, 9)
	k.equal("idle but the first", must(t, rest, err), []chunk.Row{b})
	none, err := k.IdleChunks(ctx, 7, 9)
	k.equal("idle beyond the end", len(must(t, none, err)), 0)
	k.equal("files", files(), []chunk.File{{ID: 1, Size: 243, Live: 243}, {ID: 2, Size: 245, Live: 245}})
	k.equal("stats", stats(), chunk.IndexStats{Chunks: 4, Bytes: 488, Pinned: 121 + 123})
	rows, err := k.FindChunks(ctx, []chunk.Name{{2}, {4}, {1}})
	slices.SortFunc(rows, func(a, b chunk.Row) int { return bytes.Compare(a.Hsh[:], b.Hsh[:]) })
	k.equal("found", must(t, rows, err), []chunk.Row{a, b, c})
	rows, err = k.ChunksIn(ctx, 1)
	k.equal("in a file", must(t, rows, err), []chunk.Row{a, b})

	// What is needed, or lies elsewhere meanwhile, is not dropped.
	elsewhere := c
	elsewhere.At++
	change(chunk.Change{Drop: []chunk.Row{a, elsewhere}, DropFiles: []int64{1, 2}})
	k.equal("nothing dropped", stats().Chunks, int64(4))
	change(chunk.Change{Drop: []chunk.Row{b}, Forget: []chunk.Row{a}, DropFiles: []int64{1}})
	k.equal("a file less", files(), []chunk.File{{ID: 2, Size: 245, Live: 245}})
	k.equal("needed bytes", stats(), chunk.IndexStats{Chunks: 2, Bytes: 245, Pinned: 123})

	// A chunk that moves keeps its use, and its owners.
	moved := c
	moved.File, moved.At = 3, 40
	change(chunk.Change{Now: at(9), Files: []chunk.File{{ID: 3, Size: 500}}, Add: []chunk.Row{moved, crow(4, 0, 3, 200)}})
	k.equal("moved", idle(), []chunk.Row{moved, crow(4, 0, 3, 200)})
	k.equal("files after the move", files(), []chunk.File{{ID: 2, Size: 245, Live: 123}, {ID: 3, Size: 500, Live: 122 + 124}})

	// Use makes it young; two owners need what one releases; releasing is use.
	change(chunk.Change{Now: at(12), Touch: []chunk.Name{{2}, {5}}})
	k.equal("touched", idle(), []chunk.Row{crow(4, 0, 3, 200), moved})
	change(chunk.Change{Now: at(12), Pin: []chunk.Pin{{Owner: ownerY, Names: []chunk.Name{{3}, {3}, {4}}}}})
	change(chunk.Change{Now: at(13), Unpin: []chunk.Owner{ownerX, {99}}})
	k.equal("needed by one", stats().Pinned, int64(123+124))
	pins, err := k.ChunkPins(ctx, ownerY)
	k.equal("pins", len(must(t, pins, err)), 2)
	change(chunk.Change{Now: at(11), Unpin: []chunk.Owner{ownerY}})
	k.equal("released", idle(), []chunk.Row{crow(4, 0, 3, 200), moved, d})
	k.equal("needed by none", stats().Pinned, int64(0))

	// As a part of a batch.
	k.commit(func(b *store.Batch) { b.Chunks(chunk.Change{Forget: []chunk.Row{d}, DropFiles: []int64{2, 77}}) })
	k.equal("files at the end", files(), []chunk.File{{ID: 3, Size: 500, Live: 122 + 124}})
}

func testChunksTooLarge(t *testing.T, k *kit) {
	for name, c := range map[string]chunk.Change{
		"no length":      {Add: []chunk.Row{{File: 1}}},
		"negative place": {Add: []chunk.Row{crow(1, 0, 1, -1)}},
		"negative file":  {Files: []chunk.File{{ID: -1}}},
		"huge place":     {Add: []chunk.Row{crow(1, 0, 1, math.MaxInt64)}},
	} {
		if err := k.CommitChunks(ctx, c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func drawChunks(t *rapid.T) Change {
	rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) chunk.Row {
		n := byte(rapid.IntRange(1, 5).Draw(t, "name"))
		file := rapid.Int64Range(1, 3).Draw(t, "file")
		return crow(n, byte(rapid.IntRange(0, 1).Draw(t, "hash")), file, 1000*file+int64(rapid.IntRange(0, 9).Draw(t, "place")))
	}), 0, 3)
	names := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) chunk.Name { return chunk.Name{byte(rapid.IntRange(1, 6).Draw(t, "n"))} }), 0, 3)
	owner := chunk.Owner{byte(rapid.IntRange(1, 2).Draw(t, "owner"))}
	c := chunk.Change{Now: pick(t, worldTimes)}
	switch rapid.IntRange(0, 6).Draw(t, "what") {
	case 0:
		c.Add = rows.Draw(t, "add")
		for _, r := range c.Add {
			c.Files = append(c.Files, chunk.File{ID: r.File, Size: r.End()})
		}
	case 1:
		c.Drop = rows.Draw(t, "drop")
	case 2:
		c.Forget = rows.Draw(t, "forget")
	case 3:
		c.Pin = []chunk.Pin{{Owner: owner, Names: names.Draw(t, "pin")}}
	case 4:
		c.Unpin = []chunk.Owner{owner}
	case 5:
		c.Touch = names.Draw(t, "touch")
	case 6:
		c.DropFiles = []int64{1, 2, 3}
	}
	return func(b *store.Batch) { b.Chunks(c) }
}
