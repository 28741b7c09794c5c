package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/dataapi/bundle"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func encrypt(t *testing.T, data []byte) (chunk.Map, []byte) {
	t.Helper()
	var out bytes.Buffer
	m, err := bundle.Encrypt(bytes.NewReader(data), &out)
	if err != nil {
		t.Fatal(err)
	}
	return m, out.Bytes()
}

func decrypt(m chunk.Map, chunks []byte) ([]byte, error) {
	s, err := bundle.Open(bytes.NewReader(chunks), int64(len(chunks)))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = bundle.Decrypt(context.Background(), m, s, &out)
	return out.Bytes(), err
}

func TestThereAndBack(t *testing.T) {
	repeated := bytes.Repeat(make([]byte, 1<<20), 40) // one chunk, many times
	for name, data := range map[string][]byte{"nothing": nil, "short": []byte("short"), "long": noise(6 << 20), "repeated": repeated} {
		m, chunks := encrypt(t, data)
		if got, err := decrypt(m, chunks); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(data), err)
		}
		if bytes.Contains(chunks, []byte("short")) {
			t.Errorf("%s: the chunks show the data", name)
		}
		if name == "repeated" && len(chunks) > 1<<20 {
			t.Errorf("equal chunks are written more than once: %d bytes", len(chunks))
		}
	}
	m, _ := encrypt(t, noise(1<<20))
	again, _ := encrypt(t, noise(1<<20))
	if m.Entries[0].Hsh == again.Entries[0].Hsh {
		t.Error("the same data looks the same twice")
	}
}

func TestDamage(t *testing.T) {
	m, chunks := encrypt(t, noise(3<<20))
	flipped := bytes.Clone(chunks)
	flipped[len(flipped)/2] ^= 1
	if _, err := decrypt(m, flipped); !errors.Is(err, chunk.ErrDamaged) {
		t.Errorf("flipped: %v", err)
	}
	for _, n := range []int{0, 5, len(chunks) - 1} {
		if _, err := decrypt(m, chunks[:n]); !errors.Is(err, chunk.ErrMissing) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	if _, err := decrypt(m, append(make([]byte, 20), chunks...)); !errors.Is(err, bundle.ErrBundle) {
		t.Errorf("another file: %v", err)
	}
	other, _ := encrypt(t, noise(3<<20))
	if _, err := decrypt(other, chunks); !errors.Is(err, chunk.ErrMissing) {
		t.Errorf("another map: %v", err)
	}
}
