package exchange_test

import (
	"context"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
)

// A call that is given up in the moment in which the server answers is canceled, not broken off: nothing was said of an answer.
func TestCanceledAsTheServerAnswers(t *testing.T) {
	up := late{&callee{calls: map[string]int{}, slots: 1, do: echo}, make(chan struct{}, 1)}
	a, b := pair(t, up)
	id := post(t, a, request(b, "POST", "/x", []byte("1")))
	<-up.entered
	if err := a.m.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := outcome(t, a, id); problemCode(err) != exchange.CodeCanceled {
		t.Errorf("it ended with %v", err)
	}
}

// late answers when its call is ended.
type late struct {
	*callee
	entered chan struct{}
}

func (u late) Do(ctx context.Context, _ *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	u.entered <- struct{}{}
	<-ctx.Done()
	pr, pw := io.Pipe()
	pw.CloseWithError(ctx.Err())
	return &exchange.Response{Status: 200, Length: -1, Body: pr}, true, nil
}
