package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/identity"
)

// keysRun is what one run of a keys command gave.
type keysRun struct {
	out, err string
	code     int
	fail     error
}

// runKeys runs "hoft keys" with arguments and without a terminal.
func runKeys(t testing.TB, args ...string) keysRun {
	t.Helper()
	return runKeysWith(t, context.Background(), strings.NewReader("yes\n"), args...)
}

func runKeysWith(t testing.TB, ctx context.Context, in io.Reader, args ...string) keysRun {
	t.Helper()
	var out, talk bytes.Buffer
	c := newKeysCmd()
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetArgs(args)
	c.SetIn(in)
	c.SetOut(&out)
	c.SetErr(&talk)
	err := c.ExecuteContext(ctx)
	r := keysRun{out: out.String(), err: talk.String(), fail: err}
	if err != nil {
		exit, ok := errors.AsType[*exitError](err)
		if !ok {
			t.Fatalf("keys %v: an error without exit code: %v", args, err)
		}
		r.code = exit.code
	}
	return r
}

func (r keysRun) want(t testing.TB, code int, inError string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d (%v)", r.code, code, r.fail)
	}
	if code != 0 && !strings.Contains(r.fail.Error(), inError) {
		t.Errorf("error %q does not say %q", r.fail, inError)
	}
}

// newKeysSite runs keys gen and gives the state folder.
func newKeysSite(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	runKeys(t, "gen", "--name", name, "--state-dir", dir).want(t, 0, "")
	return dir
}

// keysExported runs keys export and gives the file.
func keysExported(t testing.TB, dir, name string) string {
	t.Helper()
	r := runKeys(t, "export", "--state-dir", dir)
	r.want(t, 0, "")
	path := filepath.Join(t.TempDir(), name+".pub.jwks")
	if err := os.WriteFile(path, []byte(r.out), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func keysFingerprint(t testing.TB, dir string) string {
	t.Helper()
	site, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return site.Fingerprint()
}

func TestKeysGen(t *testing.T) {
	t.Chdir(t.TempDir())
	r := runKeys(t, "gen", "--name", "site-a", "--state-dir", "./a")
	r.want(t, 0, "")
	want := regexp.MustCompile(`^Wrote \./a[/\\]identity\.jwks \(0600\): site [0-9a-f-]{36} "site-a", signing Ed25519, encryption P-256\. Keep it on this host\.
Fingerprint, read it over the phone:  ([a-z2-7]{4} ){7}[a-z2-7]{4}
Next: hoft keys export --state-dir \./a > site-a\.pub\.jwks   and give that file to the other side\.
$`)
	if !want.MatchString(r.out) {
		t.Errorf("printed:\n%s", r.out)
	}
	if !strings.Contains(r.out, keysFingerprint(t, "./a")) || r.err != "" {
		t.Errorf("printed:\n%s%s", r.out, r.err)
	}
	before, err := os.ReadFile("./a/identity.jwks")
	if err != nil {
		t.Fatal(err)
	}
	runKeys(t, "gen", "--name", "site-b", "--state-dir", "./a").want(t, 1, "use another --state-dir")
	after, err := os.ReadFile("./a/identity.jwks")
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("overwritten: %v", err)
	}
}

func TestKeysGenUsage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	runKeys(t, "gen", "--state-dir", dir).want(t, 2, "--name is missing")
	runKeys(t, "gen", "--name", "site a", "--state-dir", dir).want(t, 2, "letters, digits")
	runKeys(t, "gen", "--name", "a", "--state-dir", "").want(t, 2, "--state-dir is empty")
	runKeys(t, "gen", "more", "--name", "a").want(t, 2, `unexpected "more"`)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused gen left a folder: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	runKeys(t, "gen", "--name", "a", "--state-dir", filepath.Join(file, "a")).want(t, 10, "file")
}

