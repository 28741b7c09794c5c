package chunk

import (
	"math/rand/v2"
	"testing"

	"github.com/hoft/hoft/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

var (
	secretA = Secret{1}
	secretB = Secret{2}
)

// random gives n bytes that do not compress, the same for the same seed.
func random(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// text gives n bytes that compress well.
func text(seed byte, n int) []byte {
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	b := make([]byte, 0, n+64)
	for len(b) < n {
		b = append(b, `{"item":`...)
		b = append(b, byte('0'+r.IntN(10)), byte('0'+r.IntN(10)), byte('0'+r.IntN(10)))
		b = append(b, `,"colour":"green","price":12.50}`+"\n"...)
	}
	return b[:n]
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }
