package node

import (
	"context"
	"errors"
	"io"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/pipe"
)

// Links are what it takes for packs to enter and leave the pipe by name, where nobody else writes in its folders
// (pipe.private): pipe.Dir and chunk.Store have it.
type Links struct {
	Pipe interface {
		Link(name frame.Name, size int64, path string) error
		TakeOver(f pipe.File, c pipe.Content, to string) error
	}
	Chunks interface {
		LinkAlone(ctx context.Context, recs []chunk.Record, link func(path string) error) (done bool, err error)
		Adopt(recs []chunk.Record, move func(path string) error) error
	}
}

// linkPack puts a pack into the pipe as a further name of the store's own file; false: it must be copied. What was in the
// pipe before is copied, for its records are verified on the way.
func (l *Links) linkPack(ctx context.Context, w PackWrite) (done bool, err error) {
	if l == nil || w.Pack.Verify || w.Bare {
		return false, nil
	}
	done, err = l.Chunks.LinkAlone(ctx, w.Pack.Records, func(path string) error {
		return l.Pipe.Link(w.Name, w.Pack.Size, path)
	})
	if errors.Is(err, pipe.ErrNoLink) {
		return false, nil
	}
	return done, err
}

// adoptPack verifies a pack and moves it into the store; false: it must be copied, because it is not whole, or not ours
// alone.
func (l *Links) adoptPack(ctx context.Context, chunks Chunks, f pipe.File, c pipe.Content, r PackRead) (res PackResult, done bool, err error) {
	if l == nil || r.Bare || c.Size() != chunk.PackSize(r.Records) {
		return res, false, nil
	}
	for i, rec := range r.Records {
		if r.Got[i] || chunks.Holds(rec) {
			return res, false, nil
		}
		res.Got = append(res.Got, i)
	}
	p, err := chunk.OpenPack(c, c.Size(), r.Records)
	if err != nil {
		return res, false, err
	}
	buf := packBuffers.Get().(*[]byte)
	defer packBuffers.Put(buf)
	for {
		piece, err := p.Next(*buf)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return res, false, err
		}
		if piece.Err != nil {
			return res, false, nil // what is good is copied
		}
	}
	err = l.Chunks.Adopt(r.Records, func(path string) error { return l.Pipe.TakeOver(f, c, path) })
	if errors.Is(err, pipe.ErrNoLink) {
		return res, false, nil
	}
	if err == nil {
		err = chunks.Sync(ctx)
	}
	res.Whole, res.Final = true, true
	return res, err == nil, err
}