func TestKeysDefaultStateDir(t *testing.T) {
	base := t.TempDir()
	for _, c := range []struct {
		name, state, xdg, want string
	}{
		{"systemd", filepath.Join(base, "sd") + string(os.PathListSeparator) + filepath.Join(base, "second"), filepath.Join(base, "xdg"), "sd"},
		{"xdg", "", filepath.Join(base, "xdg"), "xdg/hoft"},
		{"relative xdg", "", "relative", "home/.local/state/hoft"},
		{"home", "", "", "home/.local/state/hoft"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("STATE_DIRECTORY", c.state)
			t.Setenv("XDG_STATE_HOME", c.xdg)
			t.Setenv("HOME", filepath.Join(base, "home"))
			t.Setenv("USERPROFILE", filepath.Join(base, "home"))
			path := filepath.Join(base, filepath.FromSlash(c.want), identity.FileName)
			os.Remove(path)
			r := runKeys(t, "gen", "--name", "site-a")
			r.want(t, 0, "")
			if _, err := os.Stat(path); err != nil {
				t.Errorf("not there: %v\n%s", err, r.out)
			}
			if !strings.Contains(r.out, "Next: hoft keys export > site-a.pub.jwks") {
				t.Errorf("printed:\n%s", r.out)
			}
		})
	}
}

