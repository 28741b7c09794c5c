package cmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNamesOfOthers: other tenants name the files that an operator's pattern matches; no name reaches the terminal as a command to it.
func TestNamesOfOthers(t *testing.T) {
	dir := t.TempDir()
	for _, evil := range []string{"\x1b[31m", "\u009b31m", "\u202e", "\r"} {
		there := filepath.Join(dir, "x"+evil+".jwe")
		if err := os.WriteFile(there, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{there, filepath.Join(dir, "none"+evil), dir + evil} {
			var out bytes.Buffer
			if code := run(context.Background(), []string{"inspect", "--state-dir", dir, file}, &out, &out); code != exitFailed {
				t.Errorf("%q: exit code %d", file, code)
			}
			if strings.Contains(out.String(), evil) || !strings.Contains(out.String(), dir) {
				t.Errorf("%q: printed %q", file, out.String())
			}
		}
	}
}
