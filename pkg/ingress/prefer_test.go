package ingress

import (
	"reflect"
	"strings"
	"testing"
)

// FuzzPreferences: whatever stands in Prefer, the text of each entry by itself gives the same entry, and all of them together give
// the same list: so what is left out is left out, and the rest means what it meant.
func FuzzPreferences(f *testing.F) {
	for _, seed := range []string{`respond-async, wait=10`, `wait="2147483647";x=";", return=minimal`, `callback;url="https://a/\"b,c"`, `Wait=1,wait=2`, `a="b`,
		`a=\",wait=5,"`, `handling=strict;;;`, `,=,;,"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		all := parsePrefer([]string{line})
		var texts []string
		for _, x := range all {
			if x.name == "" || x.name != strings.ToLower(strings.TrimSpace(x.name)) {
				t.Fatalf("%q: a name %q", line, x.name)
			}
			if one := parsePrefer([]string{x.text}); len(one) != 1 || !reflect.DeepEqual(one[0], x) {
				t.Fatalf("%q: %q alone is %q", line, x, one)
			}
			texts = append(texts, x.text)
		}
		if again := parsePrefer([]string{strings.Join(texts, ", ")}); !reflect.DeepEqual(again, all) {
			t.Fatalf("%q: written again %q, want %q", line, again, all)
		}
	})
}
