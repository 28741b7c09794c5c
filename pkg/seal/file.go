package seal

import (
	"bytes"
	"hash/maphash"

	"github.com/hoft/hoft/pkg/frame"
)

// Result is what opening a file gave.
type Result struct {
	// Lines are the lines opened by this call, in the order of the file.
	Lines []*frame.Claims
	// Seen is the idx of every line opened by this call and by those before it. Empty: nothing in the
	// file is known to come from the sender.
	Seen frame.Ranges
	// Bad is the number of complete lines that were refused, in this call and before it.
	Bad int
	// Tail is the number of bytes behind the last newline that are no line yet, or a cut one.
	Tail int
	// Whole says that the file is all that was written: lines 0 to fin, nothing refused, nothing behind.
	Whole bool
	// Err is nil when Whole. Else it says what came first: a file that is none of ours, the refusal of
	// the first bad line, or Truncated when everything that came is good so far.
	Err *Error
	// Mark is where to go on when the file has grown.
	Mark Mark
}

// Mark is how far a file was read; see Opener.File. The zero Mark is the beginning. A Mark is a value:
// it may be used again and by several goroutines.
type Mark struct {
	off   int          // every complete line before it was tried
	sum   uint64       // of the bytes before off
	lines int          // that lie before off
	bad   int          // of them
	err   *Error       // the first of these
	seen  frame.Ranges // idx of the good ones
	fin   int          // 1 + the idx of the last line of the file; 0: it was not seen
	open  bool         // the good line before off lacks its newline so far
}

// Offset is the number of bytes that need not be opened again.
func (m Mark) Offset() int { return m.off }

// File opens the lines of a whole file, or what has come of it (checks 1 and 4 to 10). data is all of the
// file, from its first byte.
//
// A file that grew is opened from the Mark of an earlier Result on: lines before it are neither opened
// nor returned again. When the bytes before the Mark are not those of the earlier call, or that call
// was another Opener's (whose keys may differ), the file is opened from its beginning.
//
// Lines count each by itself, also behind a damaged one, whatever their order in the file. An idx may
// come once, and fin belongs to the highest. The last line needs no newline; its tag decides.
func (o *Opener) File(name frame.Name, data []byte, from Mark) Result {
	sender, err := o.sender(name)
	if err != nil {
		return Result{Err: err}
	}
	if len(data) > frame.MaxFile {
		return Result{Err: refuse(2, Size, "file longer than %d bytes", frame.MaxFile)}
	}
	r := reading{o: o, name: name, sender: sender, data: data}
	r.h.SetSeed(o.seed)
	r.resume(from)
	r.complete()
	r.tail()
	return r.result()
}

// reading is one call of File.
type reading struct {
	o      *Opener
	name   frame.Name
	sender *opening
	data   []byte
	h      maphash.Hash // of data[:m.off]
	m      Mark
	lines  []*frame.Claims
	rest   int // bytes of the tail that are no line
}

// resume takes up the mark if it fits the data.
func (r *reading) resume(from Mark) {
	if from.off == 0 || from.off > len(r.data) {
		return
	}
	r.h.Write(r.data[:from.off])
	if r.h.Sum64() != from.sum {
		r.h.Reset()
		return
	}
	r.m = from
	r.m.seen = from.seen.Clone()
}

// advance moves the mark to off.
func (r *reading) advance(off int) {
	r.h.Write(r.data[r.m.off:off])
	r.m.off = off
}

// complete tries every line that has its newline.
func (r *reading) complete() {
	if r.m.open {
		if r.m.off == len(r.data) {
			return
		}
		r.m.open = false
		if r.data[r.m.off] == '\n' {
			r.advance(r.m.off + 1)
		}
	}
	for {
		n := bytes.IndexByte(r.data[r.m.off:], '\n')
		if n < 0 {
			return
		}
		if r.m.lines >= frame.MaxLines {
			r.overflow()
			return
		}
		if err := r.try(r.data[r.m.off : r.m.off+n]); err != nil {
			r.bad(err)
		}
		r.m.lines++
		r.advance(r.m.off + n + 1)
	}
}

func (r *reading) bad(err *Error) {
	r.m.bad++
	if r.m.err == nil {
		r.m.err = err
	}
}

// overflow passes over everything behind the last line that a file may have, as one bad line.
func (r *reading) overflow() {
	if r.m.lines == frame.MaxLines {
		r.m.lines++
		r.bad(refuse(4, Size, "more than %d lines", frame.MaxLines))
	}
	r.advance(len(r.data))
}

// tail tries what lies behind the last newline. When it is no line, the mark stays before it.
func (r *reading) tail() {
	rest := r.data[r.m.off:]
	if len(rest) == 0 {
		return
	}
	if r.try(rest) != nil {
		r.rest = len(rest)
		return
	}
	r.m.lines++
	r.m.open = true
	r.advance(len(r.data))
}

// try opens one line and checks it against the others of the file.
func (r *reading) try(line []byte) *Error {
	if r.m.lines >= frame.MaxLines {
		return refuse(4, Size, "more than %d lines", frame.MaxLines)
	}
	var t token
	c, err := r.o.open(r.name, r.sender, line, &t)
	if err != nil {
		return err
	}
	idx := uint64(c.Idx)
	top, any := r.m.seen.Max()
	switch {
	case r.m.seen.Contains(idx):
		return refuse(10, Claims, "idx %d comes twice in the file", c.Idx)
	case r.m.fin > 0 && (c.Fin || c.Idx >= r.m.fin), c.Fin && any && top > idx:
		return refuse(10, Claims, "fin is not on the last line")
	}
	r.m.seen.Add(idx, idx)
	if c.Fin {
		r.m.fin = c.Idx + 1
	}
	r.lines = append(r.lines, c)
	return nil
}

func (r *reading) result() Result {
	r.m.sum = r.h.Sum64()
	res := Result{Lines: r.lines, Seen: r.m.seen.Clone(), Bad: r.m.bad, Tail: r.rest, Err: r.m.err, Mark: r.m}
	res.Whole = r.m.bad == 0 && r.rest == 0 && r.m.fin > 0 && r.m.seen.Count() == uint64(r.m.fin)
	if !res.Whole && res.Err == nil {
		res.Err = refuse(4, Truncated, "%d lines came, the rest did not come or was cut", r.m.lines)
	}
	return res
}
