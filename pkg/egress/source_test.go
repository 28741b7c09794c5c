package egress

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestSourceRewinds(t *testing.T) {
	late := strings.NewReader("headbody")
	if _, err := late.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r      io.Reader
		length int64
		again  bool // after something was read
	}{
		"short":               {io.MultiReader(strings.NewReader("body")), 4, true},
		"seekable":            {bytes.NewReader([]byte("body")), -1, true},
		"seekable, not at 0":  {late, -1, true},
		"can be read once":    {io.MultiReader(strings.NewReader("body")), -1, false},
		"longer than a small": {io.MultiReader(strings.NewReader("body"), bytes.NewReader(make([]byte, smallBody))), smallBody + 4, false},
	} {
		s := newSource(c.r, c.length)
		first := s.open()
		if !s.rewind() {
			t.Errorf("%s: a body that nobody read cannot be read again", name)
		}
		if n, err := first.Read(make([]byte, 1)); s.small == nil && (n != 0 || !errors.Is(err, errBodyTaken)) {
			t.Errorf("%s: an earlier reader got %d bytes, %v", name, n, err)
		}
		if n, err := s.open().Read(make([]byte, 2)); n != 2 || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		again, err := s.reopen()
		if (err == nil) != c.again {
			t.Errorf("%s: reopen: %v", name, err)
		}
		if err == nil {
			if text, err := io.ReadAll(again); string(text) != "body" || err != nil {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	}
}
