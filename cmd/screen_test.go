package cmd

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestWidths: a table that goes to no terminal has all its columns, whatever is in them; COLUMNS narrows it.
func TestWidths(t *testing.T) {
	for columns, want := range map[string]bool{"": true, "40": false} {
		t.Setenv("COLUMNS", columns)
		var out bytes.Buffer
		s := newScreen(&cobra.Command{}, &out)
		if err := s.table([]column{{title: "A"}, {title: "B", drop: 1}}, [][]cell{{{text: strings.Repeat("x", 200)}, {text: "y"}}}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "B\n"); got != want {
			t.Errorf("COLUMNS=%s: all columns %v, want %v\n%s", columns, got, want, out.String())
		}
	}
}

// TestSameSite: the flags that name the site stand behind the command, also where that ends a sentence, and nowhere else.
func TestSameSite(t *testing.T) {
	cmd := &cobra.Command{}
	cmd.Flags().String("config", "", "")
	if err := cmd.Flags().Set("config", "a.yaml"); err != nil {
		t.Fatal(err)
	}
	same := sameSite(cmd)
	for hint, want := range map[string]string{"hoft status b": " --config a.yaml", "get its key file and trust it: hoft keys trust FILE": " --config a.yaml",
		"nothing: it is sent again": "", "hoft explain loop": "", "ls -la /x": ""} {
		if got := same(hint); got != want {
			t.Errorf("%s: %q, want %q", hint, got, want)
		}
	}
}
