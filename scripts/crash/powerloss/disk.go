package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// disk is the files, by name.
type disk map[string]*file

// file is what a file surely holds after a power cut, and what was done to it since.
type file struct {
	synced  []byte
	pending []change
	vague   []change // synced since, and not written again: each is of a process that died in it and may hold anything of it
	named   bool     // its name is synced; else it may be gone
	made    int      // place in the record of its first write
	removed bool     // and that is not synced; it may be back
	ended   int      // place in the record of its removal
}

// change is a write, or a truncation when data is nil.
type change struct {
	at   int64 // offset, or the new length
	data []byte
	open bool // the process died in it: it may have been done, or in part
	done int  // place in the record of its completion
}

// play does what was recorded. A sync that ended well makes durable what had been completed before it began.
func (d disk) play(events []event, lies int) error {
	syncs := 0
	for _, e := range events {
		if e.what == sync || e.what == syncNames {
			syncs++
		}
	}
	for i, e := range events {
		f := d[e.file]
		if f == nil || f.removed && e.what == write {
			f = &file{made: i}
			d[e.file] = f
		}
		switch e.what {
		case write:
			f.vague = slices.DeleteFunc(f.vague, func(v change) bool { return v.meets(e.at, len(e.data)) })
			f.pending = append(f.pending, change{at: e.at, data: e.data, open: e.open, done: i})
		case truncate:
			f.pending = append(f.pending, change{at: e.at, open: e.open, done: i})
		case sync:
			if syncs--; syncs >= lies {
				f.sync(e.began)
			}
		case remove:
			if !strings.HasPrefix(e.file, chunks+"/") {
				return fmt.Errorf("%s was removed or renamed, which is not thought of here", e.file)
			}
			f.removed, f.ended = true, i
		case syncNames:
			delete(d, e.file) // stands for the folder
			if syncs--; syncs >= lies {
				d.syncNames(e.began)
			}
		}
	}
	return nil
}

// syncNames makes durable which chunk files there are.
func (d disk) syncNames(began int) {
	for name, f := range d {
		switch {
		case f.removed && f.ended < began:
			delete(d, name)
		case !f.named && f.made < began:
			f.named = true
		}
	}
}

// absent says whether a file is not there after the power cut: its name, or its removal, may have been lost. The
// database and its log are there; SQLite syncs their folder when it makes them.
func (f *file) absent(r *rand.Rand) bool {
	if f.removed {
		return r.IntN(2) == 0
	}
	return !f.named && f.made > 0 && r.IntN(3) == 0
}

func (f *file) sync(began int) {
	var later []change
	for i, c := range f.pending {
		if c.done < began {
			f.synced = c.apply(f.synced)
			again := func(o change) bool { return c.meets(o.at, len(o.data)) }
			if c.open && c.data != nil && !slices.ContainsFunc(f.pending[i+1:], again) {
				f.vague = append(f.vague, c)
			}
		} else {
			later = append(later, c)
		}
	}
	f.pending = later
}

// meets says whether a write and n bytes at a place have any in common.
func (c change) meets(at int64, n int) bool {
	return c.data != nil && at < c.at+int64(len(c.data)) && c.at < at+int64(n)
}

// apply does a change, in place where that is possible.
func (c change) apply(to []byte) []byte {
	if c.data == nil {
		return resize(to, c.at)
	}
	if end := c.at + int64(len(c.data)); end > int64(len(to)) {
		to = resize(to, end)
	}
	copy(to[c.at:], c.data)
	return to
}

func resize(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		return b[:n]
	}
	old := len(b)
	b = slices.Grow(b, int(n)-old)[:n]
	clear(b[old:])
	return b
}

// same compares with the files as the killed process left them.
func (d disk) same(real map[string][]byte) error {
	for name, f := range d {
		data, there := real[name]
		switch {
		case f.removed && !there:
			continue
		case f.removed:
			return fmt.Errorf("%s is there, and was removed by the record", name)
		}
		if err := f.same(data); err != nil {
			return fmt.Errorf("%s is not what the record makes of it: %w", name, err)
		}
	}
	for name, data := range real {
		if d[name] == nil && len(data) > 0 {
			return fmt.Errorf("%s is not in the record", name)
		}
	}
	return nil
}

// same compares with the file as the killed process left it, when nothing is lost. What the process died in is left
// out of the comparison.
func (f *file) same(real []byte) error {
	want := slices.Clone(f.synced)
	for _, v := range f.vague {
		if n := len(real); v.at+int64(len(v.data)) == int64(len(want)) && int64(n) >= v.at && n < len(want) {
			want = want[:n] // it was the first to reach there
		}
		if end := min(v.at+int64(len(v.data)), int64(len(real)), int64(len(want))); end > v.at {
			copy(want[v.at:end], real[v.at:end])
		}
	}
	for _, c := range f.pending {
		if !c.open {
			want = c.apply(want)
			continue
		}
		if c.data == nil { // done, or not done
			if int64(len(real)) == c.at {
				want = c.apply(want)
			}
			continue
		}
		if end := min(c.at+int64(len(c.data)), int64(len(real))); end > c.at {
			want = change{at: c.at, data: slices.Clone(real[c.at:end])}.apply(want)
		}
	}
	if len(real) != len(want) {
		return fmt.Errorf("%d bytes long, want %d", len(real), len(want))
	}
	if !bytes.Equal(real, want) {
		for i := range real {
			if real[i] != want[i] {
				return fmt.Errorf("differs at byte %d", i)
			}
		}
		return errors.New("differs")
	}
	return nil
}

// cut makes one of the states that a power cut may leave, and names it.
func (f *file) cut(r *rand.Rand) ([]byte, string) {
	out := slices.Clone(f.synced)
	if len(f.pending) == 0 {
		return out, "all is synced"
	}
	switch r.IntN(6) {
	case 0:
		return out, "all of them lost"
	case 1:
		for _, c := range f.pending {
			out = c.apply(out)
		}
		return out, "none of them lost"
	case 2: // in order, up to any byte
		n := r.IntN(len(f.pending))
		for _, c := range f.pending[:n] {
			out = c.apply(out)
		}
		return f.pending[n].part(out, r), fmt.Sprintf("the first %d, and one cut", n)
	case 3: // in any order
		n := 0
		for _, c := range f.pending {
			if r.IntN(2) == 0 {
				out = c.apply(out)
				n++
			}
		}
		return out, fmt.Sprintf("any %d of them", n)
	case 4: // any sectors
		for _, c := range f.pending {
			out = c.sectors(out, r)
		}
		return out, "any sectors of them"
	}
	for _, c := range f.pending { // the length is there, the bytes are not
		if end := c.at + int64(len(c.data)); c.data != nil && end > int64(len(out)) {
			out = resize(out, end)
		}
	}
	return out, "the length without the bytes"
}

// part does the beginning of a change.
func (c change) part(to []byte, r *rand.Rand) []byte {
	if len(c.data) == 0 {
		return to
	}
	c.data = c.data[:r.IntN(len(c.data)+1)]
	if len(c.data) == 0 {
		return to
	}
	return c.apply(to)
}

// sectors does any of the sectors of a change.
func (c change) sectors(to []byte, r *rand.Rand) []byte {
	if c.data == nil {
		if r.IntN(2) == 0 {
			return to
		}
		return c.apply(to)
	}
	for at := c.at; at < c.at+int64(len(c.data)); {
		end := min((at/sector+1)*sector, c.at+int64(len(c.data)))
		if r.IntN(2) == 0 {
			to = change{at: at, data: c.data[at-c.at : end-c.at]}.apply(to)
		}
		at = end
	}
	return to
}
