package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
)

// losing loses the files above a size while it is told to. Safe for concurrent use.
type losing struct {
	node.Pipe
	mu   sync.Mutex
	over int           // 0: none
	lost chan struct{} // told of each
}

func (p *losing) lose(over int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = over
}

// Put loses a file, or puts it.
func (p *losing) Put(ctx context.Context, name frame.Name, pieces ...[]byte) error {
	size := 0
	for _, b := range pieces {
		size += len(b)
	}
	p.mu.Lock()
	lose := p.over > 0 && size > p.over
	p.mu.Unlock()
	if !lose {
		return p.Pipe.Put(ctx, name, pieces...)
	}
	select {
	case p.lost <- struct{}{}:
	default:
	}
	return nil
}

// breaking answers with a head and the beginning of a body, and breaks off when it is told to.
type breaking struct {
	callee
	off chan struct{}
}

const begun = 8 << 10 // bytes that come before the answer breaks off

func (u *breaking) Do(context.Context, *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	r, w := io.Pipe()
	go func() {
		if _, err := w.Write(randomBytes(begun)); err == nil {
			<-u.off
			w.CloseWithError(io.ErrUnexpectedEOF)
		}
	}()
	return &exchange.Response{Status: 200, Length: 100_000, Body: r}, true, nil
}

// overtaken is a pair in which the word that an answer broke off has come before the answer's head, which is lost.
func overtaken(t *testing.T) (a *host, pipe *losing, answer chan error, id chan exchange.ID) {
	t.Helper()
	up := &breaking{callee{calls: map[string]int{}, slots: 1}, make(chan struct{})}
	a, b := apart(t, up)
	pipe = &losing{lost: make(chan struct{}, 1)}
	b.wrap = func(inner node.Pipe) node.Pipe { pipe.Pipe = inner; return pipe }
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	answer, id = make(chan error, 1), make(chan exchange.ID, 1)
	pipe.lose(begun)
	go func() {
		resp, err := a.m.Call(t.Context(), request(b, "POST", "/broken", nil), time.Minute, func(x exchange.ID) { id <- x })
		if err == nil {
			var got []byte
			got, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if len(got) > 0 && (len(got) != begun || resp.Status != 200) {
				err = errors.Join(err, errors.New("another answer came"))
			}
		}
		answer <- err
	}()
	<-pipe.lost // the head
	close(up.off)
	return a, pipe, answer, id
}

// The word that an answer broke off may overtake its head. The caller gets the head all the same, and what came with it.
func TestAnAbortWaitsForTheHead(t *testing.T) {
	a, pipe, answer, id := overtaken(t)
	awaitStored(t, a, <-id)
	pipe.lose(0)
	select {
	case err := <-answer:
		var abort *exchange.Abort
		if !errors.As(err, &abort) {
			t.Errorf("%v, want an answer that breaks off behind its head", err)
		}
	case <-time.After(longWait):
		t.Fatal("the caller waits")
	}
}

// It does so when the callers' side fails in between.
func TestAnAbortThatCameFirstIsNotForgotten(t *testing.T) {
	a, pipe, _, id := overtaken(t)
	x := <-id
	awaitStored(t, a, x)
	a.crash()
	a.start()
	pipe.lose(0)
	_, err := outcome(t, a, x)
	if problemCode(err) != exchange.CodeCalleeBroken {
		t.Errorf("%v, want %s", err, exchange.CodeCalleeBroken)
	}
}

// awaitStored waits until it is durable that the answer of a call broke off.
func awaitStored(t *testing.T, h *host, id exchange.ID) {
	t.Helper()
	if !eventually(func() bool {
		rows, err := h.db.InboxExchange(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Kind == frame.KindAbort && bytes.Contains(r.Data, []byte("broke off")) {
				return true
			}
		}
		return false
	}) {
		t.Fatal("that the answer broke off has not come")
	}
}
