package nodetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/pipe"
)

// Run is the twin of chunk.Run: records in a file of their own, which can be linked when it has ended.
type Run struct {
	c    *Chunks
	data []byte
	recs []chunk.Record
}

// Begin begins a run; see chunk.Store.Begin.
func (c *Chunks) Begin() *Run { return &Run{c: c} }

// Folder is where files of runs lie, under the paths that LinkAlone and Adopt tell.
func (c *Chunks) Folder() *pipe.MemFolder { return c.folder }

// Put is Chunks.Put.
func (r *Run) Put(rec chunk.Record, ct []byte) error {
	c := r.c
	c.mu.Lock()
	held := c.holds(rec)
	c.mu.Unlock()
	if err := c.Put(rec, ct); held || err != nil {
		return err
	}
	r.recs = append(r.recs, rec)
	r.data = append(rec.AppendHeader(r.data), ct...)
	return nil
}

// End has what was put lie in the file.
func (r *Run) End() {
	if len(r.recs) == 0 {
		return
	}
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	path := c.newPath()
	c.folder.WriteFile(path, r.data)
	c.lay(path, r.recs)
	r.recs, r.data = nil, nil
}

// lay notes that records lie in a file, one behind the other. Called with the lock held.
func (c *Chunks) lay(path string, recs []chunk.Record) {
	c.files[path] = slices.Clone(recs)
	at := int64(0)
	for _, r := range recs {
		c.all[r.Name] = cell{file: path, at: at, n: r.Len}
		at += r.Size()
	}
}

func (c *Chunks) newPath() string {
	c.next++
	return fmt.Sprintf("chunks/%d", c.next)
}

// LinkAlone calls link with the path of the file that holds just these records; see chunk.Store.LinkAlone.
func (c *Chunks) LinkAlone(_ context.Context, recs []chunk.Record, link func(path string) error) (done bool, err error) {
	c.mu.Lock()
	path := ""
	if len(recs) > 0 {
		path = c.all[recs[0].Name].file
	}
	alone := path != "" && slices.Equal(c.files[path], recs)
	for _, r := range recs {
		alone = alone && c.all[r.Name].file == path
	}
	c.mu.Unlock()
	if !alone {
		return false, nil
	}
	return true, link(path)
}

// Adopt makes a file that holds just these records one of the store; see chunk.Store.Adopt. It is durable after Sync.
func (c *Chunks) Adopt(recs []chunk.Record, move func(path string) error) error {
	c.mu.Lock()
	path, full := c.newPath(), c.full
	c.mu.Unlock()
	if full {
		return chunk.ErrFull
	}
	if err := move(path); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lay(path, recs)
	for _, r := range recs {
		c.fresh[r.Name] = true
	}
	return nil
}
