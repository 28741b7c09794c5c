package config

import (
	"reflect"
	"strings"
	"sync"
	"time"
)

// kind is what a key holds.
type kind uint8

const (
	section kind = iota // a mapping that is always there
	role                // a mapping that may be absent: ingress, egress
	objects             // a list of mappings
	words               // a list of strings; as text a comma list
	text
	boolean
	number
	period
	size
)

// String names the kind as docs and messages do.
func (k kind) String() string {
	return [...]string{"section", "section", "list of objects", "list of text", "text", "true or false", "number", "duration", "size"}[k]
}

// scalar says whether the key has one value that a variable or --set can give.
func (k kind) scalar() bool { return k >= words }

// key is one key of the configuration. Keys of list entries have [] after the name of their list.
type key struct {
	path     string
	kind     kind
	children []*key
	field    int // of the enclosing struct
}

// name is the last part of the path.
func (k *key) name() string { return k.path[strings.LastIndexByte(k.path, '.')+1:] }

// child finds a key below k by its name; nil if there is none.
func (k *key) child(name string) *key {
	for _, c := range k.children {
		if c.name() == name {
			return c
		}
	}
	return nil
}

// variable is the environment variable of the key.
func (k *key) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// settable says whether a variable or --set may give the key: a scalar outside of lists.
func (k *key) settable() bool { return k.kind.scalar() && !strings.Contains(k.path, "[]") }

// root is the tree of all keys, read from the struct's tags: the struct is the one list of keys.
var root = sync.OnceValue(func() *key {
	k := &key{}
	k.children = fields(reflect.TypeFor[Config](), "")
	return k
})

// all lists every key below k, parents first, in the order of the struct.
func (k *key) all() []*key {
	var out []*key
	for _, c := range k.children {
		out = append(out, c)
		out = append(out, c.all()...)
	}
	return out
}

func fields(t reflect.Type, prefix string) []*key {
	var out []*key
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("mapstructure")
		if !f.IsExported() || tag == "" {
			continue
		}
		k := &key{path: prefix + tag, field: i}
		k.kind = kindOf(f.Type)
		switch k.kind {
		case section:
			k.children = fields(f.Type, k.path+".")
		case role:
			k.children = fields(f.Type.Elem(), k.path+".")
		case objects:
			k.children = fields(f.Type.Elem(), k.path+"[].")
		}
		out = append(out, k)
	}
	return out
}

func kindOf(t reflect.Type) kind {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return period
	case reflect.TypeFor[Size]():
		return size
	case reflect.TypeFor[[]string]():
		return words
	case reflect.TypeFor[*bool]():
		return boolean
	}
	switch t.Kind() {
	case reflect.Struct:
		return section
	case reflect.Pointer:
		return role
	case reflect.Slice:
		return objects
	case reflect.Bool:
		return boolean
	case reflect.Int:
		return number
	case reflect.String:
		return text
	}
	panic("config: no rule for fields of type " + t.String())
}
