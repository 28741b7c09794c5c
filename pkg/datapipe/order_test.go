package datapipe

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/node/nodetest"
)

// quietLoop runs functions at once, on a step that leads nowhere.
type quietLoop struct {
	caps map[identity.ID]bool // peers that were heard of, and whether they take fetch
}

func (quietLoop) Do(fn func(*node.Step)) error { fn(&node.Step{}); return nil }

func (l quietLoop) Takes(peer identity.ID, _ frame.Kind) (takes, heard bool) {
	takes, heard = l.caps[peer]
	return takes, heard
}

var peerA, peerB, peerC = identity.ID{1}, identity.ID{2}, identity.ID{3}

func quietPipe(caps map[identity.ID]bool) *Pipe {
	chunks := nodetest.NewChunks()
	p := New(Options{Chunks: chunks, Peers: []Peer{{peerA, "site-a"}, {peerB, "site-b"}, {peerC, "site-c"}}},
		exchange.NewManager(exchange.Config{Chunks: chunks}, nil, nil), quietLoop{caps})
	p.trip = func(*node.Step, identity.ID) time.Duration { return 0 }
	return p
}

// Peers are asked in the order of the configuration, those first that were heard of.
func TestOrderOfPeers(t *testing.T) {
	p := quietPipe(map[identity.ID]bool{peerB: true, peerC: true})
	if got, problem := p.asking(""); problem != nil || !slices.Equal(got, []identity.ID{peerB, peerC, peerA}) {
		t.Errorf("%v, %v", got, problem)
	}
	if got, problem := p.asking("site-c"); problem != nil || !slices.Equal(got, []identity.ID{peerC}) {
		t.Errorf("%v, %v", got, problem)
	}
	if _, problem := p.asking("site-x"); problem == nil || problem.Code != exchange.CodeNoPeer {
		t.Errorf("%v", problem)
	}
	p = quietPipe(map[identity.ID]bool{peerA: false, peerB: false, peerC: false})
	if _, problem := p.asking(""); problem == nil || problem.Code != exchange.CodeUnsupported {
		t.Errorf("%v", problem)
	}
}

// Who does not have a chunk, or says nothing, has the next one asked; when nobody has it, that is the end.
func TestNextPeer(t *testing.T) {
	p := quietPipe(nil)
	f := p.newFetch(exchange.ID{1}, chunk.Owner{1}, []identity.ID{peerA, peerB, peerC})
	e := &chunk.Entry{Len: 5}
	if err := f.want(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	asked := func(when string, want ...int) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(f.ask)); !slices.Equal(got, want) {
			t.Fatalf("%s: peers %v are asked, want %v", when, got, want)
		}
		if err := f.flush(); err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(peer identity.ID) error {
		f.tell(func(n *news) { n.refused = append(n.refused, refusal{peer, []chunk.Name{e.Name(), {7}}}) })
		_, err := f.hear()
		return err
	}
	asked("at first", 0)
	if err := refuse(peerA); err != nil {
		t.Fatal(err)
	}
	asked("the first does not have it", 1)
	f.others()
	asked("the second says nothing", 2)
	f.others()
	asked("nor does the third")
	if err := refuse(peerC); err != nil {
		t.Fatal("ended while one may still have it: ", err)
	}
	asked("the second was asked already")
	if err := refuse(peerB); !errors.Is(err, ErrNobody) {
		t.Fatal(err)
	}
}

// A peer that says nothing for a while is not waited for alone.
func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quietPipe(nil)
		f := p.newFetch(exchange.ID{1}, chunk.Owner{1}, []identity.ID{peerA, peerB})
		if err := f.want(t.Context(), &chunk.Entry{Len: 5}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), otherPeer+time.Second) // simulated time
		defer cancel()
		if err := f.drain(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if n := p.Stats().Asked; n != 2 {
			t.Errorf("%d questions, want one to each of two peers", n)
		}
	})
}

// A chunk store that stays full ends a fetch.
func TestNoRoom(t *testing.T) {
	p := quietPipe(nil)
	f := p.newFetch(exchange.ID{1}, chunk.Owner{1}, []identity.ID{peerA})
	p.fetches[f.id] = f
	now := time.Unix(1_700_000_000, 0)
	refused := func(after time.Duration) error {
		now = now.Add(after)
		p.ChunksRefused(&node.Step{Now: now}, peerA, f.id, true)
		_, err := f.hear()
		return err
	}
	if err := refused(0); err != nil {
		t.Fatal(err)
	}
	if err := refused(fullPatience / 2); err != nil {
		t.Fatal(err)
	}
	var problem *exchange.Problem
	if err := refused(fullPatience); !errors.As(err, &problem) || problem.Code != exchange.CodeStorageFull {
		t.Fatal(err)
	}
}

// A client that gives up ends the waiting.
func TestGivingUpWaiting(t *testing.T) {
	p := quietPipe(nil)
	f := p.newFetch(exchange.ID{1}, chunk.Owner{1}, []identity.ID{peerA})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := f.want(ctx, &chunk.Entry{Len: 5})
	if err == nil {
		err = f.drain(ctx, 0)
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