func TestKeysExport(t *testing.T) {
	dir := newKeysSite(t, "site-a")
	r := runKeys(t, "export", "--state-dir", dir)
	r.want(t, 0, "")
	peer, err := identity.ParsePeer([]byte(r.out), "out")
	if err != nil || peer.Name != "site-a" || peer.Fingerprint() != keysFingerprint(t, dir) || r.err != "" {
		t.Errorf("%v\n%s%s", err, r.out, r.err)
	}
	runKeys(t, "export", "--state-dir", filepath.Join(dir, "none")).want(t, 10, "hoft keys gen")
	if err := os.WriteFile(identity.Path(dir), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	runKeys(t, "export", "--state-dir", dir).want(t, 12, identity.FileName)
}

func TestKeysTrustByFingerprint(t *testing.T) {
	a, b := newKeysSite(t, "site-a"), newKeysSite(t, "site-b")
	file := keysExported(t, b, "site-b")
	print := keysFingerprint(t, b)

	r := runKeys(t, "trust", file, "--state-dir", a)
	r.want(t, 2, "--fingerprint")
	for _, shown := range []string{"site-b", print} {
		if !strings.Contains(r.err, shown) {
			t.Errorf("not shown: %s in\n%s", shown, r.err)
		}
	}
	runKeys(t, "trust", file, "--state-dir", a, "--fingerprint", keysFingerprint(t, a)).want(t, 12, "not the keys that the other side means")
	runKeys(t, "trust", file, "--state-dir", a, "--fingerprint", "").want(t, 12, "compare by phone")
	if peers, err := identity.LoadPeers(a); err != nil || len(peers.All()) != 0 {
		t.Fatalf("trusted without consent: %v", err)
	}
	r = runKeys(t, "trust", file, "--state-dir", a, "--fingerprint", strings.ToUpper(strings.ReplaceAll(print, " ", "-")))
	r.want(t, 0, "")
	if r.out != "" || !strings.Contains(r.err, "Trusted.") {
		t.Errorf("printed %q and %q", r.out, r.err)
	}
	peers, err := identity.LoadPeers(a)
	if err != nil || len(peers.All()) != 1 || peers.All()[0].Fingerprint() != print {
		t.Fatalf("%v, %v", peers, err)
	}
	r = runKeys(t, "trust", file, "--state-dir", a)
	r.want(t, 0, "")
	if !strings.Contains(r.err, "trusted already") {
		t.Errorf("printed %q", r.err)
	}
}

func TestKeysTrustShowsWhatItReplaces(t *testing.T) {
	a, b := newKeysSite(t, "site-a"), newKeysSite(t, "site-b")
	old, err := identity.ReadPeer(keysExported(t, b, "site-b"))
	if err != nil {
		t.Fatal(err)
	}
	next, err := identity.ReadPeer(keysExported(t, newKeysSite(t, "x"), "x"))
	if err != nil {
		t.Fatal(err)
	}
	next.ID, next.Name = old.ID, old.Name
	for i, peer := range []*identity.Peer{old, next} {
		file := filepath.Join(t.TempDir(), "b.jwks")
		if err := os.WriteFile(file, peer.Encode(), 0o644); err != nil {
			t.Fatal(err)
		}
		r := runKeys(t, "trust", file, "--state-dir", a, "--fingerprint", peer.Fingerprint())
		r.want(t, 0, "")
		if replaces := strings.Contains(r.err, "Replaces     "+old.Fingerprint()); replaces != (i == 1) {
			t.Errorf("file %d printed %q", i, r.err)
		}
	}
}

func TestKeysTrustRefusals(t *testing.T) {
	a, b := newKeysSite(t, "site-a"), newKeysSite(t, "site-b")
	file := keysExported(t, b, "site-b")
	runKeys(t, "trust", "--state-dir", a).want(t, 2, "FILE is missing")
	runKeys(t, "trust", file, file, "--state-dir", a).want(t, 2, "unexpected")
	runKeys(t, "trust", filepath.Join(a, "none"), "--state-dir", a).want(t, 12, "none")
	runKeys(t, "trust", file, "--state-dir", filepath.Join(a, "none")).want(t, 10, "hoft keys gen")
	runKeys(t, "trust", identity.Path(b), "--state-dir", a).want(t, 12, "private key")
	runKeys(t, "trust", keysExported(t, a, "site-a"), "--state-dir", a).want(t, 12, "own keys")
	runKeys(t, "trust", keysExported(t, newKeysSite(t, "site-a"), "other"), "--state-dir", a).want(t, 12, "two names")
	peer, err := identity.ReadPeer(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Revoke(a, peer.Sig[0].KID); err != nil {
		t.Fatal(err)
	}
	runKeys(t, "trust", file, "--state-dir", a, "--fingerprint", peer.Fingerprint()).want(t, 12, "revoked")
}

func TestKeysVerify(t *testing.T) {
	a, b := newKeysSite(t, "site-a"), newKeysSite(t, "site-b")
	file, print := keysExported(t, b, "site-b"), keysFingerprint(t, b)
	runKeys(t, "verify", "site-b", "--state-dir", a).want(t, 13, "hoft keys trust FILE")
	runKeys(t, "verify", "--state-dir", a).want(t, 2, "PEER is missing")
	runKeys(t, "trust", file, "--state-dir", a, "--fingerprint", print).want(t, 0, "")
	peer, err := identity.ReadPeer(file)
	if err != nil {
		t.Fatal(err)
	}
	want := "site-b (peer)       " + print + "\nsite-a (this site)  " + keysFingerprint(t, a) + "\n"
	for _, arg := range []string{"site-b", peer.ID.String(), file} {
		r := runKeys(t, "verify", arg, "--state-dir", a)
		r.want(t, 0, "")
		if r.out != want || !strings.Contains(r.err, "hoft keys verify site-a") {
			t.Errorf("verify %s printed:\n%s%s", arg, r.out, r.err)
		}
		runKeys(t, "verify", arg, "--state-dir", a, "--fingerprint", print).want(t, 0, "")
		runKeys(t, "verify", arg, "--state-dir", a, "--fingerprint", print[:38]+"1").want(t, 12, print)
	}
	runKeys(t, "verify", "./nowhere.jwks", "--state-dir", a).want(t, 12, "nowhere.jwks")
	runKeys(t, "verify", "0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77", "--state-dir", a).want(t, 13, "unknown peer")

	r := runKeys(t, "__complete", "verify", "--state-dir", a, "")
	if !strings.HasPrefix(r.out, "site-b\n") {
		t.Errorf("completion offers %q", r.out)
	}
}

func TestKeysList(t *testing.T) {
	a, b := newKeysSite(t, "site-a"), newKeysSite(t, "site-b")
	file := keysExported(t, b, "site-b")
	runKeys(t, "trust", file, "--state-dir", a, "--fingerprint", keysFingerprint(t, b)).want(t, 0, "")
	peer, err := identity.ReadPeer(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Revoke(a, peer.Enc[0].KID); err != nil {
		t.Fatal(err)
	}
	r := runKeys(t, "list", "--state-dir", a)
	r.want(t, 0, "")
	for _, line := range []string{
		`SITE +ID +FINGERPRINT`,
		`site-a \(own\) +[0-9a-f-]{36}  ` + keysFingerprint(t, a),
		`SITE +USE +STATE +KID +FROM`,
		`site-a \(own\)  sig  current +[\w-]{43}  ` + regexp.QuoteMeta(identity.Path(a)),
		`site-a \(own\)  enc  current`,
		`site-b +sig  current +` + peer.Sig[0].KID + `  ` + regexp.QuoteMeta(filepath.Join(a, "peers", peer.ID.String()+".jwks")),
		`site-b +enc  revoked +` + peer.Enc[0].KID,
	} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(r.out) {
			t.Errorf("no line %q in\n%s", line, r.out)
		}
	}

	r = runKeys(t, "list", "--json", "--state-dir", a)
	r.want(t, 0, "")
	var list keysList
	if err := json.Unmarshal([]byte(r.out), &list); err != nil {
		t.Fatal(err)
	}
	if list.Schema != "hoft.keys/1" || list.StateDir != a || list.Site.Name != "site-a" || list.Site.Fingerprint != keysFingerprint(t, a) ||
		len(list.Site.Keys) != 2 || len(list.Peers) != 1 || list.Peers[0].ID != peer.ID.String() || len(list.Revoked) != 1 {
		t.Errorf("%s", r.out)
	}
	if k := list.Peers[0].Keys; len(k) != 2 || k[0].State != "current" || k[1] != (keysKey{Use: "enc", KID: peer.Enc[0].KID, State: "revoked"}) {
		t.Errorf("%+v", list.Peers[0].Keys)
	}
	private, err := os.ReadFile(identity.Path(a))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range regexp.MustCompile(`"d":"([^"]+)"`).FindAllStringSubmatch(string(private), -1) {
		if strings.Contains(r.out, d[1]) {
			t.Error("a private key is in the list")
		}
	}

	empty := runKeys(t, "list", "--json", "--state-dir", b)
	if !strings.Contains(empty.out, `"peers": []`) || !strings.Contains(empty.out, `"revoked": []`) {
		t.Errorf("empty lists are not lists:\n%s", empty.out)
	}
	if err := os.WriteFile(filepath.Join(a, "peers", "bad.jwks"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	runKeys(t, "list", "--state-dir", a).want(t, 12, "bad.jwks")
	runKeys(t, "verify", "site-b", "--state-dir", a).want(t, 12, "bad.jwks")
}

func TestKeysListShowsRetiredKeys(t *testing.T) {
	infos := []identity.KeyInfo{{Use: identity.UseSig, KID: "s"}, {Use: identity.UseEnc, KID: "e"}, {Use: identity.UseEnc, KID: "old"}}
	keys := keysOf(infos, "retired")
	for i, want := range []string{"current", "current", "retired"} {
		if keys[i].State != want || keys[i].KID != infos[i].KID {
			t.Errorf("key %d: %+v", i, keys[i])
		}
	}
}

func TestKeysPSK(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.secret")
	r := runKeys(t, "psk", "--out", path)
	r.want(t, 0, "")
	psk, err := identity.LoadPSK(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(psk.Encode()))
	if r.out != "" || strings.Contains(r.err, secret) || strings.Contains(r.err, secret[11:]) || !strings.Contains(r.err, path) {
		t.Errorf("printed %q and %q", r.out, r.err)
	}
	runKeys(t, "psk", "--out", path).want(t, 1, "exists already")
	runKeys(t, "psk").want(t, 2, "--out is missing")
	runKeys(t, "psk", "--out", filepath.Join(path, "x")).want(t, 1, "x")

	r = runKeys(t, "psk", "--out", "-")
	r.want(t, 0, "")
	if _, err := identity.ParsePSK([]byte(r.out), "out"); err != nil || r.err != "" {
		t.Errorf("%v; %q", err, r.err)
	}
}

// Every command explains itself: what it does, with examples and, below keys, its exit codes.
func TestKeysHelp(t *testing.T) {
	root := newKeysCmd()
	if r := runKeys(t); !strings.Contains(r.out, "hoft keys gen --name site-a") || r.code != 0 {
		t.Errorf("hoft keys prints\n%s", r.out)
	}
	names := map[string]bool{}
	for _, c := range root.Commands() {
		names[c.Name()] = true
		if c.Short == "" || !strings.Contains(c.Long, "Exit codes: 0 ") || !strings.Contains(c.Example, "hoft keys "+c.Name()) {
			t.Errorf("hoft keys %s does not explain itself", c.Name())
		}
		for line := range strings.Lines(c.Long) {
			if len(strings.TrimSuffix(line, "\n")) > 105 {
				t.Errorf("hoft keys %s: a help line of %d columns", c.Name(), len(line))
			}
		}
	}
	for _, name := range []string{"gen", "export", "list", "trust", "verify", "psk"} {
		if !names[name] {
			t.Errorf("no hoft keys %s", name)
		}
	}
}

func TestKeysShellWord(t *testing.T) {
	for word, want := range map[string]string{"./a": "./a", "/srv/x y": "'/srv/x y'", "": "''", "it's": `'it'\''s'`, "$HOME": "'$HOME'"} {
		if got := keysShellWord(word); got != want {
			t.Errorf("%q becomes %s, want %s", word, got, want)
		}
	}
}
