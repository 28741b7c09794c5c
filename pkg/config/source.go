package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the configuration file in bytes: more is not a configuration but a wrong path.
const maxFile = 4 << 20

// source is where the values of one Config came from.
type source struct {
	file  string            // as named
	lines map[string]int    // key path with list indexes -> line of the file
	text  map[string]string // key path -> what was written for it, wherever that was
	set   map[string]bool
	env   map[string]bool
	warn  []string
}

func newSource(file string) *source {
	return &source{file: file, lines: map[string]int{}, text: map[string]string{}, set: map[string]bool{}, env: map[string]bool{}}
}

// where names the place of a key for messages, and its line if it stands in the file.
func (s *source) where(path string) (string, int) {
	if s == nil {
		return "", 0
	}
	switch {
	case s.set[path]:
		return "--set", 0
	case s.env[path]:
		return variableOf(path), 0
	}
	for p := path; p != ""; p = parent(p) {
		if line := s.lines[p]; line > 0 {
			return fmt.Sprintf("%s:%d", s.file, line), line
		}
	}
	return s.file, 0
}

// parent cuts the last name or index of a path.
func parent(path string) string {
	return path[:max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['), 0)]
}

// reader walks a YAML document along the tree of keys and takes out what the keys allow.
type reader struct {
	src      *source
	problems problems
}

// read gives the values of file as nested maps, scalars as the text that was written (so that 0640
// stays a mode and 30 stays without a unit), and everything that has no place there as problems.
func read(file string) (map[string]any, *source, problems, error) {
	src := newSource(file)
	data, err := readFile(file)
	if err != nil {
		return nil, src, nil, err
	}
	r := &reader{src: src}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, src, nil, &Problem{Where: file, Reason: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: "),
			Mend: "indent with blanks, and quote text that holds a colon or starts with a sign"}
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		r.add(&doc, "", "", "the file holds more than one document", "remove the line --- and what does not belong")
	}
	values := map[string]any{}
	if doc.Kind == yaml.DocumentNode {
		if m, ok := r.mapping(doc.Content[0], root(), "").(map[string]any); ok {
			values = m
		}
	}
	return values, src, r.problems, nil
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("reading the configuration: %s is larger than %v", file, Size(maxFile))
	}
	return data, nil
}

func (r *reader) add(n *yaml.Node, path, value, reason, mend string) {
	where := r.src.file
	if n.Line > 0 {
		where = fmt.Sprintf("%s:%d", r.src.file, n.Line)
	}
	r.problems.add(&Problem{Where: where, Key: path, Value: value, Reason: reason, Mend: mend, line: n.Line})
}

// value takes one value of k, or nil when it is left empty or does not fit.
func (r *reader) value(n *yaml.Node, k *key, path string) any {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		if k.kind == role { // "egress:" alone is the section with nothing in it
			return map[string]any{}
		}
		return nil
	}
	switch k.kind {
	case section, role:
		return r.mapping(n, k, path)
	case objects:
		return r.list(n, k, path, func(item *yaml.Node, p string) any { return r.mapping(item, k, p) })
	case words:
		if n.Kind == yaml.ScalarNode {
			return r.scalar(n, path)
		}
		return r.list(n, k, path, func(item *yaml.Node, p string) any { return r.scalar(item, p) })
	}
	return r.scalar(n, path)
}

func (r *reader) scalar(n *yaml.Node, path string) any {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		r.add(n, path, "", "one value is expected here, not a "+shape(n), "")
		return nil
	}
	r.src.text[path] = n.Value
	return n.Value
}

func (r *reader) list(n *yaml.Node, k *key, path string, item func(*yaml.Node, string) any) any {
	if n.Kind != yaml.SequenceNode {
		r.add(n, path, "", fmt.Sprintf("a %v is expected here, not a %s", k.kind, shape(n)), `write each entry on a line of its own that starts with "- "`)
		return nil
	}
	out := []any{}
	for i, c := range n.Content {
		p := fmt.Sprintf("%s[%d]", path, i)
		r.src.lines[p] = c.Line
		v := item(c, p)
		if v == nil && k.kind == objects {
			v = map[string]any{} // a bad entry keeps its place: the numbers of the others must stay true
		} else if v == nil {
			v = ""
		}
		out = append(out, v)
	}
	return out
}

func (r *reader) mapping(n *yaml.Node, k *key, path string) any {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.add(n, path, "", "keys with values are expected here, not a "+shape(n), `write them as "key: value"`)
		return nil
	}
	out := map[string]any{}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, v := n.Content[i], n.Content[i+1]
		p := strings.TrimPrefix(path+"."+name.Value, ".")
		c := k.child(name.Value)
		switch {
		case name.Tag == "!!merge":
			r.add(name, p, "", "merge keys are not supported", "write the keys out")
		case c == nil:
			r.add(name, p, "", "unknown key", suggest(name.Value, k))
		case first[name.Value] > 0:
			r.add(name, p, "", fmt.Sprintf("the key is already given in line %d", first[name.Value]), "remove one of them")
		default:
			first[name.Value] = name.Line
			r.src.lines[p] = name.Line
			if got := r.value(v, c, p); got != nil {
				out[name.Value] = got
			}
		}
	}
	return out
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	}
	return "single value"
}

// suggest says what was probably meant by a name below k.
func suggest(name string, k *key) string {
	names := make([]string, len(k.children))
	for i, c := range k.children {
		names[i] = c.name()
	}
	if near := Closest(strings.ToLower(name), names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	// A right name in the wrong section is the second most common slip.
	for _, other := range root().all() {
		if other.name() == name {
			return fmt.Sprintf("did you mean %s?", other.path)
		}
	}
	slices.Sort(names)
	return "known here: " + strings.Join(names, ", ")
}
