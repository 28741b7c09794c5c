package dataapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

// moody is a database that cannot look chunks up after its next commit, once it is told to.
type moody struct {
	*store.Mem
	next, broken atomic.Bool
}

func (m *moody) Commit(ctx context.Context, b *store.Batch) error {
	err := m.Mem.Commit(ctx, b)
	if m.next.Swap(false) {
		m.broken.Store(true)
	}
	return err
}

func (m *moody) FindChunks(ctx context.Context, names []chunk.Name) ([]chunk.Row, error) {
	if m.broken.Load() {
		return nil, errors.New("too many open files")
	}
	return m.Mem.FindChunks(ctx, names)
}

// An upload that cannot be compared with its digest just now is not taken for a wrong one: all of it stays, and is completed
// later.
func TestUploadThatCannotBeReadStays(t *testing.T) {
	m, dir := &moody{Mem: store.NewMem()}, t.TempDir()
	start := func() *rig {
		chunks, err := chunk.OpenStore(t.Context(), dir, m, chunk.StoreOptions{MaxBytes: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return newRig(t, func(o *Options) { o.Chunks, o.Book = chunks, m })
	}
	g := start()
	const part = 3 << 20
	data := noise(1, part+5000)
	sum := sha256.Sum256(data)
	where := g.do("POST", "/data", bytes.NewReader(data[:part]), uploadComplete+": ?0", "Repr-Digest: sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":").Header.Get("Location")
	g.s.o.Chunks.Close()
	g = start() // which has to look up where the first part lies
	defer g.s.o.Chunks.Close()
	m.next.Store(true)
	a := g.do("PATCH", where, bytes.NewReader(data[part:]), at(part, "?1")...)
	g.wants("the database fails", a, 503, "store-failed")
	if a.Header.Get(uploadComplete) != "?0" {
		t.Errorf("told that it is complete: %v", a.Header)
	}
	m.broken.Store(false)
	a = g.do("PATCH", where, nil, at(len(data), "?1")...)
	g.wants("completed later", a, 200, "")
	if got := g.do("GET", "/data/"+a.Header.Get(mapField), nil); !bytes.Equal(got.body, data) {
		t.Errorf("%d, %d bytes", got.StatusCode, len(got.body))
	}
}
