package prealloc_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hoft/hoft/pkg/prealloc"
)

// TestBytesAndLengthStay: what is asked for changes nothing that can be read, also beyond the end and where it was written before.
func TestBytesAndLengthStay(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data := bytes.Repeat([]byte("hoft"), 100_000)
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 1000, int64(len(data)), 1 << 30} {
		prealloc.Range(f, at, 1<<20)
	}
	prealloc.Range(f, 0, 0)
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes are left of %d, %v", len(got), len(data), err)
	}
}
