package nodetest

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
)

// BadPipe does to packs what a fate says, and counts what is put. Safe for concurrent use.
type BadPipe struct {
	node.Pipe
	mu    sync.Mutex
	packs int
	bytes int64
	fate  func(n int, data []byte) (_ []byte, lost bool)
}

// SetFate gives what becomes of packs: n counts them from 0, and the bytes returned are put. nil: they come as they are.
func (p *BadPipe) SetFate(fate func(n int, data []byte) (_ []byte, lost bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fate = fate
}

// PutStream puts what fate leaves of a pack.
func (p *BadPipe) PutStream(ctx context.Context, name frame.Name, size int64, fill func(io.Writer) error) error {
	var b bytes.Buffer
	if err := fill(&b); err != nil {
		return err
	}
	p.mu.Lock()
	n := p.packs
	p.packs++
	p.bytes += size
	fate := p.fate
	p.mu.Unlock()
	data, lost := b.Bytes(), false
	if fate != nil {
		data, lost = fate(n, data)
	}
	if lost {
		return nil
	}
	return p.Put(ctx, name, data)
}

// Count gives how many packs were put, and how many bytes of them.
func (p *BadPipe) Count() (packs int, written int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.packs, p.bytes
}
