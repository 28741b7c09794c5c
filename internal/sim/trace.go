package sim

import (
	"encoding/binary"
	"fmt"
	"time"
)

// trace is a hash of everything that happened, and with verbose the last of it in words.
type trace struct {
	h       uint64
	verbose bool
	lines   []string
}

// keptLines is how many lines a verbose trace keeps.
const keptLines = 40_000

// note takes an event into the hash.
func (t *trace) note(w *World, kind byte, what ...uint64) {
	h := step(step(t.h, uint64(kind)), uint64(w.now()))
	for _, x := range what {
		h = step(h, x)
	}
	t.h = h
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

func (t *trace) sum() uint64 { return t.h }

// step takes one number into a hash.
func step(h, x uint64) uint64 {
	h = (h ^ x) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// mix gives a hash of some bytes, the same in every process.
func mix(parts ...[]byte) (h uint64) {
	for _, p := range parts {
		h = step(h, uint64(len(p)))
		for ; len(p) >= 8; p = p[8:] {
			h = step(h, binary.LittleEndian.Uint64(p))
		}
		for _, b := range p {
			h = step(h, uint64(b))
		}
	}
	return h
}
