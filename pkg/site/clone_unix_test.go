//go:build unix

package site_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

// cloned tells how many packs entered or left a site's pipe as clones.
func cloned(t *testing.T, r *running, state string) uint64 {
	t.Helper()
	st, err := admin.Ask(context.Background(), filepath.Join(filepath.Dir(r.file), state))
	if err != nil {
		t.Fatal(err)
	}
	return st.Pipe.Cloned
}

// Where the file system shares blocks, packs enter and leave the pipe as clones, in folders that others may write in too.
func TestPacksAreCloned(t *testing.T) {
	pipetest.CloneWith(t, pipetest.Clone)
	a, b := pairWith(t, sumBack, "outbox: ./ab, inbox: ./ba", "outbox: ./ba, inbox: ./ab")
	body, sum := randomBody(24 << 20)
	if status, text := postBody(t, a, body); status != http.StatusOK || text != sum {
		t.Fatalf("%d %q, want %s", status, text, sum)
	}
	mine, theirs := chunkFiles(t, a, "a"), chunkFiles(t, b, "b")
	for _, f := range theirs {
		for _, g := range mine {
			if os.SameFile(f, g) {
				t.Errorf("%s of %d bytes is a further name, not a clone", f.Name(), f.Size())
			}
		}
		if f.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), f.Mode())
		}
	}
	if in, out := cloned(t, a, "a"), cloned(t, b, "b"); in < 2 || out < 2 || len(theirs) < int(out) {
		t.Errorf("%d packs were cloned into the pipe, %d out of it; %d files are stored", in, out, len(theirs))
	}
}

// A mover that cuts packs where they lie damages nothing that is stored: what it cut is sent again.
func TestCutInPlaceIsMended(t *testing.T) {
	pipetest.CloneWith(t, pipetest.Clone)
	a, _ := pairWith(t, sumBack, "outbox: ./ab, inbox: ./ba, settle: 50ms", "outbox: ./ba-out, inbox: ./ab-in, settle: 50ms")
	ctx, cancel := context.WithCancel(t.Context())
	moved := make(chan int)
	go func() { moved <- carry(ctx, t, filepath.Dir(a.file), 9<<19) }() // any chunk passes
	body, sum := randomBody(48 << 20)
	status, text := postBody(t, a, body)
	cancel()
	n := <-moved
	if status != http.StatusOK || text != sum || n == 0 {
		t.Errorf("%d %s, %d packs were cut", status, text, n)
	}
	if cloned(t, a, "a") == 0 {
		t.Error("nothing was cloned")
	}
}

// Where the system says that it can and then does it wrong, the far side finds it and asks again; what is sent again is copied.
func TestWrongClonesAreNoticed(t *testing.T) {
	var mu sync.Mutex
	tried := map[string]bool{} // by folder; TryClone comes first
	pipetest.CloneWith(t, func(dst, src *os.File, size int64) error {
		mu.Lock()
		defer mu.Unlock()
		err := pipetest.Clone(dst, src, size)
		if dir := filepath.Dir(dst.Name()); tried[dir] {
			_, werr := dst.WriteAt([]byte("wrong"), 1000)
			err = errors.Join(err, werr)
		} else {
			tried[dir] = true
		}
		return err
	})
	a, _ := pairWith(t, sumBack, "outbox: ./ab, inbox: ./ba, settle: 50ms", "outbox: ./ba, inbox: ./ab, settle: 50ms")
	body, sum := randomBody(24 << 20)
	if status, text := postBody(t, a, body); status != http.StatusOK || text != sum {
		t.Errorf("%d %q, want %s", status, text, sum)
	}
	if cloned(t, a, "a") == 0 {
		t.Error("nothing was cloned")
	}
}
