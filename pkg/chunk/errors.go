package chunk

import (
	"errors"
	"fmt"
)

// Errors that callers decide by; use errors.Is.
var (
	// ErrMissing says that a chunk is not in the store or the source: it can be asked for.
	ErrMissing = errors.New("chunk is missing")
	// ErrDamaged says that bytes are not those that the map or the announcement names. A fresh copy of the chunk may be whole.
	ErrDamaged = errors.New("chunk is damaged")
	// ErrMap says that a data map breaks a rule, or that a chunk does not hold what its map promises although its
	// bytes are right: asking again does not help.
	ErrMap = errors.New("data map is wrong")
	// ErrTooLarge says that data or a map is above a limit.
	ErrTooLarge = errors.New("above the size limit")
	// ErrRange says that a range does not lie within the data.
	ErrRange = errors.New("range is outside of the data")
	// ErrFull says that the store has no room for more: all that it holds is needed, or the disk is full.
	ErrFull = errors.New("chunk store is full")
)

// ChunkError says which chunk could not be read; Err is ErrMissing, ErrDamaged, ErrMap or the Source's error.
type ChunkError struct {
	Name Name
	Lvl  uint8
	Err  error
}

// Error names the chunk and the reason.
func (e *ChunkError) Error() string { return fmt.Sprintf("chunk %s: %v", e.Name, e.Err) }

// Unwrap gives the reason.
func (e *ChunkError) Unwrap() error { return e.Err }
