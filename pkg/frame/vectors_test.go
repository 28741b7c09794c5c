package frame_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hoft/hoft/pkg/frame"
)

// readVector gives the expected outcome and the body of one file of testdata/vectors.
func readVector(tb testing.TB, path string) (expect string, body []byte) {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	head, body, ok := bytes.Cut(text, []byte("\n\n"))
	first, _, _ := strings.Cut(string(head), "\n")
	expect, found := strings.CutPrefix(first, "expect: ")
	if !ok || !found {
		tb.Fatalf("%s is no vector", path)
	}
	return expect, body
}

func vectors(tb testing.TB) []string {
	tb.Helper()
	paths, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil || len(paths) < 80 {
		tb.Fatalf("%d vectors found (%v): some are missing", len(paths), err)
	}
	return paths
}

func TestVectors(t *testing.T) {
	for _, path := range vectors(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			expect, body := readVector(t, path)
			c, err := frame.ParseClaims(body)
			got := "ok"
			switch {
			case errors.Is(err, frame.ErrVersion):
				got = "version"
			case errors.Is(err, frame.ErrClaims):
				got = "claims"
			case err != nil:
				got = err.Error()
			}
			if got != expect {
				t.Fatalf("got %q (%v), want %q", got, err, expect)
			}
			if err == nil {
				sameAgain(t, c)
			}
		})
	}
}

// encode writes parsed claims again: the head by Append, the messages by their own parts.
func encode(c *frame.Claims) []byte {
	var msgs [][]byte
	for i := range c.Msg {
		msgs = append(msgs, encodeMessage(&c.Msg[i]))
	}
	return c.Append(nil, msgs)
}

// sameAgain checks that claims which parsed encode to claims that parse equal.
func sameAgain(tb testing.TB, c *frame.Claims) {
	tb.Helper()
	text := encode(c)
	again, err := frame.ParseClaims(text)
	if err != nil {
		tb.Fatalf("its own encoding does not parse: %v\n%s", err, text)
	}
	if d := cmp.Diff(c, again, cmpopts.EquateEmpty()); d != "" {
		tb.Fatalf("encoded and parsed again, claims differ (-first +second):\n%s", d)
	}
}
