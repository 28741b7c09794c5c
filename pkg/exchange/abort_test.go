package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
)

// holding holds the first file above a size back until it is told to let it go. Safe for concurrent use.
type holding struct {
	node.Pipe
	over int
	mu   sync.Mutex
	put  func() error  // lets it go; nil: none is held
	held chan struct{} // closed then
}

// Put holds a file back, or puts it.
func (p *holding) Put(ctx context.Context, name frame.Name, pieces ...[]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	data := bytes.Join(pieces, nil)
	if p.put != nil || len(data) <= p.over {
		return p.Pipe.Put(ctx, name, pieces...)
	}
	p.put = func() error { return p.Pipe.Put(context.WithoutCancel(ctx), name, data) }
	close(p.held)
	return nil
}

func (p *holding) letGo(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.put(); err != nil {
		t.Fatal(err)
	}
}

// breaking answers with a head and the beginning of a body, and breaks off when it is told to.
type breaking struct {
	callee
	off chan struct{}
}

const (
	bigHead = 12_000 // bytes of a field in it
	begun   = "abc"  // what comes before the answer breaks off
)

func (u *breaking) Do(context.Context, *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	r, w := io.Pipe()
	go func() {
		if _, err := io.WriteString(w, begun); err == nil {
			<-u.off
			w.CloseWithError(io.ErrUnexpectedEOF)
		}
	}()
	return &exchange.Response{Status: 200, Fields: exchange.Fields{{Name: "X-Big", Value: strings.Repeat("x", bigHead)}}, Length: 100_000, Body: r}, true, nil
}

// overtaken is a pair in which the word that an answer broke off comes before the answer's head, which is held back. No
// timer writes it again meanwhile.
func overtaken(t *testing.T) (a *host, pipe *holding, answer chan error, id exchange.ID) {
	t.Helper()
	up := &breaking{callee{calls: map[string]int{}, slots: 1}, make(chan struct{})}
	a, b := apart(t, up)
	a.ackDelay, b.ackDelay = time.Hour, time.Hour
	pipe = &holding{over: bigHead, held: make(chan struct{})}
	b.wrap = func(inner node.Pipe) node.Pipe { pipe.Pipe = inner; return pipe }
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	answer = make(chan error, 1)
	accepted := make(chan exchange.ID, 1)
	go func() {
		resp, err := a.m.Call(t.Context(), request(b, "GET", "/broken", nil), longWait, func(x exchange.ID) { accepted <- x })
		if err == nil {
			var got []byte
			got, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if !strings.HasPrefix(begun, string(got)) || resp.Status != 200 {
				err = fmt.Errorf("another answer came: %d, %q", resp.Status, got)
			}
		}
		answer <- err
	}()
	<-pipe.held // the head
	close(up.off)
	return a, pipe, answer, <-accepted
}

// The word that an answer broke off may overtake its head. The caller gets the head all the same, and what came with it.
func TestAnAbortWaitsForTheHead(t *testing.T) {
	a, pipe, answer, id := overtaken(t)
	awaitStored(t, a, id)
	pipe.letGo(t)
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
	awaitStored(t, a, id)
	a.crash()
	a.start()
	pipe.letGo(t)
	_, err := outcome(t, a, id)
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
