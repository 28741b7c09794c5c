package config

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var ignoreSource = cmpopts.IgnoreUnexported(Config{})

func TestShowSaysWhereFrom(t *testing.T) {
	file := write(t, strings.Replace(siteA, "pipe:\n", "pipe:\n  settle: 2s\n", 1))
	t.Setenv("HOFT_INGRESS_WAIT", "90s")
	c, err := Load(LoadOptions{File: file, Set: []string{"log.level=debug"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Entry{}
	for _, e := range c.Show() {
		got[e.Key] = e
	}
	for _, want := range []Entry{
		{"pipe.settle", "2s", FromFile, file + ":4"},
		{"pipe.poll_max", "1s", FromDefault, ""},
		{"ingress.wait", "1m30s", FromEnv, "HOFT_INGRESS_WAIT"},
		{"log.level", "debug", FromFlag, "--set"},
		{"ingress.routes[0].peer", "site-b", FromFile, file + ":14"},
		{"ingress.routes[0].compress", "on", FromDefault, ""},
		{"pipe.fsync", false, FromDefault, ""},
		{"pipe.max_files", 256, FromDefault, ""},
		{"pipe.max_file", "500MB", FromDefault, ""},
	} {
		if diff := cmp.Diff(want, got[want.Key]); diff != "" {
			t.Errorf("%s: %s", want.Key, diff)
		}
	}
	if _, ok := got["egress.remember"]; ok {
		t.Error("an absent section is shown")
	}
}

func TestShownFileLoadsToTheSame(t *testing.T) {
	for name, text := range map[string]string{"a": siteA, "b": siteB, "sample": Sample} {
		for _, origin := range []bool{false, true} {
			first := load(t, text)
			var out bytes.Buffer
			if err := first.WriteYAML(&out, origin); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(first, load(t, out.String()), ignoreSource, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: %s\n%s", name, diff, out.String())
			}
		}
	}
}

// Every line of the sample that is commented out must be a key with its default.
func TestSample(t *testing.T) {
	plain := load(t, Sample)
	line := regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`)
	if n := len(line.FindAllString(Sample, -1)); n < 10 {
		t.Fatalf("only %d lines are commented out", n)
	}
	dir := filepath.Dir(plain.File())
	all := line.ReplaceAllString(Sample, "$1$2")
	file := filepath.Join(dir, "all.yaml")
	if err := os.WriteFile(file, []byte(all), 0o600); err != nil {
		t.Fatal(err)
	}
	full, err := Load(LoadOptions{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain, full, ignoreSource, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("a comment shows something else than the default: %s", diff)
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	var paths []string
	for _, k := range root().all() {
		paths = append(paths, k.path)
		if descriptions[k.path] == "" {
			t.Errorf("%s has no description", k.path)
		}
	}
	for path := range descriptions {
		if !slices.Contains(paths, path) {
			t.Errorf("%s is described and is no key", path)
		}
	}
}

// What Keys calls required is what Validate misses in an empty configuration, and nothing else.
func TestRequiredKeys(t *testing.T) {
	write(t, "")
	c := &Config{Ingress: &Ingress{Routes: []Route{{}}, Callers: []Caller{{}}}, Egress: &Egress{Upstreams: []Upstream{{Auth: &Auth{OAuth2: &OAuth2{}, Basic: &Basic{}, Fields: []AuthField{{}}}}}}, Peers: []Peer{{}}}
	missing := map[string]bool{}
	for _, p := range Problems(c.Validate()) {
		if p.Reason == "missing" {
			missing[strings.ReplaceAll(p.Key, "[0]", "[]")] = true
		}
	}
	for _, k := range Keys() {
		if k.Type == "section" || k.Type == "list of objects" {
			continue
		}
		if k.Required != missing[k.Path] {
			t.Errorf("%s: described as required: %v, missed: %v", k.Path, k.Required, missing[k.Path])
		}
		if k.Required && k.Default != "" {
			t.Errorf("%s is required and has a default %q", k.Path, k.Default)
		}
	}
}
