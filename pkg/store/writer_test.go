package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
)

var when = time.UnixMilli(1_763_798_400_123)

func hold(t *testing.T, s *store.SQLite, dir string) (release func()) {
	t.Helper()
	release, err := s.Hold(filepath.Join(dir, "hoft.db"))
	if err != nil {
		t.Fatal(err)
	}
	return release
}

// TestWithdraw ends a caller's context while its batch waits behind a transaction that is under way:
// the batch is taken out and never applied.
func TestWithdraw(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	release := hold(t, s, dir)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() {
		var b store.Batch
		b.SetMeta("withdrawn", nil)
		result <- s.Commit(ctx, &b)
	}()
	s.WaitQueued(1)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	release()
	setMeta(t, s, "next")
	if _, err := s.Meta(context.Background(), "withdrawn"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a withdrawn batch was applied: %v", err)
	}
}

// TestCloseCommitsQueue closes the store while callers wait: each gets a true answer.
func TestCloseCommitsQueue(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	release := hold(t, s, dir)
	results := make(chan error, 20)
	for i := range cap(results) {
		go func() {
			var b store.Batch
			b.SetMeta(fmt.Sprint(i), nil)
			results <- s.Commit(context.Background(), &b)
		}()
	}
	s.WaitQueued(cap(results))
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	release()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Errorf("queued before the close: %v", err)
		}
	}
	s = open(t, dir)
	defer s.Close()
	for i := range cap(results) {
		if _, err := s.Meta(context.Background(), fmt.Sprint(i)); err != nil {
			t.Error(err)
		}
	}
}

// TestConcurrent has many callers and readers at work; every commit is seen by the read that follows it.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{Readers: 2, WALPages: 50})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	var wg sync.WaitGroup
	for c := range uint64(16) {
		wg.Go(func() {
			for i := range uint64(40) {
				id := c*1000 + i + 1
				var b store.Batch
				b.AddOutbox(store.Out{Peer: [16]byte{1}, ID: id, Kind: frame.KindReq, Exchange: [16]byte{byte(c), byte(i), 1}, Data: make([]byte, 900)})
				b.PutLink(store.Link{Peer: [16]byte{byte(c)}, LastID: id})
				if err := s.Commit(ctx, &b); err != nil {
					t.Error(err)
				}
				if rows, err := s.OutboxExchange(ctx, [16]byte{byte(c), byte(i), 1}); err != nil || len(rows) != 1 {
					t.Errorf("message %d: %d rows, %v", id, len(rows), err)
				}
			}
		})
	}
	wg.Wait()
	links, err := s.Links(ctx)
	if err != nil || len(links) != 16 {
		t.Fatalf("%d links, %v", len(links), err)
	}
	for c, l := range links { // a group writes each link once, in its last state
		if l.LastID != uint64(c)*1000+40 {
			t.Errorf("link %d has last id %d", c, l.LastID)
		}
	}
}

// TestLogBounded writes many times the bound of the write-ahead log, with reads in between.
func TestLogBounded(t *testing.T) {
	dir := t.TempDir()
	const pages = 100
	s, err := store.Open(dir, store.Options{WALPages: pages})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	for i := range uint64(400) {
		var b store.Batch
		b.AddOutbox(store.Out{ID: i + 1, Kind: frame.KindReq, Data: make([]byte, 10<<10)})
		b.DropOutbox([16]byte{}, frame.Ranges{{rand.Uint64N(i + 1), i}})
		if err := s.Commit(ctx, &b); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stats(ctx, [16]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	fi, err := os.Stat(filepath.Join(dir, "hoft.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(2 * pages * 4096); fi.Size() > limit {
		t.Errorf("the log has %d bytes, more than %d", fi.Size(), limit)
	}
}

// TestAckInPlace shows that the ack of a kept message and the state of a body part do not write their
// long contents again.
func TestAckInPlace(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	ctx := context.Background()
	size := func() int64 {
		fi, err := os.Stat(filepath.Join(dir, "hoft.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return fi.Size()
	}
	var b store.Batch
	for id := uint64(1); id <= 10; id++ {
		b.AddOutbox(store.Out{ID: id, Kind: frame.KindReq, Exchange: [16]byte{1}, Keep: true, Data: make([]byte, 60<<10), Created: when})
		b.AddInbox(store.In{ID: id, Kind: frame.KindBody, Exchange: [16]byte{1}, Body: make([]byte, 60<<10)})
	}
	if err := s.Commit(ctx, &b); err != nil {
		t.Fatal(err)
	}
	before := size()
	b = store.Batch{}
	b.AckOutbox([16]byte{}, frame.Ranges{{1, 1}, {3, 10}}, when)
	for id := uint64(1); id <= 10; id++ {
		b.SetInbox([16]byte{}, 0, id, store.InHandled, 1)
	}
	if err := s.Commit(ctx, &b); err != nil {
		t.Fatal(err)
	}
	if grown := size() - before; grown > 200<<10 {
		t.Errorf("19 changes of state wrote %d KiB", grown>>10)
	}
}
