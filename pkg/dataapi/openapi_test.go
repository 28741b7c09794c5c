package dataapi

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The description lists what there is, with its query parameters, and nothing else.
func TestDescriptionIsTheMux(t *testing.T) {
	g := newRig(t, nil)
	a := g.do("GET", specPath, nil)
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/yaml" {
		t.Fatalf("%d %s", a.StatusCode, a.Header.Get("Content-Type"))
	}
	type parameter struct {
		Ref  string `yaml:"$ref"`
		Name string `yaml:"name"`
		In   string `yaml:"in"`
	}
	var doc struct {
		Paths      map[string]map[string]yaml.Node
		Components struct{ Parameters map[string]parameter }
	}
	if err := yaml.Unmarshal(a.body, &doc); err != nil {
		t.Fatal(err)
	}
	described := map[string][]string{}
	for path, item := range doc.Paths {
		for name, node := range item {
			if name == "parameters" {
				continue
			}
			var op struct{ Parameters []parameter }
			if err := node.Decode(&op); err != nil {
				t.Fatal(err)
			}
			var query []string
			for _, p := range op.Parameters {
				if p.Ref != "" {
					p = doc.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
				}
				if p.In == "query" {
					query = append(query, p.Name)
				}
			}
			described[strings.ToUpper(strings.TrimPrefix(name, "x-"))+" "+path] = slices.Sorted(slices.Values(query))
		}
	}
	served := map[string][]string{}
	for _, r := range g.s.table() {
		served[r.method+" "+r.path] = slices.Sorted(slices.Values(r.params))
		if head := "HEAD " + r.path; r.method == "GET" && served[head] == nil {
			served[head] = slices.DeleteFunc(slices.Sorted(slices.Values(r.params)), func(s string) bool { return s == "peer" }) // it fetches nothing
		}
	}
	for _, at := range slices.Sorted(maps.Keys(served)) {
		if query, ok := described[at]; !ok {
			t.Errorf("%s is not described", at)
		} else if !slices.Equal(query, served[at]) {
			t.Errorf("%s has the query parameters %v, and %v are described", at, served[at], query)
		}
	}
	for at := range described {
		if _, ok := served[at]; !ok {
			t.Errorf("%s is described and is not there", at)
		}
	}
	for _, ref := range regexp.MustCompile(`"#/[a-zA-Z/]+"`).FindAll(a.body, -1) {
		last := string(ref[bytes.LastIndexByte(ref, '/')+1 : len(ref)-1])
		if !regexp.MustCompile(`(?m)^    ` + last + `:`).Match(a.body) {
			t.Errorf("nothing is behind %s", ref)
		}
	}
	g.wants("an explanation", g.do("GET", "/.hoft/problems/data-missing", nil), 200, "")
	g.wants("no explanation", g.do("GET", "/.hoft/problems/none", nil), 404, "not-found")
}
