package seal

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzHeader checks what is accepted as an outer header against a general JSON decoder: exactly the
// members of the suite, each with the value that was read, and no second spelling but for the order.
func FuzzHeader(f *testing.F) {
	paths, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no vectors (%v)", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := strings.Cut(string(text), "\n\n")
		part, _, _ := strings.Cut(body, ".")
		if raw, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		part := []byte(base64.RawURLEncoding.EncodeToString(raw))
		var h header
		if parseHeader(part, &h) != "" {
			return
		}
		for _, psk := range []bool{false, true} {
			if h.outer(psk) == "" {
				agree(t, raw, &h, psk)
			}
		}
	})
}

func agree(t *testing.T, raw []byte, h *header, psk bool) {
	if len(raw) > maxHeader {
		t.Fatalf("accepted a header of %d bytes", len(raw))
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("accepted what is no JSON: %v: %q", err, raw)
	}
	want := map[string]string{"alg": "ECDH-ES", "cty": "JWT", "enc": "A256GCM", "kid": string(h.kid), "typ": "hoft-frame+jwt"}
	n := len(want) + 1
	if psk {
		want["alg"] = "A256KW"
		n--
	} else {
		epk, _ := m["epk"].(map[string]any)
		if len(epk) != 4 || epk["kty"] != "EC" || epk["crv"] != "P-256" || epk["x"] != string(h.x) || epk["y"] != string(h.y) {
			t.Fatalf("epk was read as %s %s %s %s: %q", h.kty, h.crv, h.x, h.y, raw)
		}
	}
	for k, v := range want {
		if m[k] != v {
			t.Fatalf("%s is %v, want %q: %q", k, m[k], v, raw)
		}
	}
	if len(m) != n {
		t.Fatalf("%d members, want %d: %q", len(m), n, raw)
	}
	compact, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(compact) != len(raw) {
		t.Fatalf("another spelling was accepted: %q", raw)
	}
}
