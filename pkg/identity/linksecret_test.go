package identity

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestLinkSecret(t *testing.T) {
	dir := t.TempDir()
	me, peer, other := ID{1}, ID{2}, ID{3}
	get := func(from, to ID) Secret {
		t.Helper()
		s, err := LinkSecret(dir, from, to)
		if err != nil {
			t.Fatal(err)
		}
		if s.Len() != 32 {
			t.Fatalf("%d bytes", s.Len())
		}
		return s
	}
	first := get(me, peer)
	if !first.Equal(get(me, peer)) {
		t.Error("the secret is another at the second time")
	}
	for name, s := range map[string]Secret{"another peer": get(me, other), "the other direction": get(peer, me), "own data": get(me, ID{})} {
		if first.Equal(s) {
			t.Errorf("%s has the same secret", name)
		}
	}
	path := filepath.Join(dir, "links", me.String()+"--"+peer.String()+".secret")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if first.Equal(get(me, peer)) {
		t.Error("a deleted secret came back")
	}
	if _, err := os.Stat(filepath.Join(dir, "links", me.String()+".secret")); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LinkSecret(dir, me, peer); !errors.Is(err, ErrMode) {
		t.Errorf("a secret that others may read: %v", err)
	}
}

func TestDamagedLinkSecret(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "links"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "links", ID{1}.String()+".secret")
	good := linkPrefix + strings.Repeat("A", 43)
	for _, text := range []string{"", "\n", strings.Repeat("A", 43), linkPrefix, good + "A", good[:len(good)-1], good[:len(good)-1] + "B",
		good + "\n\n", pskPrefix + strings.Repeat("A", 43)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LinkSecret(dir, ID{1}, ID{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
		if b, _ := os.ReadFile(path); string(b) != text {
			t.Errorf("%q was changed", text)
		}
	}
}
