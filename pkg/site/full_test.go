package site_test

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/config"
)

// A body that the far site's chunk store cannot hold is refused with the reason, at once; so is one that the site of the
// caller cannot hold. Smaller ones go on.
func TestBodiesBeyondTheStore(t *testing.T) {
	for _, row := range []struct {
		who, code string
		a, b      int64
	}{
		{"callees", "chunk-quota", 0, 8 << 20},
		{"callers", "storage-full", 8 << 20, 0},
	} {
		t.Run(row.who, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.configA(), w.configB()
			a.Chunks.MaxBytes, b.Chunks.MaxBytes = config.Size(row.a), config.Size(row.b)
			_, _ = launch(t, b)
			s, _ := launch(t, a)
			url := "http://" + s.Addr().String() + "/x"
			post := func(n int64, seed byte) (int, string, string) {
				resp, err := http.Post(url, "application/octet-stream", io.LimitReader(rand.NewChaCha8([32]byte{seed}), n))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				var p struct {
					Code string `json:"code"`
				}
				_ = json.NewDecoder(resp.Body).Decode(&p) // the callee's answer is no JSON
				return resp.StatusCode, p.Code, resp.Header.Get("Proxy-Status")
			}
			status, code, why := post(40<<20, 1)
			if status != http.StatusInsufficientStorage || code != row.code || !strings.Contains(why, "error=") {
				t.Errorf("%d %q %q", status, code, why)
			}
			if status, code, _ = post(2<<20, 2); status != http.StatusOK {
				t.Errorf("a small body afterwards: %d %s", status, code)
			}
			if row.a > 0 {
				st := ask(t, w.path("site-a"), "the full store", func(st *admin.Status) bool { return st.Chunks != nil && st.Chunks.FullAt != nil })
				if found := codes(st); !strings.Contains(strings.Join(found, " "), "chunks-full") {
					t.Errorf("problems: %v", found)
				}
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
}
