package admin

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSharedRunsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shared[int]
		var runs atomic.Int32
		slow := func() (int, error) {
			time.Sleep(time.Minute) // on the test's own clock: long enough for all to ask meanwhile
			return int(runs.Add(1)), nil
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if n, err := s.do(context.Background(), slow); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		hung := errors.New("hung")
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, hung)
		defer cancel()
		wg.Go(func() {
			if _, err := s.do(ctx, slow); !errors.Is(err, hung) {
				t.Errorf("%v", err)
			}
		})
		wg.Wait()
		if n, err := s.do(context.Background(), slow); n != 2 || err != nil {
			t.Errorf("the next run: %d, %v", n, err)
		}
	})
}
