package exchange

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

// What a caller is told when a chunk cannot be stored: a full disk has a code, whichever part of the store noticed it first.
func TestFullDiskHasACode(t *testing.T) {
	for want, err := range map[string]error{
		CodeStorageFull: fmt.Errorf("put: %w", chunk.ErrFull),
		CodeStoreFailed: fmt.Errorf("chunk store: make room: %w", fmt.Errorf("store: commit: %w", store.ErrFull)),
	} {
		var p *Problem
		if !errors.As(chunkProblem(err), &p) || p.Code != want || p.RetryAfter == 0 {
			t.Errorf("%v: %+v, want %s", err, p, want)
		}
	}
}
