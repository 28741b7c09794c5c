// Package house holds the rules of this repository's code, as tests: layers, documentation, sizes, names.
package house

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Module is the import path that the packages here begin with.
const Module = "github.com/hoft/hoft"

// File is one Go file.
type File struct {
	Path    string // slashes, from the root of the repository
	Imports []string
	Doc     string // comment of the package clause
	Lines   int
	Test    bool // ends with _test.go
	Tool    bool // built only with a tag of its own, never into hoft
}

// Dir is the folder that the file is in, "." for the root.
func (f File) Dir() string { return path.Dir(f.Path) }

// Tree reads every Go file below root, nested modules included.
func Tree(root string) ([]File, error) {
	var out []File
	err := Walk(root, func(name string) error {
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := read(root, name)
		if err != nil {
			return err
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

// Walk calls fn with every regular file below root that belongs to the repository.
func Walk(root string, fn func(name string) error) error {
	return filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if d.IsDir() {
			if slices.Contains([]string{".git", "dist", "node_modules"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || name == ".git" { // a file in a work tree
			return nil
		}
		return fn(name)
	})
}

func read(root, name string) (File, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return File{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return File{}, fmt.Errorf("reading imports: %w", err)
	}
	f := File{
		Path:  name,
		Doc:   parsed.Doc.Text(),
		Lines: strings.Count(string(text), "\n"),
		Test:  strings.HasSuffix(name, "_test.go"),
		Tool:  tool(parsed),
	}
	for _, i := range parsed.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return File{}, fmt.Errorf("%s: import %s: %w", name, i.Path.Value, err)
		}
		f.Imports = append(f.Imports, p)
	}
	return f, nil
}

// tool says whether the file is left out by every ordinary build: its constraint needs the tag deps or ignore.
func tool(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if !constraint.IsGoBuild(c.Text) || c.Pos() > f.Package {
				continue
			}
			expr, err := constraint.Parse(c.Text)
			if err == nil && !expr.Eval(func(tag string) bool { return tag != "deps" && tag != "ignore" }) {
				return true
			}
		}
	}
	return false
}
