package chunk

import (
	"context"
	"time"
)

// Owner names who needs chunks: an exchange, or data that the Data API keeps.
type Owner = [16]byte

// Row says where a stored chunk lies: its record begins at byte At of a file of the store.
type Row struct {
	Record
	File int64
	At   int64
}

// End is the place behind the record.
func (r Row) End() int64 { return r.At + r.Size() }

// File is one file of the store as the index knows it.
type File struct {
	ID int64
	// Size is how much of it is known to be written and synced, in bytes.
	Size int64
	// Live is the bytes in it of records that rows point to; the rest is dead.
	Live int64
}

// Pin says that an owner needs chunks, whether they are stored already or not.
type Pin struct {
	Owner Owner
	Names []Name
}

// Change is a list of changes to an index, which are made in the order of the fields, together or not at all.
type Change struct {
	// Now is the time of use of what is added, touched or released.
	Now time.Time
	// Files notes files and how much of them is written; Size only grows. Live is not looked at.
	Files []File
	// Add stores rows. A chunk (name and hash) that is there gets the new place and keeps its time of use.
	Add []Row
	// Drop deletes rows that are still where they were and that nobody needs.
	Drop []Row
	// Forget deletes rows that are still where they were, needed or not: their bytes are lost.
	Forget []Row
	// Pin and Unpin note who needs what. Unpin releases all of an owner's, and counts as use.
	Pin   []Pin
	Unpin []Owner
	// Touch notes a use of all chunks of these names; those that are not there are passed over.
	Touch []Name
	// DropFiles deletes files in which nothing is live; others stay.
	DropFiles []int64
}

// IndexStats is an index in numbers.
type IndexStats struct {
	Chunks int64
	// Bytes is the length of all records, Pinned of those that somebody needs.
	Bytes, Pinned int64
}

// Index is the durable table of a Store: what lies where, and who needs it. pkg/store implements it. Safe for
// concurrent use; errors are those of the database.
type Index interface {
	// FindChunks gives the rows of those names that are stored, in any order; a name may have several, of different hashes.
	FindChunks(ctx context.Context, names []Name) ([]Row, error)
	// ChunksIn gives the rows in a file, ascending by place.
	ChunksIn(ctx context.Context, file int64) ([]Row, error)
	// IdleChunks gives rows that nobody needs, the longest unused first, without the first skip ones.
	IdleChunks(ctx context.Context, skip, limit int) ([]Row, error)
	// ChunkFiles gives all files, ascending by number.
	ChunkFiles(ctx context.Context) ([]File, error)
	// ChunkPins gives the names that an owner needs, in any order.
	ChunkPins(ctx context.Context, owner Owner) ([]Name, error)
	ChunkStats(ctx context.Context) (IndexStats, error)
	// CommitChunks makes a change durable before it returns, or makes none.
	CommitChunks(ctx context.Context, c Change) error
}
