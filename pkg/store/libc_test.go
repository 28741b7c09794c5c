package store_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestLibcVersion holds modernc.org/libc to the version that the chosen release of modernc.org/sqlite
// names: the two are generated together, and another libc breaks SQLite in silent ways.
func TestLibcVersion(t *testing.T) {
	gomod := goList(t, "{{.GoMod}}", "modernc.org/sqlite")
	text, err := os.ReadFile(gomod)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) >= 2 && f[0] == "modernc.org/libc" {
			want = f[1]
		}
	}
	if want == "" {
		t.Fatalf("%s names no modernc.org/libc", gomod)
	}
	if got := goList(t, "{{.Version}}", "modernc.org/libc"); got != want {
		t.Errorf("go.mod has modernc.org/libc %s, sqlite wants %s: go get modernc.org/libc@%s", got, want, want)
	}
}

func goList(t *testing.T, format, module string) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", format, module)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}
