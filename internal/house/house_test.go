package house

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// The longest files in lines; what is longer is split, or listed below with a reason. Tests are read
// case by case and may be longer; so may suites that several packages run.
const (
	maxLines     = 450
	maxTestLines = 900
)

var longFiles = map[string]string{}

// vague names say nothing of what a package holds.
var vague = []string{"util", "utils", "common", "helper", "helpers", "manager", "base", "misc", "shared"}

func tree(t *testing.T) []File {
	t.Helper()
	files, err := Tree(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d Go files found", len(files))
	}
	return files
}

func TestLayers(t *testing.T) {
	for _, broken := range CheckLayers(tree(t)) {
		t.Error(broken)
	}
}

// The check itself: what it must refuse, and what it must let pass.
func TestCheckLayers(t *testing.T) {
	for _, c := range []struct {
		path, imp string
		test      bool
		refused   bool
	}{
		{"pkg/link/a.go", Module + "/pkg/frame", false, false},
		{"pkg/link/a.go", Module + "/pkg/node", false, true},
		{"pkg/link/sub/a.go", Module + "/pkg/node", false, true},
		{"pkg/link/a.go", Module + "/pkg/node/nodetest", false, true},
		{"pkg/link/a_test.go", Module + "/pkg/node", true, false},
		{"pkg/link/a.go", Module + "/pkg/pipe", false, true},
		{"pkg/link/a.go", "net/http", false, true},
		{"pkg/link/a.go", "net/http/httptest", false, true},
		{"pkg/link/a.go", "os", false, true},
		{"pkg/link/a.go", "net", false, false},
		{"pkg/pipe/a.go", "encoding/json", false, true},
		{"pkg/pipe/a.go", "os", false, false},
		{"pkg/egress/a.go", Module + "/pkg/frame", false, true},
		{"pkg/exchange/a.go", Module + "/pkg/frame", false, false},
		{"pkg/node/a.go", "github.com/spf13/viper", false, true},
		{"main.go", "github.com/spf13/viper", false, true},
		{"pkg/config/a.go", "github.com/spf13/viper", false, false},
		{"pkg/node/a.go", "modernc.org/sqlite/lib", false, true},
		{"pkg/identity/a.go", "github.com/go-jose/go-jose/v4/json", false, false},
		{"pkg/frame/a.go", "github.com/go-jose/go-jose/v4", false, true},
		{"scripts/interop-jose/main.go", "github.com/go-jose/go-jose/v4", false, false},
		{"cmd/a.go", Module + "/pkg/admin", false, false},
		{"pkg/admin/a.go", Module + "/cmd", false, true},
		{"pkg/admin/a.go", Module + "/internal/house", false, true},
		{"pkg/extra/a.go", "fmt", false, true},
	} {
		got := CheckLayers([]File{{Path: c.path, Imports: []string{c.imp}, Test: c.test}})
		if (len(got) > 0) != c.refused {
			t.Errorf("%s imports %s: refused is %v, want %v", c.path, c.imp, got, c.refused)
		}
	}
}

// A folder that holds tests alone needs its comment too, in one of them.
func TestEveryPackageIsDocumented(t *testing.T) {
	ordinary, documented := map[string]bool{}, map[string]bool{}
	files := tree(t)
	for _, f := range files {
		if !f.Test && !f.Tool {
			ordinary[f.Dir()] = true
		}
	}
	for _, f := range files {
		if f.Test != ordinary[f.Dir()] && !f.Tool {
			documented[f.Dir()] = documented[f.Dir()] || f.Doc != ""
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

func TestFilesAreSmall(t *testing.T) {
	long := map[string]bool{}
	for _, f := range tree(t) {
		most := maxLines
		if f.Test || strings.HasSuffix(f.Dir(), "test") {
			most = maxTestLines
		}
		if f.Lines <= most {
			continue
		}
		long[f.Path] = true
		if longFiles[f.Path] == "" {
			t.Errorf("%s has %d lines; split it, or list it in longFiles with the reason", f.Path, f.Lines)
		}
	}
	for name := range longFiles {
		if !long[name] {
			t.Errorf("%s is listed in longFiles and is not long", name)
		}
	}
}

func TestPackageNames(t *testing.T) {
	for _, f := range tree(t) {
		if name := path.Base(f.Dir()); slices.Contains(vague, name) {
			t.Errorf("%s: %q does not say what the package holds", f.Path, name)
		}
	}
}

// Paths of the machine that something was written on mean nothing elsewhere.
func TestNoMachinePaths(t *testing.T) {
	machine := regexp.MustCompile(`(^|[^A-Za-z0-9_.\-])/(work|tmp/wt|home/[a-z]+/src)/`)
	seen := 0
	err := Walk(root, func(name string) error {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 { // not text
			return nil
		}
		seen++
		for i, line := range strings.Split(string(text), "\n") {
			if machine.MatchString(line) {
				t.Errorf("%s:%d: %s", name, i+1, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d files were read", seen)
	}
}
