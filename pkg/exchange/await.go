package exchange

import (
	"context"
	"errors"
	"time"

	"github.com/hoft/hoft/pkg/node"
)

// Await waits until an exchange has ended, and no longer than wait: ErrWait then. It asks nothing while it waits.
// Safe for concurrent use.
func (m *Manager) Await(ctx context.Context, id ID, wait time.Duration) error {
	if ended, err := m.ended(ctx, id); ended || err != nil {
		return err
	}
	if wait <= 0 {
		return ErrWait
	}
	w, err := m.Watch(ctx, id)
	if err != nil {
		return err
	}
	defer w.Close()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if ended, err := m.ended(ctx, id); ended || err != nil {
			return err
		}
		select {
		case <-w.Changed():
		case <-timer.C:
			return ErrWait
		case <-ctx.Done():
			return ctx.Err()
		case <-m.tasks.ctx.Done():
			return errClosing
		}
	}
}

// ended reads whether an exchange has ended.
func (m *Manager) ended(ctx context.Context, id ID) (bool, error) {
	row, err := m.row(ctx, id)
	return err == nil && row.State != StateRunning, err
}

// joined says that a call repeats one that was accepted before.
type joined struct {
	id    ID
	early bool // its acceptance is not durable yet
	over  bool // it has ended, perhaps not durably yet
}

func (*joined) Error() string { return "this call was accepted before" }

// freed says whether the first call turns out not to have been made, so that its key is free: known only when its end is
// durable.
func (m *Manager) freed(ctx context.Context, first *joined) bool {
	return first.over && m.Await(ctx, first.id, commitPatience) == nil && m.notMade(first.id)
}

// commitPatience is how long the end of an exchange may take to become durable.
const commitPatience = 10 * time.Second

// join answers a repeated call with what comes of the first one. Nobody is told that it was accepted, nor is it looked for,
// before it is durable.
func (m *Manager) join(ctx context.Context, first *joined, wait time.Duration, accepted func(ID)) (*Response, error) {
	id := first.id
	if first.early {
		if err := m.commit(ctx, func(*node.Step) error { return nil }); err != nil {
			return nil, err
		}
	}
	if accepted != nil {
		accepted(id)
	}
	if err := m.Await(ctx, id, wait); err != nil {
		if errors.Is(err, ErrUnknown) {
			return nil, Problemf(CodeGone, "the call was made before; its answer is no longer stored")
		}
		return nil, err
	}
	resp, err := m.Result(ctx, id)
	if errors.Is(err, ErrGone) || errors.Is(err, ErrUnknown) {
		return nil, Problemf(CodeGone, "the call was made before; its answer is no longer stored")
	}
	if err == nil {
		resp.Replayed = true
	}
	return resp, err
}
