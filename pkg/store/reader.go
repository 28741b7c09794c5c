package store

import (
	"context"
	"sync"
)

// reader is a pool of connections that only read. It implements Reader, spread over the files of the
// table groups.
type reader struct {
	free   chan *session
	closed chan struct{}
	once   sync.Once
	err    error // of closing
}

// openReader opens n connections to an existing database; params are added to the data source name.
func openReader(path string, n int, params ...string) (*reader, error) {
	params = append(params, "mode=ro", "_pragma=busy_timeout(5000)", "_pragma=query_only(1)", "_pragma=temp_store(MEMORY)")
	r := &reader{free: make(chan *session, n), closed: make(chan struct{})}
	for range n {
		s, err := openSession(path, params...)
		if err != nil {
			r.closeFree()
			return nil, err
		}
		r.free <- s
	}
	return r, nil
}

// with runs f on a connection of its own.
func (r *reader) with(ctx context.Context, f func(*session) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-r.closed:
		return ErrClosed
	default:
	}
	select {
	case s := <-r.free:
		defer func() { r.free <- s }()
		return asDamage(f(s))
	case <-r.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close waits for reads under way and closes all connections.
func (r *reader) close() error {
	r.once.Do(func() {
		close(r.closed)
		for range cap(r.free) {
			s := <-r.free
			if err := s.close(); r.err == nil {
				r.err = err
			}
		}
	})
	return r.err
}

// closeFree closes what was opened so far, after opening failed.
func (r *reader) closeFree() {
	for len(r.free) > 0 {
		_ = (<-r.free).close() // the error of opening says more
	}
}
