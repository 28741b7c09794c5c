package chunk

import (
	"context"
	"errors"
)

// Source gives ciphertexts by name. Implementations are safe for concurrent use.
type Source interface {
	// Chunk gives the whole ciphertext, which then belongs to the caller, or ErrMissing. It need not be verified.
	Chunk(ctx context.Context, name Name) ([]byte, error)
}

// FillSource is a Source that tells chunks of one name apart, has checked their hashes when they came, and can use a
// buffer of the caller. A Reader prefers it.
type FillSource interface {
	Source
	// Fill gives the ciphertext with this name and hash, in buf where its capacity suffices.
	Fill(ctx context.Context, name Name, hsh Sum, buf []byte) ([]byte, error)
	// Suspect says that the ciphertext was not what it should be: if it is not what was stored, it is missing from now on.
	Suspect(ctx context.Context, name Name, hsh Sum)
}

// fetch gets the ciphertext of an entry.
func fetch(ctx context.Context, src Source, e *Entry, name Name, buf []byte) ([]byte, error) {
	if f, ok := src.(FillSource); ok {
		return f.Fill(ctx, name, e.Hsh, buf)
	}
	return src.Chunk(ctx, name)
}

// openFrom opens the ciphertext of a chunk of data. From a FillSource it is not hashed once more, unless it does not open.
func openFrom(ctx context.Context, src Source, e *Entry, name Name, ct, buf []byte) ([]byte, error) {
	if _, ok := src.(FillSource); !ok || e.Alg == AlgPlain {
		return e.Open(ct, buf)
	}
	plain, err := e.openVerified(ct, buf)
	if err == nil {
		return plain, nil
	}
	if ct, err = fetch(ctx, src, e, name, ct[:0]); err != nil { // the attempt has overwritten it
		return nil, err
	}
	return e.Open(ct, buf)
}

// ReadChunk gives the content of one chunk of data, in buf where its capacity suffices. The error is a ChunkError, as a
// Reader's.
func ReadChunk(ctx context.Context, src Source, e *Entry, buf []byte) ([]byte, error) {
	name := e.Name()
	ct, err := fetch(ctx, src, e, name, nil)
	if err == nil {
		ct, err = openFrom(ctx, src, e, name, ct, buf)
	}
	if err != nil {
		return nil, failed(ctx, src, e, name, err)
	}
	return ct, nil
}

// failed gives the error of an entry, and tells the source of damage.
func failed(ctx context.Context, src Source, e *Entry, name Name, err error) error {
	if f, ok := src.(FillSource); ok && errors.Is(err, ErrDamaged) {
		f.Suspect(ctx, name, e.Hsh)
	}
	return &ChunkError{Name: name, Lvl: e.Lvl, Err: err}
}

// Sink takes sealed chunks in the order of the data; the nodes of a nested map come between and after those they
// list. ct is the sink's only until it returns. An error ends the Writer.
type Sink func(e Entry, r Record, ct []byte) error
