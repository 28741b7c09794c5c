package inspect

import (
	"context"
	"maps"
	"slices"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

// incoming is a body that the peer sends, while it is being counted.
type incoming struct {
	Transfer
	chunks map[chunk.Name]expected
}

// expected is a chunk that was named or announced.
type expected struct {
	hsh       chunk.Sum
	len       int64 // of the ciphertext, or of the content where that is all that is known
	announced bool
}

func newIncoming() *incoming {
	return &incoming{Transfer: Transfer{Way: "in", Packs: []PackFile{}}, chunks: map[chunk.Name]expected{}}
}

// named adds the chunks that parts of the body name that came, those of its newest attempt.
func (in *incoming) named(ctx context.Context, id exchange.ID, peer identity.ID, db Calls) error {
	rows, err := db.InboxExchange(ctx, id)
	if err != nil {
		return err
	}
	attempt := 0
	for _, r := range rows {
		if r.Attempt > attempt {
			attempt = r.Attempt
			clear(in.chunks)
		}
		if r.Attempt < attempt || r.Peer != peer || r.Kind != frame.KindBody {
			continue
		}
		entries, err := exchange.PartChunks(r.Data)
		if err != nil {
			return err
		}
		for i := range entries {
			e := &entries[i]
			in.chunks[e.Name()] = expected{hsh: e.Hsh, len: e.Len}
		}
	}
	return nil
}

// look counts what was named or announced, and what of it is here.
func (in *incoming) look(ctx context.Context, db Bulk) error {
	rows, err := db.FindChunks(ctx, slices.Collect(maps.Keys(in.chunks)))
	if err != nil {
		return err
	}
	for _, r := range rows {
		e, is := in.chunks[r.Name]
		if !is || e.hsh != r.Hsh {
			continue
		}
		in.ThereChunks++
		in.ThereBytes += r.Len
		in.Chunks++
		in.Bytes += r.Len
		delete(in.chunks, r.Name)
	}
	for _, e := range in.chunks {
		in.Chunks++
		in.Bytes += e.len
		if e.announced {
			in.InPipeChunks++
			in.InPipeBytes += e.len
		}
	}
	return nil
}
