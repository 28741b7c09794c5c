package admin

import (
	"context"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
)

// ChunkStore is what is needed of the store of long bodies; *chunk.Store has it.
type ChunkStore interface {
	Stats(ctx context.Context) (chunk.StoreStats, error)
}

// Chunks is the store of long bodies. Bytes are of ciphertext; counts are since the start of this run.
type Chunks struct {
	Chunks    int64 `json:"chunks"`
	Bytes     int64 `json:"bytes"`
	KeptBytes int64 `json:"kept_bytes"` // of stored answers and data
	DiskBytes int64 `json:"disk_bytes"` // of its files
	MaxBytes  int64 `json:"max_bytes"`
	Files     int   `json:"files"`
	Evicted   int64 `json:"evicted"`
	Damaged   int64 `json:"damaged"` // chunks that the disk did not give back as they were written
	// FullAt is when there was no room for a chunk last.
	FullAt *time.Time `json:"full_at,omitempty"`
}

func chunksOf(ctx context.Context, s ChunkStore) (*Chunks, error) {
	if s == nil {
		return nil, nil
	}
	st, err := s.Stats(ctx)
	if err != nil {
		return nil, err
	}
	return &Chunks{Chunks: st.Chunks, Bytes: st.Bytes, KeptBytes: st.Pinned, DiskBytes: st.DiskBytes, MaxBytes: st.MaxBytes, Files: st.Files,
		Evicted: st.Evicted, Damaged: st.Damaged, FullAt: timeOrNil(st.FullAt)}, nil
}

// fullFor is how long a store without room is told as a problem after the last chunk that found none.
const fullFor = time.Minute

func (s *Status) diagnoseChunks() {
	c := s.Chunks
	if c == nil {
		return
	}
	if c.FullAt != nil && s.Time.Sub(*c.FullAt) < fullFor {
		s.add("chunks-full", LevelCritical, "", "hoft explain storage-full",
			"there is no room for long bodies: %s of %s are taken; raise chunks.max_bytes, lower results.ttl, or free space on the disk", Bytes(c.DiskBytes), Bytes(c.MaxBytes))
	}
	if c.Damaged > 0 {
		s.add("chunks-damaged", LevelWarn, "", diskCommand(s.StateDir), "%s could not be read back as written: the disk of the state folder may be failing",
			count(uint64(c.Damaged), "stored chunk", "stored chunks"))
	}
}
