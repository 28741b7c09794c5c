package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/pipe"
)

// slowPacks is a pipe that holds packs up, where they are written or where they are read, until it is told to let them go. Frames
// go at once.
type slowPacks struct {
	node.Pipe
	reading bool // holds up those that are read, not those that are written
	first   sync.Once
	held    chan struct{} // closed when the first is held up
	free    chan struct{} // closed: all go
}

// hold holds a pack up.
func (p *slowPacks) hold(ctx context.Context) {
	p.first.Do(func() { close(p.held) })
	select {
	case <-p.free:
	case <-ctx.Done():
	}
}

// PutStream holds a pack up in the middle of being written.
func (p *slowPacks) PutStream(ctx context.Context, name frame.Name, size int64, fill func(io.Writer) error) error {
	return p.Pipe.PutStream(ctx, name, size, func(w io.Writer) error {
		if !p.reading {
			p.hold(ctx)
		}
		return fill(w)
	})
}

// Open holds whoever reads a pack up.
func (p *slowPacks) Open(f pipe.File) (pipe.Content, error) {
	if p.reading && f.Name.Ext == frame.ExtPack {
		p.hold(context.Background())
	}
	return p.Pipe.Open(f)
}

// TestABodyHoldsNoCallUp: while a body of 16 MiB is being written into the pipe, and then while it is being read out of it, small calls
// are made and answered: they wait for no byte of it.
func TestABodyHoldsNoCallUp(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b := apart(t, up)
	packs := map[*host]*slowPacks{}
	for _, h := range []*host{a, b} {
		p := &slowPacks{reading: h == b, held: make(chan struct{}), free: make(chan struct{})}
		packs[h] = p
		h.wrap = func(inner node.Pipe) node.Pipe { p.Pipe = inner; return p }
		h.start()
	}
	let := sync.OnceFunc(func() { close(packs[b].free) })
	t.Cleanup(func() { let(); a.stop(); b.stop() })
	known(t, a, b)
	body := randomBytes(16 << 20)
	over := make(chan error, 1)
	go func() {
		resp, err := a.m.Call(t.Context(), request(b, "POST", "/large", body), longWait, nil)
		if err == nil {
			var got []byte
			got, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && !bytes.Equal(got, body) {
				err = fmt.Errorf("%d other bytes", len(got))
			}
		}
		over <- err
	}()
	small := func(when string) {
		t.Helper()
		for i := range 5 {
			if _, got := call(t, a, request(b, "POST", fmt.Sprintf("/small/%s/%d", when, i), []byte("x"))); string(got) != "x" {
				t.Errorf("%s: %q", when, got)
			}
		}
		select {
		case err := <-over:
			t.Fatalf("%s: the body is over: %v", when, err)
		default:
		}
	}
	held := func(h *host, when string) {
		t.Helper()
		select {
		case <-packs[h].held:
			small(when)
		case err := <-over:
			t.Fatalf("the body is over, and no pack was %s: %v", when, err)
		}
	}
	held(a, "written")
	close(packs[a].free)
	held(b, "read")
	let()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// TestAFullOutboxSaysWhenToComeAgain: calls are accepted until as many messages wait for a site as may, then refused, with the time
// after which to try again. When the site comes, all that were accepted are made, once each, and new ones are taken.
func TestAFullOutboxSaysWhenToComeAgain(t *testing.T) {
	const most = 10
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b := apart(t, up)
	a.limits = node.Limits{OutboxMessages: most}
	a.start()
	var accepted []exchange.ID
	refused := 0
	for i := range 3 * most {
		_, err := a.m.Call(t.Context(), request(b, "POST", fmt.Sprintf("/waits/%d", i), []byte("x")), 0, func(id exchange.ID) { accepted = append(accepted, id) })
		var p *exchange.Problem
		switch {
		case errors.Is(err, exchange.ErrWait) && refused == 0: // accepted
		case errors.As(err, &p) && p.Code == exchange.CodeOutboxFull:
			if refused++; p.RetryAfter <= 0 {
				t.Errorf("call %d: nothing says when to come again: %+v", i, p)
			}
		default:
			t.Fatalf("call %d, after %d were refused: %v", i, refused, err)
		}
	}
	if len(accepted) != most || refused != 2*most {
		t.Errorf("%d calls were accepted and %d refused, want %d and %d", len(accepted), refused, most, 2*most)
	}
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	for i, id := range accepted {
		if resp := awaitResult(t, a, id); resp.Status != 200 {
			t.Errorf("accepted call %d: %d", i, resp.Status)
		}
		if n := up.count(fmt.Sprintf("/waits/%d", i)); n != 1 {
			t.Errorf("call %d was made %d times", i, n)
		}
	}
	if _, got := call(t, a, request(b, "POST", "/after", []byte("y"))); string(got) != "y" {
		t.Errorf("after that: %q", got)
	}
}
