// Package nodetest helps to test what runs on a node.
package nodetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/zeebo/blake3"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/pipe"
)

// Chunks is a chunk store in memory. What was put is durable after Sync: Clone gives a store as a restarted process
// finds it. Safe for concurrent use.
type Chunks struct {
	mu    sync.Mutex
	all   map[chunk.Name]cell
	fresh map[chunk.Name]bool // put since the last Sync
	pins  map[[16]byte]map[chunk.Name]bool
	full  bool

	folder *pipe.MemFolder // of files of runs, and of packs that were taken over
	files  map[string][]chunk.Record
	next   int
}

// cell is where a ciphertext lies: by itself, or in a file.
type cell struct {
	ct   []byte
	file string
	at   int64 // of the record in it
	n    int64 // bytes of ciphertext
}

// get gives a ciphertext, nil if it is not here. Called with the lock held.
func (c *Chunks) get(n chunk.Name) []byte {
	x := c.all[n]
	if x.file == "" {
		return x.ct
	}
	data, _ := c.folder.ReadFile(x.file)
	at := min(x.at+chunk.HeaderLen, int64(len(data)))
	return data[at:min(at+x.n, int64(len(data)))] // less where somebody cut the file
}

// SetFull says whether there is no room for anything more.
func (c *Chunks) SetFull(full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = full
}

// NewChunks makes an empty store.
func NewChunks() *Chunks {
	return &Chunks{all: map[chunk.Name]cell{}, fresh: map[chunk.Name]bool{}, pins: map[[16]byte]map[chunk.Name]bool{},
		folder: pipe.NewMemFolder(nil), files: map[string][]chunk.Record{}}
}

// Clone gives what survives a power cut. Each chunk of it lies by itself.
func (c *Chunks) Clone() *Chunks {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := NewChunks()
	for n := range c.all {
		if !c.fresh[n] {
			out.all[n] = cell{ct: c.get(n)}
		}
	}
	return out
}

// Holds says whether a chunk with this name and hash is here.
func (c *Chunks) Holds(r chunk.Record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holds(r)
}

// Find gives the record of the chunk with this name and hash, or ErrMissing.
func (c *Chunks) Find(_ context.Context, n chunk.Name, hsh chunk.Sum) (chunk.Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.get(n)
	if ct == nil || c.fresh[n] || chunk.Sum(blake3.Sum256(ct)) != hsh {
		return chunk.Record{}, chunk.ErrMissing
	}
	return chunk.Record{Name: n, Hsh: hsh, Len: int64(len(ct))}, nil
}

// Chunk implements chunk.Source.
func (c *Chunks) Chunk(_ context.Context, n chunk.Name) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.get(n)
	if ct == nil {
		return nil, chunk.ErrMissing
	}
	return slices.Clone(ct), nil
}

// Fill implements chunk.FillSource.
func (c *Chunks) Fill(ctx context.Context, n chunk.Name, _ chunk.Sum, _ []byte) ([]byte, error) {
	return c.Chunk(ctx, n)
}

// Suspect implements chunk.FillSource.
func (c *Chunks) Suspect(_ context.Context, n chunk.Name, hsh chunk.Sum) {
	if c.Holds(chunk.Record{Name: n, Hsh: hsh}) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, n)
}

// Put keeps a ciphertext.
func (c *Chunks) Put(r chunk.Record, ct []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds(r) {
		return nil
	}
	if c.full {
		return chunk.ErrFull
	}
	c.all[r.Name], c.fresh[r.Name] = cell{ct: slices.Clone(ct)}, true
	return nil
}

// holds is Holds with the lock held.
func (c *Chunks) holds(r chunk.Record) bool {
	ct := c.get(r.Name)
	return ct != nil && chunk.Sum(blake3.Sum256(ct)) == r.Hsh // a damaged one is no copy
}

// Sync makes durable what was put.
func (c *Chunks) Sync(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.fresh)
	return nil
}

// WriteRecord copies a record.
func (c *Chunks) WriteRecord(ctx context.Context, w io.Writer, r chunk.Record, verify bool) error {
	ct, err := c.Chunk(ctx, r.Name)
	if err == nil && verify {
		err = r.Verify(ct)
	}
	if err != nil {
		return err
	}
	if _, err = w.Write(r.AppendHeader(nil)); err == nil {
		_, err = w.Write(ct)
	}
	return err
}

// Damage changes a chunk, or with drop removes it.
func (c *Chunks) Damage(n chunk.Name, drop bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.get(n)
	if old == nil {
		return fmt.Errorf("%w: %s", chunk.ErrMissing, n)
	}
	if drop {
		delete(c.all, n)
		return nil
	}
	ct := slices.Clone(old)
	ct[len(ct)/2] ^= 1
	c.all[n] = cell{ct: ct}
	return nil
}

// Names gives the names of all chunks.
func (c *Chunks) Names() []chunk.Name {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.all))
}

// Pin keeps chunks from being evicted on behalf of an owner, Unpin lets all of an owner's go.
func (c *Chunks) Pin(owner [16]byte, names []chunk.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pins[owner] == nil {
		c.pins[owner] = map[chunk.Name]bool{}
	}
	for _, n := range names {
		c.pins[owner][n] = true
	}
}

// Unpin lets all of an owner's chunks go.
func (c *Chunks) Unpin(owner [16]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pins, owner)
}

// Needed says whether somebody pins a chunk.
func (c *Chunks) Needed(n chunk.Name) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pins {
		if p[n] {
			return true
		}
	}
	return false
}

// Owners lists who pins chunks, in order.
func (c *Chunks) Owners() (out [][16]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for owner, names := range c.pins {
		if len(names) > 0 {
			out = append(out, owner)
		}
	}
	slices.SortFunc(out, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Pinned counts the chunks that somebody pins.
func (c *Chunks) Pinned() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[chunk.Name]bool{}
	for _, p := range c.pins {
		maps.Copy(all, p)
	}
	return len(all)
}
