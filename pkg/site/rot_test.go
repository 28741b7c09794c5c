package site_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// rot changes a byte in every chunk that a site keeps on its disk, and gives the number of bytes changed.
func rot(t *testing.T, stateDir string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(stateDir, "chunks", "*.chunks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		for at := int64(1000); at < fi.Size(); at += 200 << 10 { // less than the smallest chunk
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 0x10
			if _, err := f.WriteAt(b, at); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Every chunk of a request goes bad on the disk of the callees' side after it was acknowledged: the call is made with
// the true body all the same. When the callers' side has lost it as well, the call fails and says why.
func TestBodiesThatGoBadOnDisk(t *testing.T) {
	body := make([]byte, 20<<20) // more than sockets and readers hold: the rest is read after it went bad
	src := rand.NewChaCha8([32]byte{7})
	_, _ = src.Read(body)
	sum := sha256.Sum256(body)
	var dirs []string // to go bad in the next call
	a, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // one that has carried much already may hold more than a body
		for _, dir := range dirs {
			if rot(t, dir) == 0 {
				t.Error("nothing was there to go bad")
			}
		}
		h := sha256.New()
		if _, err := io.Copy(h, r.Body); err != nil {
			return
		}
		_, _ = io.WriteString(w, hex.EncodeToString(h.Sum(nil)))
	}))
	dir := filepath.Dir(a.file)
	url := "http://" + a.Addr().String() + "/x"

	dirs = []string{filepath.Join(dir, "b")}
	resp, err := http.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(got) != hex.EncodeToString(sum[:]) {
		t.Fatalf("%d %q, %v", resp.StatusCode, got, err)
	}

	dirs = []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	_, _ = src.Read(body)
	resp, err = http.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var p struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || resp.StatusCode != http.StatusBadGateway || p.Code != "chunks-gone" {
		t.Errorf("%d %+v, %v", resp.StatusCode, p, err)
	}
}
