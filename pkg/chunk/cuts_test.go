package chunk

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// The same data is cut at the same places however slow the store is, and while others write too: else what was sent once
// is sent again.
func TestCutsHoldWhateverIsUnderWay(t *testing.T) {
	data := slices.Concat(bytes.Repeat([]byte{7}, 40<<20), random(5, 24<<20), bytes.Repeat([]byte{9}, 9<<20))
	want := cutsOf(t, 1, data, 0)[0]
	for _, writers := range []int{1, 2, 4} {
		t.Run(strconv.Itoa(writers), func(t *testing.T) {
			t.Parallel() // each has memory, and a clock, of its own
			synctest.Test(t, func(t *testing.T) {
				for i, got := range cutsOf(t, writers, data, time.Second) {
					if !slices.Equal(got, want) {
						t.Errorf("writer %d of %d with a slow sink cuts at %v, want %v", i, writers, got, want)
					}
				}
			})
		})
	}
}

// cutsOf gives the lengths of chunks of data that several Writers take at once, by turns, and whose sinks take a while for each.
func cutsOf(t *testing.T, writers int, data []byte, slow time.Duration) [][]int64 {
	t.Helper()
	cuts, ws, sealer := make([][]int64, writers), make([]*Writer, writers), NewSealer(secretA).Apart()
	for i := range ws {
		ws[i] = NewWriter(t.Context(), sealer, WriterOptions{}, func(e Entry, _ Record, _ []byte) error {
			time.Sleep(slow) // on the test's own clock: the next chunks fill meanwhile
			if e.Lvl == 0 {
				cuts[i] = append(cuts[i], e.Len)
			}
			return nil
		})
	}
	for part := range slices.Chunk(data, stride) {
		for _, w := range ws {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, w := range ws {
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return cuts
}
