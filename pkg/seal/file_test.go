package seal_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

func idxs(lines []*frame.Claims) []int {
	out := []int{}
	for _, c := range lines {
		out = append(out, c.Idx)
	}
	return out
}

// upTo counts the lines that are wholly before t; a full line without its newline counts.
func upTo(ends []int, t int) int {
	n := 0
	for _, e := range ends {
		if t >= e-1 {
			n++
		}
	}
	return n
}

// TestEveryCut cuts a file at every byte, and reads it once from the beginning and once as it grows.
func TestEveryCut(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		data, ends := w.file(t, 2, 0)
		var mark seal.Mark
		grown := []int{}
		for cut := range len(data) + 1 {
			if border := slices.ContainsFunc(ends, func(end int) bool { return cut >= end-30 && cut <= end+1 }); raced && !border && cut%7 != 0 {
				continue
			}
			want := upTo(ends, cut)
			r := w.opener.File(w.name, data[:cut], seal.Mark{})
			if got := len(r.Lines); got != want || r.Bad != 0 {
				t.Fatalf("cut at %d: %d lines and %d bad, want %d and 0", cut, got, r.Bad, want)
			}
			if whole := want == 2; r.Whole != whole || whole != (r.Err == nil) {
				t.Fatalf("cut at %d: whole is %v with %v", cut, r.Whole, r.Err)
			}
			if !r.Whole {
				refused(t, r.Err, seal.Truncated)
			}
			g := w.opener.File(w.name, data[:cut], mark)
			grown = append(grown, idxs(g.Lines)...)
			if len(grown) != want || g.Whole != r.Whole || g.Tail != r.Tail || !slices.Equal(g.Seen, r.Seen) || g.Mark.Offset() != r.Mark.Offset() {
				t.Fatalf("cut at %d: grown file: lines %v, %+v; read at once: %+v", cut, grown, g, r)
			}
			mark = g.Mark
		}
		if !slices.Equal(grown, []int{0, 1}) {
			t.Errorf("a growing file gave lines %v", grown)
		}
	})
}

// TestDamaged loses the damaged line and no other.
func TestDamaged(t *testing.T) {
	w := newWorld(t)
	data, ends := w.file(t, 5, 50)
	start := 0
	for i, end := range ends {
		for at := start; at < end; at += 1 + (end-start)/9 {
			d := bytes.Clone(data)
			d[at] ^= 1
			r := w.opener.File(w.name, d, seal.Mark{})
			want := slices.Delete([]int{0, 1, 2, 3, 4}, i, i+1)
			if !slices.Equal(idxs(r.Lines), want) || r.Bad != 1 || r.Whole || r.Err == nil || r.Err.Reason == seal.Truncated {
				t.Fatalf("byte %d of line %d: lines %v, bad %d, whole %v, %v", at, i, idxs(r.Lines), r.Bad, r.Whole, r.Err)
			}
		}
		start = end
	}
	// A damaged newline joins two lines.
	d := bytes.Clone(data)
	d[ends[1]-1] = 'A'
	if r := w.opener.File(w.name, d, seal.Mark{}); !slices.Equal(idxs(r.Lines), []int{0, 3, 4}) || r.Bad != 1 {
		t.Errorf("joined lines: %v, bad %d", idxs(r.Lines), r.Bad)
	}
}

// TestMark goes on only where the beginning is the same and the keys are.
func TestMark(t *testing.T) {
	w := newWorld(t)
	data, ends := w.file(t, 3, 0)
	first := w.opener.File(w.name, data[:ends[1]], seal.Mark{})
	if !slices.Equal(idxs(first.Lines), []int{0, 1}) || first.Mark.Offset() != ends[1] {
		t.Fatalf("first part: %v, offset %d", idxs(first.Lines), first.Mark.Offset())
	}
	for range 2 { // a mark may be used again
		if r := w.opener.File(w.name, data, first.Mark); !slices.Equal(idxs(r.Lines), []int{2}) || !r.Whole {
			t.Fatalf("rest: %v, whole %v, %v", idxs(r.Lines), r.Whole, r.Err)
		}
	}
	if r := newOpener(t, self(t, w.b), peer(t, w.a)).File(w.name, data, first.Mark); len(r.Lines) != 3 || !r.Whole {
		t.Errorf("another opener did not begin again: %v", idxs(r.Lines))
	}
	if r := w.opener.File(w.name, data[:ends[0]], first.Mark); !slices.Equal(idxs(r.Lines), []int{0}) {
		t.Errorf("a file that shrank: %v", idxs(r.Lines))
	}

	// A hole that is filled later.
	holed := bytes.Clone(data)
	clear(holed[10:ends[0]])
	r := w.opener.File(w.name, holed, seal.Mark{})
	if !slices.Equal(idxs(r.Lines), []int{2}) || r.Bad != 1 {
		t.Errorf("hole: %v, bad %d", idxs(r.Lines), r.Bad)
	}
	if r = w.opener.File(w.name, data, r.Mark); !r.Whole || len(r.Lines) != 3 {
		t.Errorf("filled hole: %v, whole %v, bad %d", idxs(r.Lines), r.Whole, r.Bad)
	}

	// Something behind a last line that was good without its newline.
	cut := w.opener.File(w.name, data[:len(data)-1], seal.Mark{})
	if r = w.opener.File(w.name, append(data[:len(data)-1:len(data)-1], "AA\n"...), cut.Mark); r.Whole || r.Bad != 1 {
		t.Errorf("a tail that went on: whole %v, bad %d", r.Whole, r.Bad)
	}
}

