package exchange

import (
	"context"
	"sync"
)

// tasks are the goroutines that talk to callees.
type tasks struct {
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex // none is begun while close begins to wait
	closed bool
	wg     sync.WaitGroup
}

// run begins one, but none any more once close was called.
func (t *tasks) run(fn func(ctx context.Context)) (stop context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return cancel
	}
	t.wg.Go(func() {
		defer cancel()
		fn(ctx)
	})
	return cancel
}

func (t *tasks) close() {
	t.cancel()
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
}
