//go:build unix

package site_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sumBack answers with the SHA-256 of the body.
var sumBack = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, hex.EncodeToString(h.Sum(nil)))
})

func randomBody(n int) (body []byte, sum string) {
	body = make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	h := sha256.Sum256(body)
	return body, hex.EncodeToString(h[:])
}

func postBody(t *testing.T, a *running, body []byte) (status int, text string) {
	t.Helper()
	resp, err := http.Post("http://"+a.Addr().String()+"/", "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

func chunkFiles(t *testing.T, r *running, state string) (files []os.FileInfo) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(filepath.Dir(r.file), state, "chunks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, fi)
	}
	return files
}

// With pipe.private in a shared folder nothing is copied: what the second site stores are the files of the first.
func TestPrivatePipeCopiesNothing(t *testing.T) {
	a, b := pairWith(t, sumBack, "outbox: ./ab, inbox: ./ba, private: true", "outbox: ./ba, inbox: ./ab, private: true")
	body, sum := randomBody(24 << 20)
	if status, text := postBody(t, a, body); status != http.StatusOK || text != sum {
		t.Fatalf("%d %q, want %s", status, text, sum)
	}
	mine, theirs := chunkFiles(t, a, "a"), chunkFiles(t, b, "b")
	for _, f := range theirs {
		same := false
		for _, g := range mine {
			same = same || os.SameFile(f, g)
		}
		if !same {
			t.Errorf("%s of %d bytes is a copy", f.Name(), f.Size())
		}
	}
	if len(theirs) == 0 {
		t.Error("nothing is stored")
	}
}

// A mover that cuts a linked pack in place, in spite of pipe.private, damages what its sender has stored. The call then fails
// and says so; nobody is given other bytes than were sent, and what comes later is carried.
func TestCutInPlaceIsNoticed(t *testing.T) {
	a, _ := pairWith(t, sumBack, "outbox: ./ab, inbox: ./ba, private: true, settle: 50ms", "outbox: ./ba-out, inbox: ./ab-in, private: true, settle: 50ms")
	dir := filepath.Dir(a.file)
	ctx, cancel := context.WithCancel(t.Context())
	moved := make(chan int)
	go func() { moved <- carry(ctx, t, dir, 1<<20) }()
	body, _ := randomBody(6 << 20)
	status, text := postBody(t, a, body)
	if status != http.StatusBadGateway || !strings.Contains(text, "chunks-gone") {
		t.Errorf("%d %s", status, text)
	}
	small := body[:200<<10] // not cut: its pack is shorter
	h := sha256.Sum256(small)
	if status, text := postBody(t, a, small); status != http.StatusOK || text != hex.EncodeToString(h[:]) {
		t.Errorf("the next call: %d %s", status, text)
	}
	cancel()
	if n := <-moved; n == 0 {
		t.Error("no pack was cut")
	}
}

// carry moves files both ways until ctx ends, and cuts packs above limit where they lie. It gives how many it cut.
func carry(ctx context.Context, t *testing.T, dir string, limit int64) (cut int) {
	for ctx.Err() == nil {
		for from, to := range map[string]string{"ab": "ab-in", "ba-out": "ba"} {
			paths, err := filepath.Glob(filepath.Join(dir, from, "*", "*--*"))
			if err != nil {
				t.Error(err)
			}
			for _, p := range paths {
				fi, err := os.Stat(p)
				if err != nil || strings.HasSuffix(p, ".part") {
					continue // taken back meanwhile, or not whole
				}
				if strings.HasSuffix(p, ".pack") && fi.Size() > limit {
					err := os.Truncate(p, limit)
					if os.IsNotExist(err) {
						continue // taken back meanwhile
					}
					if err != nil {
						t.Error(err)
					}
					cut++
				}
				data, err := os.ReadFile(p)
				if err != nil {
					continue
				}
				dst := filepath.Join(dir, to, filepath.Base(filepath.Dir(p)))
				if err := os.MkdirAll(dst, 0o750); err != nil {
					t.Error(err)
				}
				part := filepath.Join(dst, "."+filepath.Base(p)+".tmp")
				if err := os.WriteFile(part, data, 0o600); err != nil {
					t.Error(err)
				}
				if err := os.Rename(part, filepath.Join(dst, filepath.Base(p))); err != nil {
					t.Error(err)
				}
				if err := os.Remove(p); err != nil && !os.IsNotExist(err) {
					t.Error(err)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return cut
}
