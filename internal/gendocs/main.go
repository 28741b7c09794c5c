// Command gendocs writes docs/config.md from the keys of pkg/config. Run it in the repository: go run ./internal/gendocs
package main

import (
	_ "embed"
	"fmt"
	"os"
	"strings"

	"github.com/hoft/hoft/pkg/config"
)

const target = "docs/config.md"

//go:embed head.md
var head string

func main() {
	if err := os.WriteFile(target, []byte(reference()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs: run it in the root of the repository:", err)
		os.Exit(1)
	}
}

// reference is the whole text of docs/config.md.
func reference() string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("\n## The site\n")
	keys := config.Keys()
	rows(&b, keys, "")
	for _, k := range keys {
		if holdsKeys(k) {
			heading(&b, k)
			rows(&b, keys, k.Path)
		}
	}
	return b.String()
}

// holdsKeys says whether k is a section or a list of entries, with a heading of its own.
func holdsKeys(k config.KeyDoc) bool { return k.Type == "section" || k.Type == "list of objects" }

// rows writes the table of the values right below parent.
func rows(b *strings.Builder, keys []config.KeyDoc, parent string) {
	first := true
	for _, k := range keys {
		if holdsKeys(k) || parentOf(k.Path) != parent {
			continue
		}
		if first {
			b.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
			first = false
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.Path, k.Type, cell(k), k.Text)
	}
}

func parentOf(path string) string {
	return strings.TrimSuffix(path[:max(strings.LastIndexByte(path, '.'), 0)], "[]")
}

func heading(b *strings.Builder, k config.KeyDoc) {
	level := "##"
	if strings.Contains(k.Path, ".") {
		level = "###"
	}
	fmt.Fprintf(b, "\n%s `%s`\n\n%s", level, k.Path, k.Text)
	if k.Required {
		b.WriteString(" Required.")
	}
	if k.Type != "section" {
		b.WriteString(" A list; each entry has these keys:")
	}
	b.WriteString("\n")
}

func cell(k config.KeyDoc) string {
	switch {
	case k.Required:
		return "required"
	case strings.HasPrefix(k.Default, "$"):
		return k.Default
	case k.Default != "":
		return "`" + k.Default + "`"
	}
	return ""
}
