package chunk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
)

// One chunk on one core: what each step costs.
func BenchmarkSeal(b *testing.B) {
	for name, plain := range map[string][]byte{"random": random(1, 1<<20), "json": text(1, 1<<20)} {
		for _, try := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/compress=%v", name, try), func(b *testing.B) {
				s, dst := NewSealer(secretA), make([]byte, 0, MaxSealed)
				b.SetBytes(int64(len(plain)))
				b.ReportAllocs()
				for b.Loop() {
					s.Seal(dst, plain, try)
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for name, plain := range map[string][]byte{"random": random(1, 1<<20), "json": text(1, 1<<20)} {
		b.Run(name, func(b *testing.B) {
			x := NewSealer(secretA).Seal(nil, plain, true)
			ct, buf := make([]byte, len(x.Bytes)), make([]byte, 0, MaxChunk)
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				copy(ct, x.Bytes)
				if _, err := x.Entry.Open(ct, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The search for cuts alone, on one core.
func BenchmarkScan(b *testing.B) {
	s, data := NewSealer(secretA), random(1, 32<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		c := cutter{g: &s.table}
		for rest := data; len(rest) > 0; {
			n := c.scan(rest)
			if n == 0 {
				n = len(rest)
			}
			rest = rest[n:]
			c.reset()
		}
	}
}

// A whole body, with all cores.
func BenchmarkWriter(b *testing.B) {
	for name, data := range map[string][]byte{"random": random(1, 64<<20), "json": text(1, 64<<20)} {
		for _, o := range []WriterOptions{{}, {Compress: true}, {Fixed: true}} {
			b.Run(fmt.Sprintf("%s/%+v", name, o), func(b *testing.B) {
				s := NewSealer(secretA)
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					w := NewWriter(b.Context(), s, o, func(Entry, Record, []byte) error { return nil })
					if _, err := w.ReadFrom(bytes.NewReader(data)); err != nil {
						b.Fatal(err)
					}
					if _, err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// lender is a source that copies into the reader's buffers.
type lender map[Name][]byte

func (l lender) Chunk(_ context.Context, n Name) ([]byte, error) { return clone(l[n]), nil }
func (l lender) Fill(_ context.Context, n Name, _ Sum, buf []byte) ([]byte, error) {
	return append(buf[:0], l[n]...), nil
}
func (lender) Suspect(context.Context, Name, Sum) {}

func BenchmarkReader(b *testing.B) {
	for name, data := range map[string][]byte{"random": random(1, 64<<20), "json": text(1, 64<<20)} {
		b.Run(name, func(b *testing.B) {
			src := lender{}
			w := NewWriter(b.Context(), NewSealer(secretA), WriterOptions{Compress: true}, func(_ Entry, r Record, ct []byte) error {
				src[r.Name] = clone(ct)
				return nil
			})
			if _, err := w.Write(data); err != nil {
				b.Fatal(err)
			}
			m, err := w.Close()
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r := NewReader(b.Context(), m, src)
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}