func TestSwappedLines(t *testing.T) {
	w := newWorld(t)
	one, ends := w.file(t, 3, 0)
	w2 := *w
	w2.name.Seq++
	two, ends2 := w2.file(t, 3, 0)

	// A line of another file of the same sender.
	mixed := slices.Concat(one[:ends[0]], two[ends2[0]:ends2[1]], one[ends[1]:])
	if r := w.opener.File(w.name, mixed, seal.Mark{}); !slices.Equal(idxs(r.Lines), []int{0, 2}) || r.Bad != 1 || r.Whole {
		t.Errorf("spliced: %v, bad %d", idxs(r.Lines), r.Bad)
	}
	// A line twice.
	twice := slices.Concat(one[:ends[1]], one[:ends[0]], one[ends[1]:])
	r := w.opener.File(w.name, twice, seal.Mark{})
	if !slices.Equal(idxs(r.Lines), []int{0, 1, 2}) || r.Bad != 1 || r.Whole {
		t.Errorf("repeated: %v, bad %d", idxs(r.Lines), r.Bad)
	}
	refused(t, r.Err, seal.Claims)
	// Another order harms nothing: each line says its place.
	turned := slices.Concat(one[ends[1]:], one[ends[0]:ends[1]], one[:ends[0]])
	if r := w.opener.File(w.name, turned, seal.Mark{}); !slices.Equal(idxs(r.Lines), []int{2, 1, 0}) || !r.Whole {
		t.Errorf("turned: %v, %v", idxs(r.Lines), r.Err)
	}
	// A missing line.
	if r := w.opener.File(w.name, slices.Concat(one[:ends[0]], one[ends[1]:]), seal.Mark{}); r.Whole || r.Bad != 0 {
		t.Errorf("a line is missing: whole %v, bad %d", r.Whole, r.Bad)
	} else {
		refused(t, r.Err, seal.Truncated)
	}
	// An empty line, and one behind the end.
	for _, d := range [][]byte{slices.Concat(one[:ends[0]], []byte("\n"), one[ends[0]:]), slices.Concat(one, []byte("\n"))} {
		if r := w.opener.File(w.name, d, seal.Mark{}); len(r.Lines) != 3 || r.Whole || r.Bad != 1 {
			t.Errorf("empty line: %d lines, whole %v, bad %d", len(r.Lines), r.Whole, r.Bad)
		}
	}
}

// TestFin refuses a second end and lines above the end.
func TestFin(t *testing.T) {
	w := newWorld(t)
	line := func(idx, n int) []byte {
		return append(forge.Line(w.a, w.b, w.claims(idx, n, 0)), '\n')
	}
	for what, c := range map[string]struct {
		data []byte
		want []int
	}{
		"two ends":                {slices.Concat(line(0, 1), line(1, 2)), []int{0}},
		"a line above the end":    {slices.Concat(line(0, 3), line(1, 2), line(2, 4)), []int{0, 1}},
		"end below a line":        {slices.Concat(line(0, 3), line(2, 4), line(1, 2)), []int{0, 2}},
		"one idx in two tellings": {slices.Concat(line(0, 2), line(0, 1)), []int{0}},
	} {
		r := w.opener.File(w.name, c.data, seal.Mark{})
		if !slices.Equal(idxs(r.Lines), c.want) || r.Bad != 1 || r.Whole {
			t.Errorf("%s: lines %v, bad %d, whole %v", what, idxs(r.Lines), r.Bad, r.Whole)
			continue
		}
		refused(t, r.Err, seal.Claims)
	}
}

func TestFileLimits(t *testing.T) {
	w := newWorld(t)
	line := append(w.line(t, 0), '\n')

	data := append(bytes.Repeat([]byte("\n"), frame.MaxLines), line...)
	r := w.opener.File(w.name, data, seal.Mark{})
	if len(r.Lines) != 0 || r.Bad != frame.MaxLines+1 {
		t.Errorf("line %d: %d opened, %d bad", frame.MaxLines+1, len(r.Lines), r.Bad)
	}
	many := bytes.Repeat([]byte("\n"), frame.MaxFile) // must not cost a refusal each
	if r = w.opener.File(w.name, many, r.Mark); r.Bad != frame.MaxLines+1 || r.Whole {
		t.Errorf("%d empty lines: %d bad", len(many), r.Bad)
	}
	if r = w.opener.File(w.name, data[1:], seal.Mark{}); len(r.Lines) != 1 {
		t.Errorf("line %d was not opened: %v", frame.MaxLines, r.Err)
	}

	long := bytes.Repeat([]byte("A"), frame.MaxLine+1)
	_, err := w.opener.Line(w.name, long)
	refused(t, err, seal.Size)
	r = w.opener.File(w.name, slices.Concat(long, []byte("\n"), line), seal.Mark{})
	if len(r.Lines) != 1 || r.Bad != 1 {
		t.Errorf("behind a long line: %d opened, %d bad", len(r.Lines), r.Bad)
	}

	r = w.opener.File(w.name, make([]byte, frame.MaxFile+1), seal.Mark{})
	refused(t, r.Err, seal.Size)
	name := w.name
	name.Recipient = w.c.ID
	r = w.opener.File(name, line, seal.Mark{})
	refused(t, r.Err, seal.Name)
	r = w.opener.File(w.name, nil, seal.Mark{})
	refused(t, r.Err, seal.Truncated)
}
