package datapipe_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

// A range of data at the peer: only the chunks that hold it travel, and those that are here do not.
func TestRangeMovesOnlyItsChunks(t *testing.T) {
	a, b := pair(t)
	data := randomBytes(25 << 20) // its map nests
	m := a.keep(data)
	if m.Level() != 1 {
		t.Fatalf("the map has level %d, want 1", m.Level())
	}
	const mib = 1 << 20
	steps := []struct {
		off, n int64
		most   int64 // bytes in the pipe
	}{
		{15*mib + 5, 3 * mib, 4*mib + 100<<10}, // four chunks and the node
		{16 * mib, 100, 0},                     // there already
		{0, 10, mib + 4096},
		{int64(len(data)) - 1, 1, mib + 4096},
		{14 * mib, 6 * mib, 2*mib + 4096},
	}
	for _, s := range steps {
		before := a.written()
		if got := b.read(m, s.off, s.n); !bytes.Equal(got, data[s.off:s.off+s.n]) {
			t.Fatalf("%d bytes from %d are not the data", s.n, s.off)
		}
		if moved := a.written() - before; moved > s.most || s.most > 0 && moved == 0 {
			t.Errorf("%d bytes from %d: %d bytes in the pipe, at most %d are needed", s.n, s.off, moved, s.most)
		}
	}
	before := a.written()
	if !bytes.Equal(b.read(m, 0, int64(len(data))), data) {
		t.Fatal("the whole is not the data")
	}
	if moved := a.written() - before; moved > 18*mib {
		t.Errorf("the rest took %d bytes", moved)
	}
	quiet(t, a, b)
}

// quiet says that nothing is left of fetches: no offers, no pins, no rows.
func quiet(t *testing.T, a, b *host) {
	t.Helper()
	left := func() (offers, rows, pins int) {
		o, err := a.db.Offers(context.Background(), b.self.ID())
		r, err2 := b.db.Fetches(context.Background())
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		return len(o), len(r), a.chunks.Pinned() + b.chunks.Pinned()
	}
	if !eventually(func() bool { o, r, p := left(); return o+r+p == 0 }) {
		o, r, p := left()
		t.Errorf("left: %d offers, %d fetches, %d pinned chunks", o, r, p)
	}
}

// What was evicted is fetched again.
func TestEvicted(t *testing.T) {
	a, b := pair(t)
	data := randomBytes(5 << 20)
	m := a.keep(data)
	b.read(m, 0, int64(len(data)))
	for _, n := range b.chunks.Names() {
		if err := b.chunks.Damage(n, true); err != nil {
			t.Fatal(err)
		}
	}
	before := a.written()
	if !bytes.Equal(b.read(m, 1<<20, 2<<20), data[1<<20:3<<20]) {
		t.Fatal("not the data")
	}
	if moved := a.written() - before; moved < 2<<20 || moved > 3<<20 {
		t.Errorf("%d bytes moved for 2 MiB", moved)
	}
}

// A pipe that loses, cuts and damages packs.
func TestBadPipe(t *testing.T) {
	a, b := apart(t)
	a.pipe.SetFate(func(n int, data []byte) ([]byte, bool) {
		switch n % 5 {
		case 0:
			return data[:len(data)/2], false
		case 1:
			data[len(data)/2] ^= 4
		case 2:
			return nil, true
		case 3:
			data[3] ^= 1 // in the header of the first record
		}
		return data, false
	})
	a.start()
	b.start()
	data := randomBytes(20 << 20)
	if !bytes.Equal(b.read(a.keep(data), 0, int64(len(data))), data) {
		t.Fatal("not the data")
	}
	quiet(t, a, b)
}

func problem(t *testing.T, err error, code string) {
	t.Helper()
	var p *exchange.Problem
	if !errors.As(err, &p) || p.Code != code {
		t.Errorf("%v, want the problem %s", err, code)
	}
}

// What nobody has, what is not given to this peer, who is no peer, who is too old, what is too much.
func TestRefusals(t *testing.T) {
	bring := func(b *host, r datapipe.Request) error {
		_, _, err := b.p.Bring(t.Context(), &r, longWait)
		return err
	}
	t.Run("nobody", func(t *testing.T) {
		a, b := pair(t)
		data := randomBytes(3 << 20)
		m := a.keep(data)
		if err := a.chunks.Damage(m.Entries[1].Name(), true); err != nil {
			t.Fatal(err)
		}
		problem(t, bring(b, datapipe.Request{Map: m, N: int64(len(data))}), exchange.CodeDataMissing)
		b.read(m, 0, 1<<20) // what is there can be had
		problem(t, bring(b, datapipe.Request{Map: m, N: 10, Peer: "site-z"}), exchange.CodeNoPeer)
		quiet(t, a, b)
	})
	t.Run("another hash", func(t *testing.T) {
		a, b := pair(t)
		m := a.keep(randomBytes(1 << 20))
		m.Entries[0].Hsh[0] ^= 1
		problem(t, bring(b, datapipe.Request{Map: m, N: 10}), exchange.CodeDataMissing)
	})
	t.Run("not allowed", func(t *testing.T) {
		a, b := apart(t)
		a.allowed = func(identity.ID) bool { return false }
		a.start()
		b.start()
		problem(t, bring(b, datapipe.Request{Map: a.keep(randomBytes(1 << 20)), N: 10}), exchange.CodeDataMissing)
		if a.written() != 0 || a.p.Stats().Refused != 1 {
			t.Errorf("%d bytes written, %+v", a.written(), a.p.Stats())
		}
	})
	t.Run("too old", func(t *testing.T) {
		a, b := apart(t)
		for _, c := range exchange.Caps(true) {
			if c != "fetch" {
				a.caps = append(a.caps, c)
			}
		}
		a.start()
		b.start()
		if !eventually(func() bool { _, heard := b.n.Takes(a.self.ID(), "pack"); return heard }) {
			t.Fatal("the peer is not heard of")
		}
		problem(t, bring(b, datapipe.Request{Map: a.keep(randomBytes(1 << 20)), N: 10}), exchange.CodeUnsupported)
	})
	t.Run("too much", func(t *testing.T) {
		a, b := apart(t)
		b.most = 1 << 20
		a.start()
		b.start()
		problem(t, bring(b, datapipe.Request{Map: a.keep(randomBytes(3 << 20)), N: 2 << 20}), exchange.CodeTooLarge)
	})
}

