package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/dataapi"
	"github.com/hoft/hoft/pkg/dataapi/client"
	"github.com/hoft/hoft/pkg/store"
)

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// cutter ends connections after so many bytes each way, as long as there are cuts left.
type cutter struct {
	net.Listener
	cuts  *atomic.Int32
	after *atomic.Int64
}

func (l cutter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.cuts.Add(-1) < 0 {
		return c, err
	}
	return &cutConn{Conn: c, left: l.after.Load()}, nil
}

type cutConn struct {
	net.Conn
	left int64
}

func (c *cutConn) spend(n int, err error) (int, error) {
	if atomic.AddInt64(&c.left, -int64(n)) < 0 {
		c.Conn.Close()
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *cutConn) Read(p []byte) (int, error)  { return c.spend(c.Conn.Read(p)) }
func (c *cutConn) Write(p []byte) (int, error) { return c.spend(c.Conn.Write(p)) }

// api starts an API whose first connections are cut.
func api(t *testing.T, cuts int32, after int64) (*client.Client, *atomic.Int32, *atomic.Int64) {
	t.Helper()
	most := &atomic.Int64{}
	most.Store(after)
	book := store.NewMem()
	chunks, err := chunk.OpenStore(context.Background(), t.TempDir(), book, chunk.StoreOptions{MaxBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chunks.Close() })
	s, err := dataapi.New(dataapi.Options{Config: config.Default().Data, Chunks: chunks, Book: book, Sealer: chunk.NewSealer(chunk.Secret{1}), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	left := &atomic.Int32{}
	left.Store(cuts)
	srv := httptest.NewUnstartedServer(s)
	srv.Listener = cutter{srv.Listener, left, most}
	srv.Start()
	t.Cleanup(srv.Close)
	return &client.Client{Base: srv.URL, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Retries: 5, Pause: time.Millisecond}, left, most
}

func TestTransfersGoOn(t *testing.T) {
	c, left, _ := api(t, 3, 2<<20)
	data := noise(9 << 20)
	ctx, told := tellsPlace(t.Context())
	s, err := c.Put(ctx, &begins{Reader: bytes.NewReader(data), then: func() { <-told }}, int64(len(data)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if left.Load() >= 0 {
		t.Error("no connection was cut")
	}
	left.Store(3)
	var got bytes.Buffer
	var size int64
	if err := c.Get(t.Context(), s.Map, client.Part{Len: -1}, &got, func(n int64) { size = n }); err != nil || !bytes.Equal(got.Bytes(), data) || size != int64(len(data)) {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
	got.Reset()
	left.Store(2)
	if err := c.Get(t.Context(), s.Map, client.Part{Off: 1 << 20, Len: 5 << 20}, &got, nil); err != nil || !bytes.Equal(got.Bytes(), data[1<<20:6<<20]) {
		t.Errorf("a part: %d bytes, %v", got.Len(), err)
	}
}

// A transfer that gets nowhere ends, whether the site was ever heard of or not.
func TestGivesUp(t *testing.T) {
	c, left, after := api(t, 1<<30, 2<<20)
	data := noise(9 << 20)
	ctx, told := tellsPlace(t.Context())
	begun := &begins{Reader: bytes.NewReader(data), then: func() { <-told; after.Store(0) }}
	if _, err := c.Put(ctx, begun, int64(len(data)), nil); err == nil {
		t.Error("stored over connections that are cut at once")
	}
	if n := 1<<30 - left.Load(); n < 6 {
		t.Errorf("given up after %d connections", n)
	}
	if err := c.Get(t.Context(), "x", client.Part{Len: -1}, io.Discard, nil); err == nil {
		t.Error("read over connections that are cut at once")
	}
}

// tellsPlace gives a context whose first upload closes the channel when it was told where it can go on: an answer that
// comes just before its connection is cut may be lost.
func tellsPlace(ctx context.Context) (context.Context, <-chan struct{}) {
	told, once := make(chan struct{}), sync.Once{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		once.Do(func() { close(told) })
		return nil
	}}), told
}

// begins does something when its first byte is read.
type begins struct {
	*bytes.Reader
	once sync.Once
	then func()
}

func (b *begins) Read(p []byte) (int, error) {
	b.once.Do(b.then)
	return b.Reader.Read(p)
}

func TestOtherRequests(t *testing.T) {
	c, _, _ := api(t, 0, 0)
	ctx := t.Context()
	s, err := c.Put(ctx, strings.NewReader("from a stream"), -1, url.Values{"ttl": {"1h"}})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = c.Edit(ctx, s.Map, url.Values{"offset": {"5"}}, bytes.NewReader(noise(5000))); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Stat(ctx, s.Map); err != nil || n != 5005 {
		t.Errorf("%d, %v", n, err)
	}
	if s, err := c.Put(ctx, bytes.NewReader(nil), 0, nil); err != nil || string(s.JSON) != `{"cnt":""}` {
		t.Errorf("nothing: %s, %v", s.JSON, err)
	}
	if err := c.Delete(ctx, s.Map); err != nil {
		t.Error(err)
	}
	var no *client.Refused
	if err := c.Delete(ctx, s.Map); !errors.As(err, &no) || no.Code != "data-not-kept" {
		t.Errorf("%v", err)
	}
	full := errors.New("full")
	if err := c.Get(ctx, s.Map, client.Part{Len: -1}, fails{full}, nil); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	gone, _, _ := api(t, 0, 0)
	if _, err := gone.Stat(ctx, s.Map); !errors.As(err, &no) || no.Status != 404 {
		t.Errorf("%v", err)
	}
	gone.Base = "http://127.0.0.1:1"
	if _, err := gone.Send(ctx, s.Map, "x"); err == nil || strings.Contains(err.Error(), s.Map) {
		t.Errorf("the error holds the map: %v", err)
	}
}

type fails struct{ error }

func (f fails) Write([]byte) (int, error) { return 0, f.error }
