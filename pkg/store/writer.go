package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/hoft/hoft/pkg/identity"
)

// Bounds of one transaction: what is beyond them waits for the next.
const (
	groupOps   = 4096
	groupBytes = 16 << 20
)

// request is one caller's batch on its way through the writer.
type request struct {
	b    *Batch
	work func(*session) error // instead of a batch: something that is done between groups
	done chan error           // one value, when the group is through
}

// writer joins the batches of concurrent callers into one transaction (group commit). While one
// transaction is under way the next callers gather; nobody waits for company.
type writer struct {
	s    *session // used by run alone
	wake chan struct{}
	over chan struct{} // closed when run has ended

	mu     sync.Mutex
	queue  []*request
	closed bool

	once sync.Once
	err  error // of closing
}

func newWriter(s *session) *writer {
	w := &writer{s: s, wake: make(chan struct{}, 1), over: make(chan struct{})}
	go w.run()
	return w
}

func (w *writer) submit(ctx context.Context, b *Batch) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: not committed: %w", err)
	}
	if err := b.Check(); err != nil {
		return err
	}
	return w.wait(ctx, &request{b: b, done: make(chan error, 1)})
}

func (w *writer) wait(ctx context.Context, r *request) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.queue = append(w.queue, r)
	w.mu.Unlock()
	w.ring()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	if w.withdraw(r) {
		return fmt.Errorf("store: not committed: %w", ctx.Err())
	}
	return <-r.done
}

func (w *writer) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// withdraw takes r out of the queue; it says whether r was still there.
func (w *writer) withdraw(r *request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.queue, r)
	if i < 0 {
		return false
	}
	w.queue = slices.Delete(w.queue, i, i+1)
	return true
}

// close commits what is queued, then ends the writer and its connection.
func (w *writer) close() error {
	w.once.Do(func() {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.ring()
		<-w.over
		w.err = w.s.close()
	})
	return w.err
}

func (w *writer) run() {
	defer close(w.over)
	for range w.wake {
		// Callers that the last commit set free run first, so that they share the next one.
		runtime.Gosched()
		for {
			group, closed := w.take()
			if len(group) > 0 && group[0].work != nil {
				group[0].done <- group[0].work(w.s)
				continue
			}
			if len(group) > 0 {
				w.commit(group)
				continue
			}
			if closed {
				return
			}
			break
		}
	}
}

// take gives the next group: the head of the queue within the bounds, at least one batch.
func (w *writer) take() (group []*request, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, ops, size := 0, 0, 0
	for n < len(w.queue) && (n == 0 || ops < groupOps && size < groupBytes) {
		if w.queue[n].work != nil {
			n = max(n, 1) // by itself
			break
		}
		ops += w.queue[n].b.Len()
		size += w.queue[n].b.size()
		n++
	}
	group = w.queue[:n:n]
	w.queue = w.queue[n:]
	return group, w.closed
}

// size gives the bytes of the messages that a batch stores.
func (b *Batch) size() (n int) {
	for _, o := range b.ops {
		switch o := o.(type) {
		case addOutbox:
			n += len(o.Data)
		case addInbox:
			n += len(o.Data) + len(o.Body)
		}
	}
	return n
}

// commit makes a group durable and tells its callers. A batch that is refused for its own content is
// taken out and the others are committed without it; any other error is everybody's.
func (w *writer) commit(group []*request) {
	for len(group) > 0 {
		bad, err := w.try(group)
		if err == nil || !errors.Is(err, ErrExists) {
			for _, r := range group {
				r.done <- err
			}
			return
		}
		group[bad].done <- err
		group = slices.Delete(group, bad, bad+1)
	}
}

// try commits a group as one transaction: all of it or nothing. bad is the batch that failed.
func (w *writer) try(group []*request) (bad int, err error) {
	if _, err = w.s.exec("BEGIN IMMEDIATE"); err == nil {
		bad, err = w.fill(group)
		if err == nil {
			_, err = w.s.exec("COMMIT")
		}
		if err != nil {
			// A failed COMMIT, and some failed statements, have rolled back already; then this has
			// nothing to do and says so.
			_, _ = w.s.exec("ROLLBACK")
		}
	}
	if err == nil {
		return 0, nil
	}
	if hasCode(err, sqlite3.SQLITE_FULL) {
		err = fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return bad, fmt.Errorf("store: commit: %w", asDamage(err))
}

func (w *writer) fill(group []*request) (bad int, err error) {
	t := tx{s: w.s}
	last := lastLinks(group)
	for i, r := range group {
		err := t.batch(r.b, func(op int) bool {
			l, ok := r.b.ops[op].(putLink)
			return ok && last[l.Peer] != place{i, op}
		})
		if err != nil {
			return i, err
		}
	}
	return 0, t.finish()
}

// place is where a change stands in a group.
type place struct{ batch, op int }

// lastLinks gives the last state of each link in a group: the ones before it need not be written.
func lastLinks(group []*request) map[identity.ID]place {
	last := map[identity.ID]place{}
	for i, r := range group {
		for j, o := range r.b.ops {
			if l, ok := o.(putLink); ok {
				last[l.Peer] = place{i, j}
			}
		}
	}
	return last
}
