package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
)

// keep stores data under a secret of its own, as the Data API does.
func keep(t *testing.T, h *host, data []byte) chunk.Map {
	t.Helper()
	w := chunk.NewWriter(t.Context(), chunk.NewSealer(chunk.Secret{77}), chunk.WriterOptions{Fixed: true}, func(_ chunk.Entry, r chunk.Record, ct []byte) error {
		return h.chunks.Put(r, ct)
	})
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	m, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	_ = h.chunks.Sync(context.Background())
	return m
}

// Stored data is the body of a call: only what the callee's site is not known to hold travels.
func TestStoredBody(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: func(_ *exchange.Request, body []byte) *exchange.Response {
		sum := []byte{byte(len(body)), byte(len(body) >> 8)}
		for i := range body {
			sum[i&1] ^= body[i]
		}
		return &exchange.Response{Status: 200, Length: 2, Body: io.NopCloser(bytes.NewReader(sum))}
	}}
	a, b, pa, _ := badPair(t, up, nil, nil)
	known(t, a, b)
	data := randomBytes(22<<20 + 17) // a nested map, with equal chunks in a row
	copy(data[3<<20:6<<20], make([]byte, 3<<20))
	m := keep(t, a, data)
	want := up.do(nil, data)
	sum, _ := io.ReadAll(want.Body)
	do := func(m chunk.Map, change func(*exchange.Request)) ([]byte, int64) {
		t.Helper()
		r := request(b, "POST", "/", nil)
		r.Stored, r.Length = &m, m.Size()
		if change != nil {
			change(r)
		}
		_, before := pa.Count()
		_, got := call(t, a, r)
		_, after := pa.Count()
		return got, after - before
	}
	got, moved := do(m, nil)
	if !bytes.Equal(got, sum) || moved < 19<<20 || moved > 23<<20 {
		t.Fatalf("%x instead of %x, %d bytes moved for %d", got, sum, moved, len(data))
	}
	if got, moved = do(m, nil); !bytes.Equal(got, sum) || moved != 0 {
		t.Errorf("the same again: %x, %d bytes moved", got, moved)
	}
	for _, e := range b.chunks.Names()[:5] {
		if err := b.chunks.Damage(e, true); err != nil {
			t.Fatal(err)
		}
	}
	if got, moved = do(m, nil); !bytes.Equal(got, sum) || moved > 6<<20 {
		t.Errorf("after an eviction: %x, %d bytes moved", got, moved)
	}
	if got, moved = do(m, func(r *exchange.Request) { r.Fresh = true }); !bytes.Equal(got, sum) || moved < 19<<20 {
		t.Errorf("fresh: %x, %d bytes moved", got, moved)
	}
	short := chunk.Map{Cnt: []byte("abc")}
	if got, moved = do(short, nil); moved != 0 || len(got) != 2 {
		t.Errorf("short: %x, %d bytes moved", got, moved)
	}

	if err := a.chunks.Damage(m.Entries[0].Name(), true); err != nil {
		t.Fatal(err)
	}
	for _, fresh := range []bool{false, true} {
		r := request(b, "POST", "/missing", nil)
		r.Stored, r.Length, r.Fresh = &m, m.Size(), fresh
		_, err := a.m.Call(t.Context(), r, longWait, nil)
		var p *exchange.Problem
		if !errors.As(err, &p) || p.Code != exchange.CodeDataMissing || up.count("/missing") != 0 {
			t.Errorf("%v after %d calls", err, up.count("/missing"))
		}
	}
}
