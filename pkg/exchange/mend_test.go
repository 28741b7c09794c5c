package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
)

// rotten is a callee of which each call is preceded by what befalls the disk.
type rotten struct {
	*callee
	befall func(r *exchange.Request)
}

func (u rotten) Do(ctx context.Context, r *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	u.befall(r)
	return u.callee.Do(ctx, r)
}

// rot damages every chunk of a host but those that it had before; with drop they are gone.
func rot(t *testing.T, h *host, before []chunk.Name, drop bool) (n int) {
	t.Helper()
	for _, c := range h.chunks.Names() {
		if slices.Contains(before, c) {
			continue
		}
		if err := h.chunks.Damage(c, drop); err != nil {
			t.Error(err)
		}
		n++
	}
	return n
}

// What goes bad on the disk of the callees' side between its arrival and the call is sent again.
func TestRequestGoesBadOnDisk(t *testing.T) {
	for name, drop := range map[string]bool{"damaged": false, "gone": true} {
		t.Run(name, func(t *testing.T) {
			var b *host
			up := rotten{callee: &callee{calls: map[string]int{}, slots: 4, do: echo}}
			up.befall = func(r *exchange.Request) {
				if r.Target == "/x" && rot(t, b, nil, drop) == 0 {
					t.Error("there was nothing to damage")
				}
			}
			a, b2, pa, _ := badPair(t, &up, nil, nil)
			b = b2
			known(t, a, b)
			body := randomBytes(5 << 20)
			if _, got := call(t, a, request(b, "POST", "/x", body)); !bytes.Equal(got, body) {
				t.Fatalf("%d bytes came back of %d, or not the same", len(got), len(body))
			}
			if _, n := pa.Count(); n < 2*int64(len(body)) {
				t.Errorf("%d bytes were sent of a body of %d, all of which was lost once", n, len(body))
			}
		})
	}
}

// When its sender has it no longer either, the call fails and says why.
func TestRequestGoesBadOnBothDisks(t *testing.T) {
	var a, b *host
	up := rotten{callee: &callee{calls: map[string]int{}, slots: 4, do: echo}}
	up.befall = func(r *exchange.Request) {
		if r.Target == "/x" {
			rot(t, a, nil, false)
			rot(t, b, nil, false)
		}
	}
	a, b, _, _ = badPair(t, &up, nil, nil)
	known(t, a, b)
	_, err := a.m.Call(t.Context(), request(b, "POST", "/x", randomBytes(3<<20)), longWait, nil)
	var p *exchange.Problem
	if !errors.As(err, &p) || up.count("/x") != 0 {
		t.Fatalf("%v after %d calls", err, up.count("/x"))
	}
	if !eventually(func() bool { return a.chunks.Pinned() == 0 && b.chunks.Pinned() == 0 }) {
		t.Errorf("pinned: %d and %d", a.chunks.Pinned(), b.chunks.Pinned())
	}
}

// The same for an answer of which the caller has read only the beginning. What is bad of one that is here whole cannot be
// had again: the far side has let it go.
func TestAnswerGoesBadOnDisk(t *testing.T) {
	body := randomBytes(9 << 20)
	up := &callee{calls: map[string]int{}, slots: 4}
	up.do = func(r *exchange.Request, in []byte) *exchange.Response {
		if r.Target == "/known" {
			return echo(r, in)
		}
		return &exchange.Response{Status: 200, Length: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}
	}
	a, b, _, _ := badPair(t, up, nil, nil)
	known(t, a, b)
	resp, err := a.m.Call(t.Context(), request(b, "GET", "/x", nil), longWait, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if !eventually(func() bool { return len(a.chunks.Names()) > 0 }) {
		t.Fatal("no chunk comes")
	}
	rot(t, a, nil, false)
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("%d bytes of %d, or not the same: %v", len(got), len(body), err)
	}
	stored := awaitResult(t, a, resp.Exchange)
	rot(t, a, nil, false)
	_, err = io.ReadAll(stored.Body)
	var p *exchange.Problem
	if !errors.As(err, &p) || p.Code != exchange.CodeChunksGone {
		t.Errorf("reading a stored answer that went bad: %v", err)
	}
}
