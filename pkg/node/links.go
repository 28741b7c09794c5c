package node

import (
	"context"
	"errors"
	"io"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/planted"
)

// Links are what it takes for packs to enter and leave the pipe without a copy: by name where nobody else writes in its
// folders (pipe.private), or as clones where its file system and that of the store are one that shares blocks. pipe.Dir and
// chunk.Store have it.
type Links struct {
	Pipe interface {
		Shares(size int64) (out, in bool)
		Link(ctx context.Context, name frame.Name, size int64, path string) error
		TakeOver(f pipe.File, c pipe.Content, to string, whole func(io.ReaderAt) error) error
	}
	Chunks interface {
		LinkAlone(ctx context.Context, recs []chunk.Record, link func(path string) error) (done bool, err error)
		Adopt(recs []chunk.Record, move func(path string) error) error
	}
}

// linkPack has a pack enter the pipe as what the store's own file is; false: it must be copied. What was in the pipe before is
// copied, for its records are verified on the way.
func (l *Links) linkPack(ctx context.Context, w PackWrite) (done bool, err error) {
	if l == nil || w.Pack.Verify || w.Bare {
		return false, nil
	}
	if out, _ := l.Pipe.Shares(w.Pack.Size); !out {
		return false, nil
	}
	done, err = l.Chunks.LinkAlone(ctx, w.Pack.Records, func(path string) error {
		return l.Pipe.Link(ctx, w.Name, w.Pack.Size, path)
	})
	if errors.Is(err, pipe.ErrNoLink) {
		return false, nil
	}
	return done, err
}

// adoptPack takes a pack over into the store and verifies it; false: it must be copied, because it is not whole, or cannot be
// taken over.
func (l *Links) adoptPack(ctx context.Context, chunks Chunks, f pipe.File, c pipe.Content, r PackRead) (res PackResult, done bool, err error) {
	if l == nil || r.Bare || c.Size() != chunk.PackSize(r.Records) {
		return res, false, nil
	}
	if _, in := l.Pipe.Shares(c.Size()); !in {
		return res, false, nil
	}
	for i, rec := range r.Records {
		if r.Got[i] || chunks.Holds(rec) {
			return res, false, nil
		}
		res.Got = append(res.Got, i)
	}
	err = l.Chunks.Adopt(r.Records, func(path string) error {
		return l.Pipe.TakeOver(f, c, path, func(src io.ReaderAt) error { return whole(ctx, src, r.Records) })
	})
	if errors.Is(err, pipe.ErrNoLink) || errors.Is(err, errNotWhole) {
		return PackResult{}, false, nil // what is good is copied
	}
	if err == nil {
		err = chunks.Sync(ctx)
	}
	res.Whole, res.Final = true, true
	return res, err == nil, err
}

// errNotWhole says that a pack is not all that was announced.
var errNotWhole = errors.New("not all of the pack is as announced")

// whole reads a pack and gives errNotWhole unless each record is as announced.
func whole(ctx context.Context, src io.ReaderAt, recs []chunk.Record) error {
	if planted.Bug == planted.AdoptUnread {
		return nil
	}
	p, err := chunk.OpenPack(src, chunk.PackSize(recs), recs)
	if err != nil {
		return err
	}
	buf := packBuffers.Get().(*[]byte)
	defer packBuffers.Put(buf)
	for {
		piece, err := p.Next(*buf)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case piece.Err != nil:
			return errNotWhole
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}
