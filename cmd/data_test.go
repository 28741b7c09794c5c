package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/dataapi"
	"github.com/hoft/hoft/pkg/store"
)

// dataWorld is an API with tokens, and a folder to work in.
type dataWorld struct {
	t   *testing.T
	dir string
	url string
}

func newDataWorld(t *testing.T) *dataWorld {
	t.Helper()
	w := &dataWorld{t: t, dir: t.TempDir()}
	book := store.NewMem()
	chunks, err := chunk.OpenStore(context.Background(), t.TempDir(), book, chunk.StoreOptions{MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chunks.Close() })
	cfg := config.Default().Data
	cfg.TokensFile = w.file("tokens", "me read,write 0123456789abcdef\n")
	w.file("token", "0123456789abcdef\n")
	s, err := dataapi.New(dataapi.Options{Config: cfg, Chunks: chunks, Book: book, Sealer: chunk.NewSealer(chunk.Secret{1}), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

func (w *dataWorld) path(name string) string { return filepath.Join(w.dir, name) }

func (w *dataWorld) file(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.path(name)
}

// run runs hoft data with the token and wants an exit code.
func (w *dataWorld) run(code int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	all := append([]string{"data"}, args...)
	if got := run(context.Background(), append(all, "--url", w.url, "--token-file", w.path("token")), &out, &errs); got != code {
		w.t.Fatalf("%v: exit code %d, want %d\n%s", args, got, code, errs.String())
	}
	return out.String(), errs.String()
}

func TestDataCommands(t *testing.T) {
	w := newDataWorld(t)
	text := strings.Repeat("All that was sold this month. ", 1000)
	file := w.file("report.txt", text)
	id, _ := w.run(0, "put", file)
	id = strings.TrimSpace(id)
	if got, _ := w.run(0, "get", id); got != text {
		t.Errorf("%d bytes", len(got))
	}
	if got, _ := w.run(0, "get", id, "--offset", "9", "--length", "4"); got != "was " {
		t.Errorf("%q", got)
	}
	w.file("more.txt", "And more.")
	if _, note := w.run(0, "put", w.path("more.txt"), "--map", id, "--out", w.path("all.map"), "--ttl", "1h"); !strings.Contains(note, "30009 bytes") {
		t.Errorf("%s", note)
	}
	if info, err := os.Stat(w.path("all.map")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	w.run(0, "get", "@"+w.path("all.map"), "--out", w.path("all.txt"))
	if got, err := os.ReadFile(w.path("all.txt")); err != nil || string(got) != text+"And more." {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	out, _ := w.run(0, "put", "--map", id, "--truncate", "3", "--json")
	var put putResult
	if err := json.Unmarshal([]byte(out), &put); err != nil || put.Schema != "hoft.data.put/1" || put.Size != 3 {
		t.Errorf("%s, %v", out, err)
	}
	if got, _ := w.run(0, "get", put.Map); got != "All" {
		t.Errorf("%q", got)
	}
	if out, _ = w.run(0, "stat", id, "--json"); out != `{"schema":"hoft.data.stat/1","size":30000,"embedded":false,"entries":1,"level":0,"map_bytes":`+
		strings.Split(strings.Split(out, `"map_bytes":`)[1], ",")[0]+`,"readable":true}`+"\n" {
		t.Errorf("%s", out)
	}
	if out, _ = w.run(0, "stat", put.Map); !strings.Contains(out, "the data itself") || !strings.Contains(out, "readable  yes") {
		t.Errorf("%s", out)
	}
	w.run(0, "delete", id)
	if _, note := w.run(1, "delete", id); !strings.Contains(note, "data-not-kept") {
		t.Errorf("%s", note)
	}
	other := newDataWorld(t)
	if out, _ := other.run(1, "stat", id); !strings.Contains(out, "no: some of it is not here") {
		t.Errorf("%s", out)
	}
	other.run(1, "get", id, "--out", other.path("none.txt"))
	if all, err := os.ReadDir(other.dir); err != nil || len(all) != 2 {
		t.Errorf("a file was left behind: %v, %v", all, err)
	}
	other.file("token", "another-token-of-nobody")
	if _, note := other.run(1, "get", id); !strings.Contains(note, "token-needed") {
		t.Errorf("%s", note)
	}
	w.run(2, "put", w.dir)
}
