package sim

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"time"
)

// trace is a hash of everything that happened, and with verbose the last of it in words.
type trace struct {
	h       hash.Hash64
	buf     []byte
	verbose bool
	lines   []string
}

// keptLines is how many lines a verbose trace keeps.
const keptLines = 40_000

// note takes an event into the hash.
func (t *trace) note(w *World, kind byte, what ...uint64) {
	if t.h == nil {
		t.h = fnv.New64a()
	}
	b := append(t.buf[:0], kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(w.now()))
	for _, x := range what {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	t.buf = b
	t.h.Write(b)
}

// say takes a rare event in words.
func (t *trace) say(w *World, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	t.note(w, 'S', mix([]byte(line)))
	if !t.verbose {
		return
	}
	t.tell(w, line)
}

// tell keeps a line for people; it does not change the hash.
func (t *trace) tell(w *World, line string) {
	if len(t.lines) >= keptLines {
		t.lines = append(t.lines[:0], t.lines[keptLines/2:]...)
	}
	t.lines = append(t.lines, fmt.Sprintf("%14v  %s", w.now().Round(time.Microsecond), line))
}

func (t *trace) sum() uint64 {
	if t.h == nil {
		return 0
	}
	return t.h.Sum64()
}

// mix gives a hash of some bytes.
func mix(parts ...[]byte) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum64()
}
