package node

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
)

// buffers are for sealed frames: they are large and short-lived.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

// maxPooled is the largest buffer that is kept for another frame.
const maxPooled = 4 << 20

// write seals one frame and puts it; the outcome goes to the loop.
func (n *Node) write(ctx context.Context, w Write) {
	bp := buffers.Get().(*[]byte)
	buf, err := n.sealFrame((*bp)[:0], w)
	size := int64(len(buf))
	if err == nil {
		err = n.opt.Pipe.Put(ctx, w.Name, buf)
	}
	if cap(buf) <= maxPooled {
		*bp = buf
		buffers.Put(bp)
	}
	if err != nil && ctx.Err() == nil {
		text := "cannot write to the outbox; trying again"
		if errors.Is(err, pipe.ErrExists) {
			text = "this name was used already: a second copy of this site may run on the same folder"
		}
		level := func() *zerolog.Event { return n.opt.Log.Error().Str("peer", n.peers[w.Peer].Name) }
		n.reader.quiet.trouble(level, time.Now(), w.Name.String(), text, err)
	}
	n.tell(ctx, func(now time.Time) { n.core.Wrote(now, w.Peer, size, err) })
}

func (n *Node) sealFrame(dst []byte, w Write) ([]byte, error) {
	s := n.peers[w.Peer].Sealer
	for _, claims := range w.Lines {
		var err error
		if dst, err = s.Seal(dst, claims); err != nil {
			return dst, fmt.Errorf("seal %s: %w", w.Name, err)
		}
	}
	return dst, nil
}

// clean removes own files that are not needed any more, and inbox files whose effects are durable.
func (n *Node) clean(ctx context.Context, own []frame.Name, consumed []any) {
	was := make([]bool, len(own))
	var removed, stuck []frame.Name
	for _, name := range own {
		there, err := n.opt.Pipe.RemoveOwn(name)
		if err == nil {
			was[len(removed)] = there
			removed = append(removed, name)
			continue
		}
		n.reader.quiet.trouble(n.opt.Log.Warn, time.Now(), name.String(), "cannot remove an own file from the outbox; trying again", err)
		if !errors.Is(err, pipe.ErrNotRegular) { // which is none of ours
			stuck = append(stuck, name)
		}
	}
	if len(removed)+len(stuck) > 0 {
		n.tell(ctx, func(now time.Time) {
			for i, name := range removed {
				n.core.Removed(name, !was[i])
			}
			for _, name := range stuck {
				n.core.NotRemoved(now, name)
			}
		})
	}
	for _, t := range consumed {
		f := t.(pipe.File)
		if err := n.opt.Pipe.Remove(f); err != nil && !errors.Is(err, pipe.ErrGone) && !errors.Is(err, pipe.ErrChanged) {
			n.reader.quiet.trouble(n.opt.Log.Warn, time.Now(), f.Name.String(), "cannot remove a handled file from the inbox", err)
		}
	}
}

// look lists own files of a peer for its link.
func (n *Node) look(ctx context.Context, peer identity.ID) {
	files, err := n.opt.Pipe.ListOwn(peer)
	if err != nil && ctx.Err() == nil {
		n.reader.quiet.trouble(n.opt.Log.Warn, time.Now(), n.peers[peer].Name, "cannot look into the outbox", err)
	}
	n.tell(ctx, func(now time.Time) { n.core.Looked(now, peer, files, err) })
}

func seed() (s [32]byte) {
	if _, err := crand.Read(s[:]); err != nil {
		panic(err) // crypto/rand never fails (documented since Go 1.24)
	}
	return s
}