// A peer that is away: the fetch goes on, also after this site was killed, and what came is kept.
func TestPeerIsAway(t *testing.T) {
	a, b := apart(t)
	data := randomBytes(25 << 20)
	m := a.keep(data)
	b.start()
	r := &datapipe.Request{Map: m, Off: 1 << 20, N: 23 << 20, Owner: "token"}
	id, _, err := b.p.Bring(t.Context(), r, time.Millisecond)
	if !errors.Is(err, exchange.ErrWait) {
		t.Fatal(err)
	}
	if again, _, err := b.p.Bring(t.Context(), r, time.Millisecond); !errors.Is(err, exchange.ErrWait) || again != id {
		t.Errorf("asked again: %v, %v instead of %v", err, again, id)
	}
	st, err := b.m.State(t.Context(), id)
	if err != nil || st.State != exchange.StateRunning || st.Peer != "site-a" || st.Owner != "token" || st.Target != "/data/1048576-25165823" || !st.Local {
		t.Fatalf("%v, %+v", err, st)
	}
	b.crash()
	b.start()
	var packs atomic.Int32
	second := make(chan struct{})
	a.pipe.SetFate(func(n int, data []byte) ([]byte, bool) {
		if packs.Add(1) == 2 {
			close(second)
		}
		if packs.Load() == 2 {
			data = data[:len(data)/2]
		}
		return data, false
	})
	a.start()
	<-second // and again in the middle of it, both sides
	a.crash()
	b.crash()
	b.start()
	a.start()
	if err := b.m.Await(t.Context(), id, longWait); err != nil {
		t.Fatal(err)
	}
	if st, err = b.m.State(t.Context(), id); err != nil || st.State != exchange.StateSucceeded || st.ResBytes != r.N || st.Status != 200 {
		t.Fatalf("%v, %+v", err, st)
	}
	events, err := b.m.Events(t.Context(), id, 0, 100)
	if err != nil || len(events) == 0 || events[len(events)-1].Type != exchange.EventCompleted {
		t.Errorf("%v, %+v", err, events)
	}
	if !bytes.Equal(b.open(m, r.Off, r.N), data[r.Off:r.Off+r.N]) {
		t.Error("not the data")
	}
	pins, err := b.db.ChunkPins(t.Context(), exchange.KeptBy(id))
	if err != nil || len(pins) < 23 {
		t.Errorf("%d chunks are kept, %v", len(pins), err)
	}
}

// Who gives up: the fetch ends, and nothing more of it is asked for.
func TestCancel(t *testing.T) {
	a, b := apart(t)
	m := a.keep(randomBytes(3 << 20))
	b.start()
	id, _, err := b.p.Bring(t.Context(), &datapipe.Request{Map: m, N: 3 << 20}, 0)
	if !errors.Is(err, exchange.ErrWait) {
		t.Fatal(err)
	}
	if err := b.m.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	st, err := b.m.State(t.Context(), id)
	if err != nil || st.State != exchange.StateCanceled {
		t.Fatalf("%v, %+v", err, st)
	}
	a.start()
	quiet(t, a, b)
	if a.p.Stats().Given != 0 {
		t.Errorf("%+v", a.p.Stats())
	}
}

// Data that a client reads while another fetches it: both get it, and it moves once.
func TestTogether(t *testing.T) {
	a, b := pair(t)
	data := randomBytes(10 << 20)
	m := a.keep(data)
	over := make(chan error, 4)
	for i := range 4 {
		go func() {
			_, release, err := b.p.Bring(context.Background(), &datapipe.Request{Map: m, N: int64(len(data)), Owner: string(rune('a' + i/2))}, longWait)
			if err == nil {
				got := make([]byte, len(data))
				if err = chunk.ReadAt(context.Background(), m, b.chunks, got, 0); err == nil && !bytes.Equal(got, data) {
					err = errors.New("not the data")
				}
				release()
			}
			over <- err
		}()
	}
	for range 4 {
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
	if n := a.written(); n > 15<<20 {
		t.Errorf("%d bytes moved for %d", n, len(data))
	}
	quiet(t, a, b)
}
