package admin

import (
	"context"
	"sync"
)

// shared runs one thing at a time for all who ask meanwhile: a hung network share or a busy loop holds
// up one goroutine, however many ask. The zero value is ready.
type shared[T any] struct {
	mu  sync.Mutex
	now *run[T]
}

type run[T any] struct {
	done chan struct{}
	val  T
	err  error
}

// do gives what fn gave, to this caller or to another one that asked while it ran. It returns with
// ctx's error when ctx ends first; fn then goes on.
func (s *shared[T]) do(ctx context.Context, fn func() (T, error)) (T, error) {
	s.mu.Lock()
	r := s.now
	if r == nil {
		r = &run[T]{done: make(chan struct{})}
		s.now = r
		go func() {
			r.val, r.err = fn()
			s.mu.Lock()
			s.now = nil
			s.mu.Unlock()
			close(r.done)
		}()
	}
	s.mu.Unlock()
	select {
	case <-r.done:
		return r.val, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
