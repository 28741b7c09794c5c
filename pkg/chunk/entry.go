package chunk

import (
	"fmt"
	"io"
)

// Entry is one line of a data map: how one chunk is found, checked and opened. It holds a secret (Phs).
type Entry struct {
	// Num is the place of the entry in its map node, from 0.
	Num int64
	// Hsh is the BLAKE3-256 of the ciphertext.
	Hsh Sum
	// Phs gives key, nonce and name.
	Phs Phs
	// Len is the bytes of data that the entry stands for: the chunk's own, or with Lvl > 0 those of everything below it.
	Len int64
	// Alg is the coding of the chunk.
	Alg Alg
	// Lvl is 0 for data; a chunk of level n holds a map node whose entries have level n-1.
	Lvl uint8
}

// Name gives the name of the chunk. It is derived each time (a few microseconds).
func (e *Entry) Name() Name {
	if e.Alg == AlgPlain {
		return e.Hsh.plainName()
	}
	return e.Phs.Name()
}

// String shows what may be shown: not Phs.
func (e Entry) String() string {
	return fmt.Sprintf("chunk %d, level %d, %d bytes, %s, hsh %s", e.Num, e.Lvl, e.Len, e.Alg, e.Hsh)
}

// Format gives String for every verb.
func (e Entry) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// same says whether both are lines of one chunk.
func (e *Entry) same(o *Entry) bool {
	return e.Phs == o.Phs && e.Hsh == o.Hsh && e.Len == o.Len && e.Alg == o.Alg && e.Lvl == o.Lvl
}

// check tests what holds for an entry at place i of a node, by itself.
func (e *Entry) check(i int) error {
	switch {
	case e.Num != int64(i):
		return fmt.Errorf("%w: entry %d has number %d", ErrMap, i, e.Num)
	case e.Alg > AlgPlain || e.Alg == AlgPlain && e.Lvl > 0:
		return fmt.Errorf("%w: entry %d has an unknown coding", ErrMap, i)
	case e.Lvl > MaxLevel:
		return fmt.Errorf("%w: entry %d has level %d, at most %d", ErrMap, i, e.Lvl, MaxLevel)
	case e.Len < 1 || e.Len > MaxSize || e.Lvl == 0 && e.Len > MaxChunk:
		return fmt.Errorf("%w: entry %d stands for %d bytes", ErrMap, i, e.Len)
	}
	return nil
}

// checkEntries tests a node: numbers, one level for all, and the sum of the lengths, which it gives.
func checkEntries(entries []Entry) (size int64, err error) {
	if len(entries) == 0 {
		return 0, fmt.Errorf("%w: no entries", ErrMap)
	}
	if len(entries) > MaxEntries {
		return 0, fmt.Errorf("%w: %w: more than %d entries", ErrMap, ErrTooLarge, MaxEntries)
	}
	for i := range entries {
		e := &entries[i]
		if err := e.check(i); err != nil {
			return 0, err
		}
		if e.Lvl != entries[0].Lvl {
			return 0, fmt.Errorf("%w: entry %d has level %d among entries of level %d", ErrMap, i, e.Lvl, entries[0].Lvl)
		}
		if size += e.Len; size > MaxSize {
			return 0, fmt.Errorf("%w: %w: more than %d bytes", ErrMap, ErrTooLarge, int64(MaxSize))
		}
	}
	return size, nil
}
