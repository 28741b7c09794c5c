package seal_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
)

// vector is one file of testdata/vectors; testdata/README.md describes the form.
type vector struct {
	expect string
	self   seal.Self
	peers  []seal.Peer
	file   string
	opened string
	body   []byte
}

func readVector(tb testing.TB, path string) *vector {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	head, body, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok {
		tb.Fatalf("%s: no empty line between head and body", path)
	}
	v := &vector{body: body, self: seal.Self{Enc: make(map[string]*ecdsa.PrivateKey)}}
	for line := range strings.Lines(string(head)) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			tb.Fatalf("%s: head line %q", path, line)
		}
		v.set(tb, key, value)
	}
	return v
}

func (v *vector) set(tb testing.TB, key, value string) {
	tb.Helper()
	kid, text, _ := strings.Cut(value, " ")
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	switch key {
	case "expect":
		v.expect = value
	case "comment":
	case "self":
		v.self.ID = parseID(tb, value)
	case "enc":
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw(text))
		if err != nil {
			tb.Fatal(err)
		}
		v.self.Enc[kid] = k
	case "peer":
		v.peers = append(v.peers, seal.Peer{ID: parseID(tb, value), Name: value, Sig: make(map[string]ed25519.PublicKey)})
	case "sig":
		v.peers[len(v.peers)-1].Sig[kid] = raw(text)
	case "seal":
		v.peers[len(v.peers)-1].Signed = value == "signed"
	case "psk":
		v.peers[len(v.peers)-1].PSK = raw(value)
	case "file":
		v.file = value
	case "opened":
		v.opened = value
	default:
		tb.Fatalf("unknown key %q in a vector", key)
	}
}

func parseID(tb testing.TB, s string) identity.ID {
	tb.Helper()
	id, err := identity.ParseID(s)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// outcome opens the vector's file and gives the reason it ends with ("ok" for none) and the idx of the
// lines that were opened.
func (v *vector) outcome(o *seal.Opener) (string, string, *seal.Error) {
	name, err := frame.ParseName(v.file)
	if err != nil {
		return string(seal.Name), "", nil
	}
	r := o.File(name, v.body, seal.Mark{})
	var opened []string
	for _, c := range r.Lines {
		opened = append(opened, strconv.Itoa(c.Idx))
	}
	if r.Err != nil {
		return string(r.Err.Reason), strings.Join(opened, " "), r.Err
	}
	if !r.Whole {
		return "neither whole nor an error", "", nil
	}
	return "ok", strings.Join(opened, " "), nil
}

func TestVectors(t *testing.T) {
	paths, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil || len(paths) < 165 {
		t.Fatalf("%d vectors found (%v): some are missing", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			v := readVector(t, path)
			reason, opened, e := v.outcome(newOpener(t, v.self, v.peers...))
			if reason != v.expect || opened != v.opened {
				t.Errorf("ended with %q and lines %q, want %q and %q", reason, opened, v.expect, v.opened)
			}
			if e != nil {
				t.Logf("check %d: %s", e.Check, e.Detail)
				if e.Detail == "" || e.Reason == seal.Panic {
					t.Errorf("refused without a detail, or by a panic: %+v", *e)
				}
			}
		})
	}
}
