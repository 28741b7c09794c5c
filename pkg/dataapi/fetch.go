package dataapi

import (
	"context"
	"errors"

	"github.com/hoft/hoft/pkg/chunk"
)

// Fetcher finds chunks that are not here. Safe for concurrent use.
type Fetcher interface {
	// Fetch brings chunks into the chunk store and returns when all of them are there. peer is where the client says that
	// they are, "" for nowhere in particular. The chunks are pinned by the caller until the answer has been given. It
	// fails with ErrElsewhere when nobody has one of them, and with the context's error when that ends first; what has
	// been asked for may still come then.
	Fetch(ctx context.Context, peer string, chunks []Wanted) error
}

// Wanted is a chunk to be fetched.
type Wanted struct {
	Name chunk.Name
	Hsh  chunk.Sum
	// Len is the bytes of data that it stands for, not of its ciphertext, which a map does not tell.
	Len int64
	// Lvl is above 0 for a node of a map.
	Lvl uint8
}

// ErrElsewhere says that no site that may be asked has a chunk.
var ErrElsewhere = errors.New("no site that may be asked has it")

// missing lists what of a range is not here, as far as the nodes tell that are. With a keeper everything is pinned before it
// is looked for, so that what is here stays.
func (s *Server) missing(ctx context.Context, m *chunk.Map, off, n int64, k *keeper) ([]Wanted, error) {
	var out []Wanted
	_, err := chunk.WalkRange(ctx, *m, s.o.Chunks, off, n, func(e chunk.Entry, name chunk.Name) error {
		if k != nil {
			if err := k.add(ctx, name); err != nil {
				return err
			}
		}
		if !s.o.Chunks.Holds(chunk.Record{Name: name, Hsh: e.Hsh}) {
			out = append(out, Wanted{Name: name, Hsh: e.Hsh, Len: e.Len, Lvl: e.Lvl})
		}
		return nil
	})
	return out, err
}
