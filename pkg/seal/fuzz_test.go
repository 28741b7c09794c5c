package seal_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/seal"
)

// corpus are the vectors with an opener for those with public keys, and every good line in them.
func corpus(f *testing.F) (o *seal.Opener, name frame.Name, files [][]byte, good map[string]bool) {
	f.Helper()
	paths, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no vectors (%v)", err)
	}
	good = make(map[string]bool)
	for _, path := range paths {
		v := readVector(f, path)
		if v.peers[0].PSK != nil || v.peers[0].Signed {
			continue
		}
		if o == nil {
			o = newOpener(f, v.self, v.peers...)
		}
		if n, err := frame.ParseName(v.file); err == nil && v.expect == "ok" {
			name = n
		}
		files = append(files, v.body)
	}
	for _, file := range files {
		for line := range bytes.SplitSeq(file, []byte("\n")) {
			if _, err := o.Line(name, line); err == nil {
				good[string(line)] = true
			}
		}
	}
	if len(good) < 10 {
		f.Fatalf("only %d good lines among the vectors", len(good))
	}
	return o, name, files, good
}

// FuzzLine opens what was derived from real lines: only the real ones open, and nothing panics.
func FuzzLine(f *testing.F) {
	o, name, files, good := corpus(f)
	for _, file := range files {
		for line := range bytes.SplitSeq(file, []byte("\n")) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		_, err := o.Line(name, line)
		if err == nil {
			if !good[string(line)] {
				t.Fatalf("a line opens that nobody sealed: %q", line)
			}
			return
		}
		if e := err.(*seal.Error); e.Reason == seal.Panic {
			t.Fatalf("a panic: %s", e.Detail)
		}
		seal.Inspect(line)
	})
}

// FuzzFile opens files at once and in two parts: both give the same.
func FuzzFile(f *testing.F) {
	o, name, files, good := corpus(f)
	for _, file := range files {
		f.Add(file, uint(len(file)/2))
		f.Add(file, uint(len(file)))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint) {
		cut := int(at % uint(len(data)+1))
		once := o.File(name, data, seal.Mark{})
		first := o.File(name, data[:cut], seal.Mark{})
		rest := o.File(name, data, first.Mark)
		parts := append(first.Lines, rest.Lines...)
		if len(once.Lines) > len(good) {
			t.Fatalf("%d lines opened, there are only %d", len(once.Lines), len(good))
		}
		// A line that was good without its newline may turn out to go on.
		if len(parts) == len(once.Lines) && (once.Whole != rest.Whole || once.Bad != rest.Bad || once.Tail != rest.Tail || !slices.Equal(once.Seen, rest.Seen)) {
			t.Fatalf("at once: %+v\nin two parts: %+v", once, rest)
		}
		if len(parts) < len(once.Lines) {
			t.Fatalf("at once %v, in two parts %v", idxs(once.Lines), idxs(parts))
		}
	})
}
