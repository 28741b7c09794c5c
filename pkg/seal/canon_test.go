package seal

import (
	"encoding/base64"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/frame"
)

// TestCanonical compares with the definition, decoding and encoding again, for all short texts.
func TestCanonical(t *testing.T) {
	const alphabet = "AEIQUYcgkosw048BCDz-_"
	var texts func(prefix string, n int)
	texts = func(prefix string, n int) {
		raw, err := base64.RawURLEncoding.DecodeString(prefix)
		want := err == nil && base64.RawURLEncoding.EncodeToString(raw) == prefix
		if got := canonical([]byte(prefix)); got != want {
			t.Fatalf("canonical(%q) is %v, want %v", prefix, got, want)
		}
		if n > 0 {
			for _, c := range alphabet {
				texts(prefix+string(c), n-1)
			}
		}
	}
	texts("", 4)
	for c := range 256 { // every last character
		for _, n := range []int{1, 2} {
			s := strings.Repeat("A", n) + string([]byte{byte(c)})
			raw, err := base64.RawURLEncoding.DecodeString(s)
			want := err == nil && base64.RawURLEncoding.EncodeToString(raw) == s
			if got := value64[c] != 0xff && canonical([]byte(s)); got != want {
				t.Fatalf("%q: %v, want %v", s, got, want)
			}
		}
	}
}

// TestPanicIsRefusal lets a library break down and expects a refused line.
func TestPanicIsRefusal(t *testing.T) {
	o := &Opener{}
	var none *opening // the first use of it panics
	line := []byte(strings.Repeat("A", 40) + ".." + strings.Repeat("A", 16) + "." + "AAAA" + "." + strings.Repeat("A", 22))
	var tok token
	c, err := o.open(frame.Name{}, none, line, &tok)
	if c != nil || err == nil || err.Reason != Panic || err.Detail == "" {
		t.Fatalf("got %v, %+v", c, err)
	}
	if got := describe("text of the input"); strings.Contains(got, "input") {
		t.Errorf("a panic's own text is repeated: %s", got)
	}
	if got := describe(errors.New("text of the input")); strings.Contains(got, "input") {
		t.Errorf("a panic's own text is repeated: %s", got)
	}
}

// TestLibraryVersion pins go-jose at 4.1.8 or later: earlier ones panic on an empty wrapped key
// (CVE-2026-34986) and inflate without a bound.
func TestLibraryVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^\s*(?:require )?github\.com/go-jose/go-jose/v4 v4\.(\d+)\.(\d+)$`).FindSubmatch(mod)
	if m == nil {
		t.Fatal("go.mod requires no release of go-jose v4")
	}
	minor, _ := strconv.Atoi(string(m[1]))
	patch, _ := strconv.Atoi(string(m[2]))
	if minor < 1 || minor == 1 && patch < 8 {
		t.Errorf("go-jose v4.%d.%d is older than v4.1.8", minor, patch)
	}
	if strings.Contains(string(mod), "replace github.com/go-jose") {
		t.Error("go-jose is replaced")
	}
}
