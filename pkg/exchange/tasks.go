package exchange

import (
	"context"
	"sync"
)

// tasks are the goroutines that talk to callees.
type tasks struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (t *tasks) run(fn func(ctx context.Context)) (stop context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.ctx)
	t.wg.Go(func() {
		defer cancel()
		fn(ctx)
	})
	return cancel
}

func (t *tasks) close() {
	t.cancel()
	t.wg.Wait()
}
