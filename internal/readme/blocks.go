//go:build unix

package main

import (
	"fmt"
	"regexp"
	"strings"
)

// block is a marked part of a Markdown file.
type block struct {
	line  int               // of the mark
	kind  string            // file, run, serve or callee
	attrs map[string]string // of the mark
	text  string            // between the fences; "" for a callee
}

var (
	mark = regexp.MustCompile(`^<!-- (file|run|serve|callee)((?: [a-z]+="[^"]*")*) -->$`)
	attr = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
	// table is where scripts/table writes its rows.
	table = regexp.MustCompile(`^<!-- (table: .*|end of table) -->$`)
)

// attributes that each kind may have.
var attributes = map[string][]string{
	"file": {"name"}, "run": {"dir", "prints", "until"}, "serve": {}, "callee": {"listen", "answers"},
}

// blocks finds what is marked, in order. A mark that is not understood, or has no fence after it, is an error:
// it would pass for a tested one.
func blocks(markdown string) ([]block, error) {
	lines := strings.Split(markdown, "\n")
	var out []block
	for i := 0; i < len(lines); i++ {
		m := mark.FindStringSubmatch(lines[i])
		if m == nil {
			if strings.HasPrefix(lines[i], "<!--") && !table.MatchString(lines[i]) {
				return nil, fmt.Errorf("line %d: a comment that is no mark: %s", i+1, lines[i])
			}
			continue
		}
		b := block{line: i + 1, kind: m[1], attrs: map[string]string{}}
		for _, a := range attr.FindAllStringSubmatch(m[2], -1) {
			b.attrs[a[1]] = a[2]
		}
		if err := b.check(); err != nil {
			return nil, err
		}
		if b.kind != "callee" {
			text, end, err := fenced(lines, i+1)
			if err != nil {
				return nil, err
			}
			b.text, i = text, end
		}
		out = append(out, b)
	}
	return out, nil
}

func (b block) check() error {
	for name := range b.attrs {
		known := false
		for _, a := range attributes[b.kind] {
			known = known || a == name
		}
		if !known {
			return fmt.Errorf("line %d: %s has no attribute %s", b.line, b.kind, name)
		}
	}
	if b.kind == "file" && b.attrs["name"] == "" || b.kind == "callee" && b.attrs["listen"] == "" {
		return fmt.Errorf("line %d: %s needs %s", b.line, b.kind, attributes[b.kind][0])
	}
	return nil
}

// fenced gives the text of the fence that opens at lines[start], and the index of its last line.
func fenced(lines []string, start int) (string, int, error) {
	if start >= len(lines) || !strings.HasPrefix(lines[start], "```") {
		return "", 0, fmt.Errorf("line %d: no fence follows the mark", start)
	}
	for end := start + 1; end < len(lines); end++ {
		if lines[end] == "```" {
			return strings.Join(lines[start+1:end], "\n") + "\n", end, nil
		}
	}
	return "", 0, fmt.Errorf("line %d: the fence does not end", start+1)
}
