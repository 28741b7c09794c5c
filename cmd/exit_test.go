package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/store"
)

func TestExitCode(t *testing.T) {
	live := context.Background()
	ended, cancel := context.WithCancel(live)
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{live, nil, 0},
		{ended, nil, 0},
		{live, errors.New("disk full"), 1},
		{live, context.Canceled, 1},
		{ended, fmt.Errorf("serving: %w", context.Canceled), 130},
		{ended, withExit(exitPartly, fmt.Errorf("copying: %w", context.Canceled)), 130},
		{ended, errors.New("disk full"), 1},
		{live, fmt.Errorf("a: %w", withExit(exitKey, errors.New("b"))), 12},
		{live, fmt.Errorf("opening ./a: %w", store.ErrLocked), 11},
		{live, fmt.Errorf("opening ./a: %w", store.ErrNewer), 10},
		{live, fmt.Errorf("opening ./a: %w", store.ErrForeign), 10},
		{live, fmt.Errorf("opening ./a: %w", store.ErrUnusable), 10},
		{live, withExit(exitGaveUp, store.ErrLocked), 28},
		{live, errors.Join(&config.Problem{Key: "name", Reason: "missing"}), 2},
		{live, config.ErrNoFile, 2},
	} {
		if got := exitCode(c.ctx, c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	if withExit(exitFailed, nil) != nil {
		t.Error("no error became one")
	}
}

// The outcome of a command must not depend on an earlier run in the same process.
func TestRunKeepsNothing(t *testing.T) {
	for range 2 {
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"explain", "--json", "loop"}, &out, &errs); code != 0 || !bytes.HasPrefix(out.Bytes(), []byte("{")) {
			t.Errorf("%d: %s %s", code, &out, &errs)
		}
		out.Reset()
		if code := run(t.Context(), []string{"explain", "loop"}, &out, &errs); code != 0 || bytes.HasPrefix(out.Bytes(), []byte("{")) {
			t.Errorf("%d: %s %s", code, &out, &errs)
		}
	}
}
