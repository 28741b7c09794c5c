package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wrong loads text and gives its problems, with the folder of the file cut from their places.
func wrong(t *testing.T, text string, set ...string) []string {
	t.Helper()
	file := write(t, text)
	_, err := Load(LoadOptions{File: file, Set: set})
	var out []string
	for _, p := range Problems(err) {
		out = append(out, strings.ReplaceAll(p.Error(), filepath.Dir(file)+string(filepath.Separator), ""))
	}
	return out
}

func TestProblemsInFile(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string // replaced in the callers' side
		want     []string
	}{
		"unknown key": {"name: site-a", "nane: site-a", []string{
			`hoft.yaml:1: nane: unknown key; did you mean "name"?`,
			`hoft.yaml: name: missing; give this site a short name`}},
		"unknown key in a list": {"      upstream: orders", "      upstraem: orders", []string{
			`hoft.yaml:12: ingress.routes[0].upstream: missing; name an upstream of the peer`,
			`hoft.yaml:14: ingress.routes[0].upstraem: unknown key; did you mean "upstream"?`}},
		"key in the wrong section": {"  inbox: ./b-to-a", "  inbox: ./b-to-a\n  heartbeat: 3s", []string{
			`hoft.yaml:6: pipe.heartbeat: unknown key; did you mean link.heartbeat?`}},
		"upper case": {"name: site-a", "Name: site-a\nname: site-a", []string{
			`hoft.yaml:1: Name: unknown key; did you mean "name"?`}},
		"twice": {"  inbox: ./b-to-a", "  inbox: ./b-to-a\n  inbox: ./other", []string{
			`hoft.yaml:6: pipe.inbox: the key is already given in line 5; remove one of them`}},
		"twice in a list": {"      peer: site-b", "      peer: site-b\n      peer: site-c", []string{
			`hoft.yaml:14: ingress.routes[0].peer: the key is already given in line 13; remove one of them`}},
		"duration without a unit": {"pipe:", "pipe:\n  settle: 30", []string{
			`hoft.yaml:4: pipe.settle = "30": a duration needs a unit, as in 30s`}},
		"empty values": {"pipe:", "pipe:\n  settle: ''\n  fsync: ''\n  max_files: ''\n  max_file: ''", []string{
			`hoft.yaml:4: pipe.settle = "": a duration is a number with ms, s, m or h, as in 30s or 1h30m`,
			`hoft.yaml:5: pipe.fsync = "": write true or false`,
			`hoft.yaml:6: pipe.max_files = "": write a whole number`,
			`hoft.yaml:7: pipe.max_file = "": a size is a whole number with B, KiB, MiB, GiB, TiB or kB, MB, GB, TB, as in 16MiB`}},
		"fraction": {"pipe:", "pipe:\n  max_files: 1.5\n  fsync: yes", []string{
			`hoft.yaml:4: pipe.max_files = "1.5": write a whole number`,
			`hoft.yaml:5: pipe.fsync = "yes": write true or false`}},
		"shapes": {"peers:\n  - name: site-b\n    keys: ./b.pub.jwks", "peers: {name: site-b}\nlog: info", []string{
			`hoft.yaml:6: peers: a list of objects is expected here, not a mapping; write each entry on a line of its own that starts with "- "`,
			`hoft.yaml:7: log: keys with values are expected here, not a single value; write them as "key: value"`,
			`hoft.yaml:12: ingress.routes[0].peer = "site-b": is not one of peers; add it to peers`}},
		"bad entry keeps the numbers": {"  - name: site-b", "  - site-c\n  - name: Site-b", []string{
			`hoft.yaml:7: peers[0]: keys with values are expected here, not a single value; write them as "key: value"`,
			`hoft.yaml:8: peers[1].name = "Site-b": is no name; use lower-case letters, digits and hyphens, at most 63, a letter or digit first and last`,
			`hoft.yaml:14: ingress.routes[0].peer = "site-b": is not one of peers; did you mean "Site-b"?`}},
		"peer of a route": {"      peer: site-b", "      peer: site-bb", []string{
			`hoft.yaml:13: ingress.routes[0].peer = "site-bb": is not one of peers; did you mean "site-b"?`}},
		"no yaml": {"name: site-a", "name: [site-a", []string{
			`hoft.yaml: not YAML: line 1: did not find expected ',' or ']'; indent with blanks, and quote text that holds a colon or starts with a sign`}},
		"two documents": {"admin:", "---\nadmin:", []string{
			`hoft.yaml:1: the file holds more than one document; remove the line --- and what does not belong`}},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(siteA, c.old) {
				t.Fatalf("nothing to replace")
			}
			got := wrong(t, strings.Replace(siteA, c.old, c.new, 1))
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestProblemsInSet(t *testing.T) {
	got := wrong(t, siteA, "pipe.setle=1s", "pipe.settle", "ingress.routes[0].wait=1s", "ingress.routes=x", "egress.remember=1h", "pipe.layout=tree", "link.heartbeat=1", "zzzzzz=1")
	want := []string{
		`--set: pipe.setle: unknown key; did you mean pipe.settle?`,
		`--set: pipe.settle: no value; write --set key=value`,
		`--set: ingress.routes[0].wait: entries of lists come from the file; change the file`,
		`--set: ingress.routes: a list of objects cannot be set here; set one of its keys, or change the file`,
		`--set: egress.remember: the file has no section egress; add the section to the file`,
		`--set: zzzzzz: unknown key; hoft config show lists the keys`,
		`--set: link.heartbeat = "1": a duration needs a unit, as in 1s`,
		`--set: pipe.layout = "tree": is not known here; write nested or flat`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestProblemsInEnvironment(t *testing.T) {
	file := write(t, siteA)
	t.Setenv("HOFT_LINK_HEARTBEAT", "soon")
	_, err := Load(LoadOptions{File: file})
	var got []string
	for _, p := range Problems(err) {
		got = append(got, p.Error())
	}
	want := []string{
		`HOFT_LINK_HEARTBEAT: link.heartbeat = "soon": a duration is a number with ms, s, m or h, as in 30s or 1h30m`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWarnings(t *testing.T) {
	file := write(t, siteA)
	t.Setenv("HOFT_CONFIG", "elsewhere.yaml")
	t.Setenv("HOFT_INGRESS_LISTN", "x")
	t.Setenv("HOFT_EGRESS_REMEMBER", "1h")
	t.Setenv("HOFT_PEERS_0_NAME", "x")
	t.Setenv("HOFT_PEERS", "x")
	t.Setenv("HOFT_PIPE", "x") // must not hide the section
	c, err := Load(LoadOptions{File: file})
	if err != nil {
		t.Fatal(err)
	}
	got := c.Warnings()
	slices.Sort(got)
	want := []string{
		"HOFT_EGRESS_REMEMBER has no effect: the file has no section egress",
		"HOFT_INGRESS_LISTN has no effect: no key has this name; did you mean HOFT_INGRESS_LISTEN?",
		"HOFT_PEERS has no effect: peers is a list of objects, which comes from the file",
		"HOFT_PEERS_0_NAME has no effect: no key has this name",
		"HOFT_PIPE has no effect: pipe is a section, which comes from the file",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if c.Egress != nil {
		t.Error("a variable alone made a section")
	}
}

func TestCredentialsStayOut(t *testing.T) {
	for _, url := range []string{"http://user:hunter2@host/", "ftp://user:hunter2@host", "http://user:hunter2@ho st:x", "user:hunter2@host"} {
		got := strings.Join(wrong(t, strings.Replace(siteB, "http://127.0.0.1:9000", `"`+url+`"`, 1)), "\n")
		if got == "" || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", url, got)
		}
	}
}
