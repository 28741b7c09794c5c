package dataapi

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/store"
)

// rig is an API on a store of its own.
type rig struct {
	t    *testing.T
	s    *Server
	url  string
	log  *bytes.Buffer
	auth string // sent with each request, "" for none

	pressed byte // how often pressure was put on the store
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	book := store.NewMem()
	chunks, err := chunk.OpenStore(context.Background(), t.TempDir(), book, chunk.StoreOptions{MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chunks.Close() })
	g := &rig{t: t, log: &bytes.Buffer{}}
	o := Options{Config: config.Default().Data, Chunks: chunks, Book: book, Sealer: chunk.NewSealer(chunk.Secret{1}), Log: zerolog.New(zerolog.SyncWriter(g.log))}
	if change != nil {
		change(&o)
	}
	if g.s, err = New(o); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g.s)
	t.Cleanup(srv.Close)
	g.url = srv.URL
	return g
}

type answer struct {
	*http.Response
	body []byte
}

// do makes a request; fields are name: value lines.
func (g *rig) do(method, path string, body io.Reader, fields ...string) answer {
	g.t.Helper()
	req, err := http.NewRequest(method, g.url+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	if g.auth != "" {
		req.Header.Set("Authorization", g.auth)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if req.Header.Add(name, value); name == "Host" {
			req.Host = value
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return answer{resp, got}
}

// put stores data and gives its identifier.
func (g *rig) put(data []byte) string {
	g.t.Helper()
	a := g.do("POST", "/data", bytes.NewReader(data))
	if a.StatusCode != http.StatusOK {
		g.t.Fatalf("POST: %d %s", a.StatusCode, a.body)
	}
	return a.Header.Get(mapField)
}

// noise gives n bytes that are the same for one seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func TestStoreAndRead(t *testing.T) {
	g := newRig(t, nil)
	for _, n := range []int{0, 1, 3000, 3001, 5 << 20} {
		data := noise(1, n)
		a := g.do("POST", "/data", bytes.NewReader(data))
		id := a.Header.Get(mapField)
		m, p := decodeMap(id)
		if p != nil || a.StatusCode != 200 || m.Size() != int64(n) {
			t.Fatalf("%d bytes: %d %v", n, a.StatusCode, p)
		}
		if text, _ := m.Encode(); string(text)+"\n" != string(a.body) {
			t.Errorf("%d bytes: the body is not the map", n)
		}
		if (m.Cnt != nil) != (n <= chunk.MaxInline) {
			t.Errorf("%d bytes: embedded is %v", n, m.Cnt != nil)
		}
		if got := g.do("GET", "/data/"+id, nil); !bytes.Equal(got.body, data) || got.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%d bytes: read back %d of %d", n, got.StatusCode, len(got.body))
		}
		if got := g.do("GET", "/data", nil, mapField+": "+id); !bytes.Equal(got.body, data) {
			t.Errorf("%d bytes: by the field: %d", n, got.StatusCode)
		}
	}
}

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScopes(t *testing.T) {
	path := tokenFile(t, "# who may\nreader read  0123456789abcdef-r\nwriter write 0123456789abcdef-w\n")
	g := newRig(t, func(o *Options) { o.Config.TokensFile = path })
	g.auth = "Bearer 0123456789abcdef-w"
	id := g.put([]byte("hello"))
	for _, c := range []struct {
		method, token string
		want          int
	}{
		{"GET", "Bearer 0123456789abcdef-r", 200}, {"GET", "bearer  0123456789abcdef-r ", 200}, {"GET", "Bearer 0123456789abcdef-w", 403}, {"GET", "Bearer 0123456789abcdef", 401},
		{"GET", "Basic 0123456789abcdef-r", 401}, {"GET", "", 401}, {"POST", "Bearer 0123456789abcdef-r", 403}, {"POST", "", 401},
	} {
		g.auth = c.token
		a := g.do(c.method, "/data", nil, mapField+": "+id)
		if a.StatusCode != c.want {
			t.Errorf("%s with %q: %d %s", c.method, c.token, a.StatusCode, a.body)
		}
		if c.want == 401 && a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s with %q: no challenge", c.method, c.token)
		}
	}
	if strings.Contains(g.log.String(), "0123456789abcdef") {
		t.Error("a token is in the log")
	}
}

func TestRefusedTokenFiles(t *testing.T) {
	for text, want := range map[string]string{
		"a read":                       "2 words",
		"a read,rite 0123456789abcdef": "unknown scope",
		"a read 0123456789":            "fewer than 16",
		"# nothing\n":                  "holds no token",
		"a read 0123456789abcdef\na write 1123456789abcdef": "give each its own",
	} {
		if _, err := readTokens(tokenFile(t, text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
