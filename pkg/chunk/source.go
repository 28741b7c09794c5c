package chunk

import "context"

// Source gives ciphertexts by name. Implementations are safe for concurrent use.
type Source interface {
	// Chunk gives the whole ciphertext, which then belongs to the caller, or ErrMissing. It need not be verified.
	Chunk(ctx context.Context, name Name) ([]byte, error)
}

// FillSource is a Source that can use a buffer of the caller: a Reader saves an allocation per chunk with it.
type FillSource interface {
	Source
	// Fill is Chunk into buf, whose capacity is used where it suffices.
	Fill(ctx context.Context, name Name, buf []byte) ([]byte, error)
}

// Sink takes sealed chunks in the order of the data; the nodes of a nested map come between and after those they
// list. ct is the sink's only until it returns. An error ends the Writer.
type Sink func(e Entry, r Record, ct []byte) error
