package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/planted"
)

// Chunks is what a node needs of a chunk store. Safe for concurrent use.
type Chunks interface {
	chunk.Source
	// Holds says whether a chunk with this name and hash is here: others may keep something else under a name that they saw.
	Holds(r chunk.Record) bool
	// Put keeps a ciphertext; durable only after Sync. A chunk that is here already is no error.
	Put(r chunk.Record, ct []byte) error
	// Sync makes durable what was put before the call.
	Sync(ctx context.Context) error
	// WriteRecord copies a record, header included. With verify its hash is checked first; ErrDamaged or ErrMissing then.
	WriteRecord(ctx context.Context, w io.Writer, r chunk.Record, verify bool) error
}

// packBuffers hold one record each, whose ciphertext begins at chunk.Align.
var packBuffers = sync.Pool{New: func() any {
	b := make([]byte, chunk.Align+chunk.MaxSealed)[chunk.Align-chunk.HeaderLen:]
	return &b
}}

// readsAtOnce is how many packs are read at once.
const readsAtOnce = 2

// writePack puts a pack into the pipe.
func (n *Node) writePack(ctx context.Context, w PackWrite) {
	damaged, err := PutPack(ctx, n.opt.Pipe, n.opt.Chunks, n.opt.Links, w)
	if errors.Is(err, pipe.ErrExists) {
		// It was written: by an earlier run that did not live to note it, or where the write failed when the name was there
		// already. Should another copy of this site have used the name, the peer tells what of the pack is not as announced.
		err = nil
	}
	if err != nil && ctx.Err() == nil {
		level := func() *zerolog.Event { return n.opt.Log.Error().Str("peer", n.peers[w.Peer].Name) }
		n.reader.quiet.trouble(level, time.Now(), w.Name.String(), "cannot write a pack to the outbox; trying again", err)
	}
	n.tell(ctx, func(now time.Time) { n.core.PackWritten(now, w, err, damaged) })
}

// PutPack has a pack enter the pipe: by name where links (nil: none) allow it, else copied out of the chunk store record by
// record; damaged are those that are not there as they were.
func PutPack(ctx context.Context, p Pipe, chunks Chunks, links *Links, w PackWrite) (damaged []chunk.Name, err error) {
	if linked, err := links.linkPack(ctx, w); linked || err != nil {
		return nil, err
	}
	return copyPack(ctx, p, chunks, w)
}

func copyPack(ctx context.Context, p Pipe, chunks Chunks, w PackWrite) (damaged []chunk.Name, err error) {
	err = p.PutStream(ctx, w.Name, w.Size(), func(out io.Writer) error {
		if w.Bare {
			out = &headless{w: out, recs: w.Pack.Records}
		}
		for _, r := range w.Pack.Records {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := chunks.WriteRecord(ctx, out, r, w.Pack.Verify)
			if errors.Is(err, chunk.ErrDamaged) || errors.Is(err, chunk.ErrMissing) {
				damaged = append(damaged, r.Name)
			}
			if err != nil {
				return fmt.Errorf("chunk %s: %w", r.Name, err)
			}
		}
		return nil
	})
	return damaged, err
}

// readPack copies what is good in a pack into the chunk store.
func (n *Node) readPack(ctx context.Context, r PackRead) {
	select {
	case n.packs <- struct{}{}:
		defer func() { <-n.packs }()
	case <-ctx.Done():
		return
	}
	f := r.Found.Token.(pipe.File)
	res, err := TakePack(ctx, n.opt.Pipe, n.opt.Chunks, n.opt.Links, f, r)
	switch {
	case errors.Is(err, pipe.ErrGone), errors.Is(err, pipe.ErrChanged), errors.Is(err, pipe.ErrNotRegular):
		res = PackResult{Vanished: true}
	case err != nil:
		if ctx.Err() == nil {
			level := func() *zerolog.Event { return n.opt.Log.Error().Str("peer", n.peers[r.Peer].Name) }
			n.reader.quiet.trouble(level, time.Now(), f.Name.String(), "cannot take a pack in; trying again", err)
		}
		res = PackResult{Failed: true, Full: errors.Is(err, chunk.ErrFull)}
		n.opt.Pipe.Again(f)
	case !res.Final:
		n.opt.Pipe.Pending(f)
	}
	n.tell(ctx, func(now time.Time) { n.core.PackWasRead(now, r, res) })
}

// TakePack takes a pack in: by name where links (nil: none) allow it and all of it is as announced, else record by record;
// what is as announced is put into the chunk store and made durable.
func TakePack(ctx context.Context, in Pipe, chunks Chunks, links *Links, f pipe.File, r PackRead) (res PackResult, err error) {
	c, err := in.Open(f)
	if err != nil {
		return res, err
	}
	defer c.Close()
	if res, done, err := links.adoptPack(ctx, chunks, f, c, r); done || err != nil {
		return res, err
	}
	var src io.ReaderAt = c
	size := c.Size()
	if r.Bare {
		h := newHeaded(c, r.Records)
		src, size = h, h.size(size)
	}
	p, err := chunk.OpenPack(src, size, r.Records)
	if err != nil {
		return res, err
	}
	buf := packBuffers.Get().(*[]byte)
	defer packBuffers.Put(buf)
	left := 0
	for {
		piece, err := p.Next(*buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			return res, err
		}
		switch {
		case ctx.Err() != nil:
			return res, ctx.Err()
		case r.Got[piece.Index]:
		case piece.Err == nil:
			if err := chunks.Put(piece.Record, piece.Bytes()); err != nil {
				return res, err
			}
			res.Got = append(res.Got, piece.Index)
		case errors.Is(piece.Err, chunk.ErrDamaged):
			res.Bad++
			left++
		default:
			left++
		}
	}
	if len(res.Got) > 0 && planted.Bug != planted.HaveEarly {
		if err := chunks.Sync(ctx); err != nil {
			return res, err
		}
	}
	res.Whole = left == 0
	res.Final = res.Whole || f.Settled
	return res, nil
}
