package exchange

import (
	"context"
	"errors"
	"io"

	"github.com/hoft/hoft/pkg/chunk"
)

// listStored says whether stored data can be a body as it is, so that only the chunks that the peer lacks travel. Where
// bodies may not be equal to anything else, or must be readable, it is read and sealed anew.
func (u *upload) listStored() bool {
	return len(u.r.Stored.Entries) > 0 && !u.r.Fresh && !u.m.cfg.Signed[u.r.Peer] && u.m.chunksTo(u.r.Peer)
}

// checkStored reads stored data for its digest, before anything of it is sent.
func (u *upload) checkStored(ctx context.Context) error {
	r := u.readStored(ctx)
	defer r.Close()
	n, err := io.Copy(adder{u.r.StoredSum.Add}, r)
	if err != nil {
		return err
	}
	if alg := u.r.StoredSum.Wrong(); alg != "" {
		return Problemf(CodeDigest, "the stored data of %d bytes does not have the %s digest of Content-Digest", n, alg)
	}
	return nil
}

// adder has a function take what is written.
type adder struct{ add func(p []byte) }

func (a adder) Write(p []byte) (int, error) {
	a.add(p)
	return len(p), nil
}

// readStored gives a reader of stored data that is the body.
func (u *upload) readStored(ctx context.Context) dataBody {
	return dataBody{chunk.NewReader(ctx, *u.r.Stored, u.m.cfg.Chunks)}
}

// dataBody is stored data that is read; its errors are problems.
type dataBody struct{ r *chunk.Reader }

// Close ends the reading.
func (b dataBody) Close() error { return b.r.Close() }

// Read implements io.Reader.
func (b dataBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = storedProblem(err)
	}
	return n, err
}

// stored sends a body that is stored data: its own chunks are offered and listed.
func (u *upload) stored(ctx context.Context) error {
	p := newLister(ctx, u.m, u.r.Peer, u.id)
	p.owner, p.first = requestOwner(u.id), u.note
	u.sent = true
	if err := p.list(u.r.Stored.Entries); err != nil {
		p.abort()
		return storedProblem(p.cause(err))
	}
	var err error
	if u.size, err = p.close(); err != nil {
		return storedProblem(err)
	}
	return nil
}

// storedProblem is what a caller is told when stored data cannot be a body.
func storedProblem(err error) error {
	switch {
	case errors.Is(err, chunk.ErrMissing), errors.Is(err, chunk.ErrDamaged):
		return Problemf(CodeDataMissing, "chunks of the data that is to be the body are not at this site")
	case errors.Is(err, chunk.ErrMap), errors.Is(err, chunk.ErrTooLarge):
		return Problemf(CodeDataMap, "%v", err)
	}
	return chunkProblem(err)
}

// list ships the chunks of a list, and of those below it, in the order of the data. They are here already.
func (p *shipper) list(entries []chunk.Entry) error {
	for i := range entries {
		e := &entries[i]
		name := e.Name()
		p.m.cfg.Chunks.Pin(p.owner, []chunk.Name{name})
		if e.Lvl > 0 {
			below, err := chunk.OpenNode(p.ctx, p.m.cfg.Chunks, e)
			if err == nil {
				err = p.list(below)
			}
			if err != nil {
				return err
			}
			continue
		}
		rec, err := p.m.cfg.Chunks.Find(p.ctx, name, e.Hsh)
		if err == nil {
			err = p.add(*e, rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
