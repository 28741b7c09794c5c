package dataapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/store"
)

// benchSize is how much is stored and read at a time, in bytes.
const benchSize = 128 << 20

func benchAPI(b *testing.B) string {
	b.Helper()
	book := store.NewMem()
	chunks, err := chunk.OpenStore(context.Background(), b.TempDir(), book, chunk.StoreOptions{MaxBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { chunks.Close() })
	s, err := New(Options{Config: config.Default().Data, Chunks: chunks, Book: book, Sealer: chunk.NewSealer(chunk.Secret{1}), Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(s)
	b.Cleanup(srv.Close)
	b.SetBytes(benchSize)
	return srv.URL
}

func benchStore(b *testing.B, url string, data []byte) string {
	b.Helper()
	resp, err := http.Post(url+"/data", "application/octet-stream", bytes.NewReader(data))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%d, %v", resp.StatusCode, err)
	}
	return resp.Header.Get(mapField)
}

// BenchmarkStore stores data that is new each time; the client's time is in it.
func BenchmarkStore(b *testing.B) {
	url, data := benchAPI(b), noise(1, benchSize)
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		for at := 0; at < len(data); at += 200 << 10 { // no chunk is one that was stored
			copy(data[at:], fmt.Sprintf("%08d", i))
		}
		b.StartTimer()
		id := benchStore(b, url, data)
		b.StopTimer()
		req, err := http.NewRequest(http.MethodDelete, url+"/data/"+id, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusNoContent {
			b.Fatal(err)
		}
		resp.Body.Close()
		b.StartTimer()
	}
}

// BenchmarkRead reads data that is in the page cache; the client's time is in it.
func BenchmarkRead(b *testing.B) {
	url := benchAPI(b)
	id := benchStore(b, url, noise(1, benchSize))
	b.ResetTimer()
	for range b.N {
		resp, err := http.Get(url + "/data/" + id)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != benchSize {
			b.Fatalf("%d, %v", n, err)
		}
		resp.Body.Close()
	}
}
