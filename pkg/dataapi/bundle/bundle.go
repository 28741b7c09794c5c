// Package bundle encrypts a file into a file of chunks and a data map, and back, without any site: what the Direct Data API
// does with data, for other uses.
package bundle

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hoft/hoft/pkg/chunk"
)

// ErrBundle says that a file is no bundle of chunks, or a damaged one.
var ErrBundle = errors.New("not a file of chunks")

// Encrypt reads all of r, writes its chunks to w as records (docs/protocol.md "Chunks"), each once, and gives the map that
// opens them. Every call has a secret of its own, so the same data looks different each time.
func Encrypt(r io.Reader, w io.Writer) (chunk.Map, error) {
	secret, err := chunk.NewSecret()
	if err != nil {
		return chunk.Map{}, err
	}
	out := bufio.NewWriterSize(w, 1<<20)
	seen := map[chunk.Name]bool{}
	c := chunk.NewWriter(context.Background(), chunk.NewSealer(secret), chunk.WriterOptions{Compress: true}, func(_ chunk.Entry, rec chunk.Record, ct []byte) error {
		if seen[rec.Name] {
			return nil
		}
		seen[rec.Name] = true
		if _, err := out.Write(rec.AppendHeader(nil)); err != nil {
			return err
		}
		_, err := out.Write(ct)
		return err
	})
	defer c.Abort()
	if _, err := c.ReadFrom(r); err != nil {
		return chunk.Map{}, err
	}
	m, err := c.Close()
	if err == nil {
		err = out.Flush()
	}
	return m, err
}

// Source gives the chunks of a bundle.
type Source struct {
	f  io.ReaderAt
	at map[chunk.Name]place
}

type place struct{ at, len int64 }

var _ chunk.Source = (*Source)(nil)

// Open reads where the records of a bundle of size bytes lie. A cut last record is passed over: what needs it is missing.
func Open(f io.ReaderAt, size int64) (*Source, error) {
	s := &Source{f: f, at: map[chunk.Name]place{}}
	var head [chunk.HeaderLen]byte
	for at := int64(0); at < size; {
		if size-at < chunk.HeaderLen {
			return s, nil
		}
		if _, err := f.ReadAt(head[:], at); err != nil {
			return nil, fmt.Errorf("read the file of chunks: %w", err)
		}
		r := chunk.Record{Name: chunk.Name(head[:16]), Len: int64(binary.BigEndian.Uint32(head[16:]))}
		if !r.Valid() {
			return nil, fmt.Errorf("%w: no record begins at byte %d", ErrBundle, at)
		}
		if at+r.Size() <= size {
			s.at[r.Name] = place{at + chunk.HeaderLen, r.Len}
		}
		at += r.Size()
	}
	return s, nil
}

// Chunk implements chunk.Source.
func (s *Source) Chunk(_ context.Context, name chunk.Name) ([]byte, error) {
	p, ok := s.at[name]
	if !ok {
		return nil, chunk.ErrMissing
	}
	ct := make([]byte, p.len)
	if _, err := s.f.ReadAt(ct, p.at); err != nil {
		return nil, fmt.Errorf("read the file of chunks: %w", err)
	}
	return ct, nil
}

// Decrypt writes the data of a map to w. Everything is verified before it is written.
func Decrypt(ctx context.Context, m chunk.Map, s *Source, w io.Writer) error {
	r := chunk.NewReader(ctx, m, s)
	defer r.Close()
	_, err := r.WriteTo(w)
	return err
}
