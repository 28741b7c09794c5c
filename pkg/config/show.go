package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Origins of a value.
const (
	FromDefault = "default"
	FromFile    = "file"
	FromEnv     = "env"
	FromFlag    = "flag"
)

// Entry is one value in effect.
type Entry struct {
	Key    string `json:"key"`              // path with list indexes
	Value  any    `json:"value"`            // text, bool, int or list of text; durations and sizes as text
	Origin string `json:"origin,omitempty"` // one of the From constants
	Where  string `json:"where,omitempty"`  // file and line, variable, or --set; "" for a default
}

// Show lists every value in effect, in the order of the reference. It holds no secrets: keys and
// pre-shared secrets are in files of their own, of which only the names are known here.
func (c *Config) Show() []Entry {
	var out []Entry
	root().visit(reflect.ValueOf(*c), "", func(k *key, path string, v reflect.Value) {
		if !k.kind.scalar() || v.Kind() == reflect.Pointer && v.IsNil() {
			return
		}
		e := Entry{Key: path, Value: shown(k, v)}
		e.Origin, e.Where = c.src.origin(path)
		out = append(out, e)
	})
	return out
}

// origin says where the value of a key came from.
func (s *source) origin(path string) (kind, where string) {
	switch {
	case s == nil:
	case s.set[path]:
		return FromFlag, "--set"
	case s.env[path]:
		return FromEnv, variableOf(path)
	case s.lines[path] > 0 && s.has(path):
		return FromFile, fmt.Sprintf("%s:%d", s.file, s.lines[path])
	}
	return FromDefault, ""
}

// has says whether the file gives a value, and not just the bare key.
func (s *source) has(path string) bool {
	_, scalar := s.text[path]
	return scalar || s.lines[path+"[0]"] > 0
}

// visit calls fn for every key below k with the path and value that it has in v, a struct. Sections
// that are absent are left out; lists of objects are visited entry by entry.
func (k *key) visit(v reflect.Value, prefix string, fn func(k *key, path string, v reflect.Value)) {
	for _, c := range k.children {
		path, field := prefix+c.name(), v.Field(c.field)
		if c.kind == role && field.IsNil() {
			continue
		}
		fn(c, path, field)
		switch c.kind {
		case section, role:
			c.visit(reflect.Indirect(field), path+".", fn)
		case objects:
			for i := range field.Len() {
				c.visit(field.Index(i), fmt.Sprintf("%s[%d].", path, i), fn)
			}
		}
	}
}

// shown gives a scalar in the form that JSON and YAML show it in.
func shown(k *key, v reflect.Value) any {
	switch k.kind {
	case words:
		return append([]string{}, v.Interface().([]string)...)
	case boolean:
		return reflect.Indirect(v).Bool()
	case number:
		return int(v.Int())
	}
	return plain(v)
}

// plain gives a scalar as it may be written in the file; "" for what is empty, unset or false.
func plain(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return ""
	}
	switch x := reflect.Indirect(v).Interface().(type) {
	case time.Duration:
		return trim(x)
	case Size:
		return x.String()
	case []string:
		return strings.Join(x, ",")
	case string:
		return withoutCredentials(x)
	case int:
		return strconv.Itoa(x)
	case bool:
		return strconv.FormatBool(x)
	}
	return ""
}

// trim leaves out the zero parts that time.Duration writes: 2m, not 2m0s.
func trim(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// WriteYAML writes the values in effect as a configuration file that loads to the same values; with
// origin each line says where its value came from.
func (c *Config) WriteYAML(w io.Writer, origin bool) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c.node(root(), reflect.ValueOf(*c), "", origin)); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return enc.Close()
}

// node makes the YAML of one mapping, whose paths begin with prefix.
func (c *Config) node(k *key, v reflect.Value, prefix string, origin bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, child := range k.children {
		path, field := prefix+child.name(), v.Field(child.field)
		var value *yaml.Node
		switch {
		case field.Kind() == reflect.Pointer && field.IsNil():
			continue
		case child.kind == section, child.kind == role:
			value = c.node(child, reflect.Indirect(field), path+".", origin)
		case child.kind == objects:
			value = &yaml.Node{Kind: yaml.SequenceNode}
			for i := range field.Len() {
				value.Content = append(value.Content, c.node(child, field.Index(i), fmt.Sprintf("%s[%d].", path, i), origin))
			}
			if field.Len() == 0 {
				value.Style = yaml.FlowStyle
			}
		default:
			value = scalarNode(shown(child, field))
			if origin {
				value.LineComment = c.src.comment(path)
			}
		}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: child.name()}, value)
	}
	return n
}

func (s *source) comment(path string) string {
	kind, where := s.origin(path)
	if where == "" {
		return kind
	}
	return where
}

func scalarNode(value any) *yaml.Node {
	n := &yaml.Node{}
	// Encode fails on types that YAML cannot hold; text, bool, int and lists of text are none of them.
	if err := n.Encode(value); err != nil {
		panic("config: " + err.Error())
	}
	if n.Kind == yaml.SequenceNode {
		n.Style = yaml.FlowStyle
	}
	return n
}
