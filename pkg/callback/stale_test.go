package callback

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// slowRows reads the callbacks that are due while one is under way, and gives them when that one has ended.
type slowRows struct {
	*store.Mem
	s         *Sender
	id        string
	began     atomic.Bool
	read      chan struct{}
	once, end sync.Once
	committed chan struct{}
}

func (r *slowRows) CallbacksDue(ctx context.Context, at time.Time, limit int) ([]store.Callback, error) {
	rows, err := r.Mem.CallbacksDue(ctx, at, limit)
	if !r.began.Load() {
		return rows, err
	}
	r.once.Do(func() {
		close(r.read)
		<-r.committed
		for r.s.mu.TryLock() { // where the sender holds it, what has ended still counts as under way
			busy := r.s.busy[r.id]
			r.s.mu.Unlock()
			if !busy {
				break
			}
			runtime.Gosched()
		}
	})
	return rows, err
}

func (r *slowRows) Commit(ctx context.Context, b *store.Batch) error {
	err := r.Mem.Commit(ctx, b)
	if r.began.Load() {
		r.end.Do(func() { close(r.committed) })
	}
	return err
}

type one struct{}

func (one) State(_ context.Context, x exchange.ID) (*exchange.State, error) {
	return &exchange.State{ID: x, State: exchange.StateFailed}, nil
}
func (one) Result(context.Context, exchange.ID) (*exchange.Response, error) {
	return nil, exchange.ErrGone
}

// A callback that is taken while the rows are being read is not sent again by what they said of it.
func TestTakenWhileRowsAreRead(t *testing.T) {
	rows := &slowRows{Mem: store.NewMem(), id: "x.completed", read: make(chan struct{}), committed: make(chan struct{})}
	var got atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		got.Add(1)
		rows.began.Store(true)
		rows.s.Wake()
		<-rows.read
	}))
	defer srv.Close()
	s, err := New(Options{Config: config.Callbacks{Allow: []string{"http://127.0.0.1:*/"}}, StateDir: t.TempDir(), Site: "site-a", Store: rows, Answers: one{}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	rows.s = s
	var b store.Batch
	now := time.Now()
	b.PutCallback(store.Callback{ID: rows.id, Exchange: exchange.NewID(now), Type: "completed", URL: srv.URL + "/", At: now, Next: now})
	if err := rows.Mem.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	<-rows.committed
	cancel()
	<-done
	if n := got.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}
