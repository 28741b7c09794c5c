package vectors

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc"
	zeebo "github.com/zeebo/blake3"
	"lukechampine.com/blake3"
)

// What was compared for pkg/chunk. The figures of one run stand beside each other; none is a promise.

func benchData() []byte {
	b := make([]byte, 32<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// BenchmarkBLAKE3 hashes chunks of 1 MiB.
func BenchmarkBLAKE3(b *testing.B) {
	data := benchData()[:1<<20]
	for name, sum := range map[string]func([]byte) [32]byte{"zeebo": zeebo.Sum256, "lukechampine": blake3.Sum256} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				sum(data)
			}
		})
	}
}

// BenchmarkCutLibrary finds cuts with the keyed FastCDC of go-cdc-chunkers; BenchmarkScan of pkg/chunk is what hoft does.
func BenchmarkCutLibrary(b *testing.B) {
	data := benchData()
	buf := make([]byte, 8<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		c, err := chunkers.NewChunkerBuffer("fastcdc-v1.0.0", bytes.NewReader(data),
			&chunkers.ChunkerOpts{MinSize: 256 << 10, NormalSize: 1 << 20, MaxSize: 4 << 20, Key: make([]byte, 32)}, buf)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = c.Next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}
