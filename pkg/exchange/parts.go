package exchange

import (
	"context"
	"errors"
	"io"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

// PartChunks gives the chunks that a stored part of a body lies in, none where the part is its message's own. What it gives has
// the keys of those chunks.
func PartChunks(data []byte) ([]chunk.Entry, error) {
	d, err := decodeLoose[bodyData](data)
	if err != nil || d.Map == nil {
		return nil, err
	}
	entries, _, err := entriesOf(d)
	return entries, err
}

// partsBody reads the stored parts of a body in order, those that lie in chunks too.
type partsBody struct {
	ctx     context.Context
	store   store.Reader
	chunks  Chunks
	id      ID
	attempt int
	offset  int64
	total   int64
	rest    []byte
	// mend has a chunk sent again that can no longer be read; nil: nobody has it.
	mend func(ctx context.Context, e *chunk.Entry) error

	part  chunk.Map     // of the part that is being read, where it lies in chunks
	start int64         // its offset
	run   *chunk.Reader // of it; nil: it does not lie in chunks
	bad   int64         // where a chunk could not be read
	mends int           // how often that was asked for
}

// Within bounds what is waited for; before anything is read.
func (b *partsBody) Within(ctx context.Context) { b.ctx = ctx }

// Read implements io.Reader.
func (b *partsBody) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.run != nil {
			n, err := b.run.Read(p)
			if b.offset += int64(n); n > 0 {
				return n, nil
			}
			if err = b.after(err); err != nil {
				return 0, err
			}
			continue
		}
		if b.offset >= b.total {
			return 0, io.EOF
		}
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// after goes on behind a run of chunks, or at the chunk of it that could not be read.
func (b *partsBody) after(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		b.endRun()
		return nil
	case !unreadable(err):
		return err
	}
	b.endRun()
	if b.mends == 0 || b.bad != b.offset {
		b.bad, b.mends = b.offset, 0
	}
	if b.mends++; b.mend == nil || b.mends > maxMends {
		return Problemf(CodeChunksGone, "a part of the body went bad on the disk of the site that holds it")
	}
	if err := b.mend(b.ctx, b.entry()); errors.Is(err, errNotMended) {
		return Problemf(CodeChunksGone, "%v", err)
	} else if err != nil {
		return err
	}
	return b.open()
}

// entry gives the line of the chunk at the present place.
func (b *partsBody) entry() *chunk.Entry {
	at := b.start
	for i := range b.part.Entries {
		e := &b.part.Entries[i]
		if at += e.Len; at > b.offset {
			return e
		}
	}
	panic("the present place lies behind the part") // then there would be nothing to be read
}

// next opens the part at the present place.
func (b *partsBody) next() error {
	row, err := b.store.InboxPart(b.ctx, b.id, b.attempt, b.offset)
	if err != nil {
		return err
	}
	d, err := decodeLoose[bodyData](row.Data)
	if err != nil {
		return err
	}
	if d.Map != nil && b.chunks != nil {
		entries, _, err := entriesOf(d)
		if err != nil {
			return err
		}
		b.part, b.start = chunk.Map{Entries: entries}, b.offset
		return b.open()
	}
	if b.rest, err = plainOf(row); err != nil {
		return err
	}
	if len(b.rest) == 0 {
		return errNoBody
	}
	b.offset += int64(len(b.rest))
	return nil
}

// open begins to read the part in chunks from the present place on.
func (b *partsBody) open() (err error) {
	from := b.offset - b.start
	b.run, err = chunk.NewRange(b.ctx, b.part, readOnce(b.chunks), from, b.part.Size()-from)
	return err
}

func (b *partsBody) endRun() {
	if b.run != nil {
		_ = b.run.Close() // nothing is written
		b.run = nil
	}
}

// Close lets go of what is open.
func (b *partsBody) Close() error {
	b.endRun()
	return nil
}
