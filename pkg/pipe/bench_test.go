package pipe_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

// pair opens two sites on two folders: what A puts B finds.
func pair(b *testing.B) (from, to *pipe.Dir) {
	b.Helper()
	o := options(b)
	from = openDir(b, pipe.Options{Self: pipetest.A, Peers: []identity.ID{pipetest.B}, Outbox: o.Inbox, Inbox: o.Outbox})
	return from, openDir(b, o)
}

// BenchmarkBare is what Put is measured against: create, write 4 KiB, rename, in the simplest way.
func BenchmarkBare(b *testing.B) {
	dir, data := b.TempDir(), make([]byte, 4096)
	temp, seq := filepath.Join(dir, "temp"), 0
	for b.Loop() {
		seq++
		must(b, os.WriteFile(temp, data, 0o640))
		must(b, os.Rename(temp, filepath.Join(dir, fmt.Sprint(seq))))
	}
}

func BenchmarkPut4KiB(b *testing.B) {
	from, _ := pair(b)
	data := make([]byte, 4096)
	seq := uint64(0)
	for b.Loop() {
		seq++
		must(b, from.Put(b.Context(), pipetest.Name(pipetest.A, pipetest.B, seq), data))
	}
}

// BenchmarkPutScanReadRemove is the whole life of a file, without waiting for hints.
func BenchmarkPutScanReadRemove(b *testing.B) {
	from, to := pair(b)
	data := make([]byte, 4096)
	seq, now := uint64(0), pipetest.T0
	for b.Loop() {
		seq++
		must(b, from.Put(b.Context(), pipetest.Name(pipetest.A, pipetest.B, seq), data))
		f := scan(b, to, now, 1)[0]
		_, err := to.Read(f)
		must(b, err)
		must(b, to.Remove(f))
	}
}

// BenchmarkPutUntilSeen is the latency from the start of a put to the scan that finds the file, by hints.
func BenchmarkPutUntilSeen(b *testing.B) {
	from, to := pair(b)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- to.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	data := make([]byte, 4096)
	seq := uint64(0)
	for b.Loop() {
		seq++
		must(b, from.Put(ctx, pipetest.Name(pipetest.A, pipetest.B, seq), data))
		for found := false; !found; {
			<-to.Hints()
			files, err := to.Scan(time.Now())
			must(b, err)
			for _, f := range files {
				found = true
				must(b, to.Remove(f))
			}
		}
	}
}

func BenchmarkScanIdle(b *testing.B) {
	for _, foreign := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprintf("foreign=%d", foreign), func(b *testing.B) {
			o := options(b)
			d := openDir(b, o)
			for i := range foreign {
				must(b, os.WriteFile(filepath.Join(o.Inbox, pipetest.B.String(), fmt.Sprint(i)), nil, 0o600))
			}
			for b.Loop() {
				scan(b, d, pipetest.T0, 0)
			}
		})
	}
}
