package vectors

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// file is what the JOSE files of Wycheproof have in common.
type file struct {
	NumberOfTests int
	TestGroups    []group
}

type group struct {
	Comment string
	Private json.RawMessage // a JWK or a JWK set
	Public  json.RawMessage // the same, absent for symmetric keys
	Tests   []test
}

type test struct {
	TcID    int
	Comment string
	Enc     string // jwe: the content encryption that the token is said to have
	Pt      string // jwe: the plaintext in hex, of some valid tests
	Jwe     token
	Jws     token
	Result  string // valid or invalid
}

// token is compact text, or a JWS in its JSON form as it stands.
type token string

func (t *token) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = token(s)
		return nil
	}
	*t = token(b)
	return nil
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	b, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// joseFiles are all files with JOSE tokens, and how many each holds.
var joseFiles = map[string]int{
	"json_web_encryption_test.json": 139,
	"json_web_signature_test.json":  401,
	"json_web_crypto_test.json":     83,
	"json_web_key_test.json":        26,
}

// eachJOSE calls f with every token of a file.
func eachJOSE(t *testing.T, name string, f func(g *group, c *test)) {
	t.Helper()
	var d file
	load(t, name, &d)
	n := 0
	for i := range d.TestGroups {
		g := &d.TestGroups[i]
		for j := range g.Tests {
			n++
			f(g, &g.Tests[j])
		}
	}
	if n != joseFiles[name] || n != d.NumberOfTests {
		t.Fatalf("%s holds %d tests and says %d, want %d: look at what changed", name, n, d.NumberOfTests, joseFiles[name])
	}
}
