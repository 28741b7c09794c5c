// Package storetest is the suite that every store passes, and a generator of random changes to compare two.
package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// Store is what is tested.
type Store interface {
	store.Reader
	store.Committer
	chunk.Index
	Close() error
}

// Run tests a store. open gives an empty one, closed by the test that asked for it.
func Run(t *testing.T, open func(t *testing.T) Store) {
	tests := []struct {
		name string
		f    func(*testing.T, *kit)
	}{
		{"links", testLinks},
		{"outbox order and limit", testOutbox},
		{"outbox ack", testAck},
		{"outbox drop", testDrop},
		{"outbox id twice", testExists},
		{"stats", testStats},
		{"sent", testSent},
		{"inbox new", testInboxNew},
		{"inbox exchange", testInboxExchange},
		{"inbox parts", testInboxParts},
		{"inbox keeps the first", testInboxTwice},
		{"exchange put and patch", testPatch},
		{"exchange list", testList},
		{"exchange list paging", testPaging},
		{"expire and purge", testExpire},
		{"purge keeps what is not acked", testPurgeOpen},
		{"result bytes", testResultBytes},
		{"meta", testMeta},
		{"packs, offers and held chunks", testBulk},
		{"credentials", testCredentials},
		{"fetches", testFetches},
		{"data", testData},
		{"chunks", testChunks},
		{"chunks that are none", testChunksTooLarge},
		{"events", testEvents},
		{"keys", testKeys},
		{"callbacks", testCallbacks},
		{"expired rows forget", testForgets},
		{"big values", testBig},
		{"numbers too large", testTooLarge},
		{"rows are copies", testCopies},
		{"context", testContext},
		{"closed", testClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			tt.f(t, &kit{t, s})
		})
	}
}

// kit is a store under test with short words for what tests do often.
type kit struct {
	t *testing.T
	Store
}

func (k *kit) commit(fill func(*store.Batch)) {
	k.t.Helper()
	var b store.Batch
	fill(&b)
	if err := k.Commit(context.Background(), &b); err != nil {
		k.t.Fatalf("commit: %v", err)
	}
}

func (k *kit) equal(what string, got, want any) {
	k.t.Helper()
	if !reflect.DeepEqual(want, got) { // cmp is slow on long byte slices
		k.t.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
	}
}

// must gives the value of a read that has to work.
func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var ctx = context.Background()

// Names that the tests use.
var (
	peerA = identity.ID{0xa}
	peerB = identity.ID{0xb}
)

// at gives a time, n seconds into the tests' day.
func at(n int) time.Time { return time.UnixMilli(1_763_798_400_000 + int64(n)*1000).UTC() }

// exID gives an exchange id; ids ascend with n.
func exID(n byte) [16]byte { return [16]byte{1, 0x9a, 0x01, n, 0, n, 0x70, n} }

func out(id uint64, keep bool, exchange [16]byte) store.Out {
	return store.Out{Peer: peerA, ID: id, Kind: frame.KindReq, Prio: 1, Exchange: exchange, Keep: keep,
		Data: []byte{'d', byte(id)}, Created: at(int(id))}
}

func in(id uint64, kind frame.Kind, exchange [16]byte) store.In {
	return store.In{Peer: peerA, PeerEpoch: 7, ID: id, Kind: kind, Exchange: exchange, Attempt: 1, Data: []byte(`{}`), Size: 9,
		Part: kind == frame.KindBody && exchange != [16]byte{},
		Body: []byte{byte(id)}, SentAt: at(1), Received: at(2)}
}

func outIDs(rows []store.Out) (ids []uint64) {
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func inIDs(rows []store.In) (ids []uint64) {
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func ptr[T any](v T) *T { return &v }

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}
