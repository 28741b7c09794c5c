package seal_test

import (
	"fmt"
	"testing"

	"github.com/hoft/hoft/pkg/seal"
)

func benchBoth(b *testing.B, f func(b *testing.B, w *world, pad int)) {
	for _, mode := range []string{"keys", "psk"} {
		for _, size := range []int{1 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", mode, size>>10), func(b *testing.B) {
				w := newWorld(b)
				if mode == "psk" {
					w = newPSKWorld(b, testPSK)
				}
				pad := size - len(w.claims(0, 1, 0))
				if size > 32<<10 {
					pad -= 2 << 10 // one message may be no larger than 64 KiB
				}
				b.ReportAllocs()
				b.SetBytes(int64(len(w.claims(0, 1, pad))))
				f(b, w, pad)
			})
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	benchBoth(b, func(b *testing.B, w *world, pad int) {
		claims := w.claims(0, 1, pad)
		var buf []byte
		for b.Loop() {
			var err error
			if buf, err = w.sealer.Seal(buf[:0], claims); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLine(b *testing.B) {
	benchBoth(b, func(b *testing.B, w *world, pad int) {
		line := w.line(b, pad)
		for b.Loop() {
			if _, err := w.opener.Line(w.name, line); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFile opens 32 lines at once, and as a file that came in eight parts.
func BenchmarkFile(b *testing.B) {
	w := newWorld(b)
	data, ends := w.file(b, 32, 1<<10)
	for _, parts := range []int{1, 8} {
		b.Run(fmt.Sprintf("parts=%d", parts), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				var mark seal.Mark
				var whole bool
				for i := range parts {
					r := w.opener.File(w.name, data[:ends[(i+1)*32/parts-1]], mark)
					mark, whole = r.Mark, r.Whole
				}
				if !whole {
					b.Fatal("not whole")
				}
			}
		})
	}
}
