//go:build unix

package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func chmod(t testing.TB, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func modeOf(t testing.TB, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestModesOfWhatIsWritten(t *testing.T) {
	old := unix.Umask(0) // the loosest umask there is must change nothing
	defer unix.Umask(old)
	dir, self := stateOf(t, "site-a")
	mustTrust(t, dir, self, published(t, generate(t, "site-b")))
	if err := Revoke(dir, goldenSigKID); err != nil {
		t.Fatal(err)
	}
	psk, err := NewPSK()
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "b.secret")
	if err := psk.Create(secret); err != nil {
		t.Fatal(err)
	}
	peers, err := filepath.Glob(filepath.Join(dir, peersFolder, "*"))
	if err != nil || len(peers) != 1 {
		t.Fatalf("%v, %v", peers, err)
	}
	for path, want := range map[string]fs.FileMode{
		dir: 0o700, Path(dir): 0o600, secret: 0o600, peers[0]: 0o644,
		filepath.Join(dir, peersFolder): 0o700, filepath.Join(dir, revokedFile): 0o644,
	} {
		if got := modeOf(t, path); got != want {
			t.Errorf("%s has mode %04o, want %04o", path, got, want)
		}
	}
	if err := self.Save(dir); err != nil || modeOf(t, Path(dir)) != 0o600 {
		t.Errorf("after Save: %04o, %v", modeOf(t, Path(dir)), err)
	}
}

// Every combination of rights of group and others on the identity and a pre-shared secret.
func TestPrivateFileModeMatrix(t *testing.T) {
	dir, _ := stateOf(t, "site-a")
	psk, err := NewPSK()
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "b.secret")
	if err := psk.Create(secret); err != nil {
		t.Fatal(err)
	}
	loads := map[string]func() error{
		Path(dir): func() error { _, err := Load(dir); return err },
		secret:    func() error { _, err := LoadPSK(secret); return err },
	}
	for path, load := range loads {
		for _, owner := range []fs.FileMode{0o400, 0o600, 0o700} {
			for others := fs.FileMode(0); others <= 0o077; others++ {
				chmod(t, path, owner|others)
				err := load()
				if others == 0 {
					if err != nil {
						t.Errorf("mode %04o: %v", owner, err)
					}
					continue
				}
				if !errors.Is(err, ErrMode) || !strings.Contains(err.Error(), "chmod 600 "+path) || !strings.Contains(err.Error(), fmt.Sprintf("%04o", owner|others)) {
					t.Errorf("mode %04o: %v", owner|others, err)
				}
			}
		}
		chmod(t, path, 0o600)
	}
}

// What others may write they may exchange: the folder, the trusted store and its files, the revocation list.
func TestChangeableByOthersIsRefused(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	b := generate(t, "site-b")
	mustTrust(t, dir, self, published(t, b))
	if err := Revoke(dir, goldenSigKID); err != nil {
		t.Fatal(err)
	}
	loadSite := func() error { _, err := Load(dir); return err }
	loadPeers := func() error { _, err := LoadPeers(dir); return err }
	for _, c := range []struct {
		path string
		load func() error
	}{
		{dir, loadSite}, {filepath.Join(dir, peersFolder), loadPeers}, {peerPath(dir, b.ID()), loadPeers}, {filepath.Join(dir, revokedFile), loadPeers},
	} {
		before := modeOf(t, c.path)
		for _, add := range []fs.FileMode{0o020, 0o002, 0o022} {
			chmod(t, c.path, before|add)
			if err := c.load(); !errors.Is(err, ErrMode) || !strings.Contains(err.Error(), "chmod") {
				t.Errorf("%s with %04o: %v", c.path, before|add, err)
			}
		}
		chmod(t, c.path, before|0o055)
		if err := c.load(); err != nil {
			t.Errorf("%s that others may read: %v", c.path, err)
		}
		chmod(t, c.path, before)
	}
	chmod(t, dir, 0o770)
	if err := self.Save(dir); !errors.Is(err, ErrMode) {
		t.Errorf("saved into a folder that others may write: %v", err)
	}
}

func TestOtherOwnersAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := ownerOf(info)
	if err := checkPrivateFor(path, info, owner, ""); err != nil {
		t.Errorf("the owner: %v", err)
	}
	if err := checkPrivateFor(path, info, owner+1, ""); !errors.Is(err, ErrOwner) || !strings.Contains(err.Error(), "chown") {
		t.Errorf("another user: %v", err)
	}
	err = checkUnchangeable(path, info, "chmod 644 ", owner+1)
	if owner == 0 && err != nil {
		t.Errorf("root's files are trusted: %v", err)
	}
	if owner != 0 && !errors.Is(err, ErrOwner) {
		t.Errorf("another user's file: %v", err)
	}
}

// systemd gives credentials to a service by an access list, which shows as group rights.
func TestSystemdCredentials(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	psk, err := NewPSK()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "b.secret")
	if err := psk.Create(path); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]error{0o400: nil, 0o440: nil, 0o444: ErrMode, 0o460: ErrMode, 0o404: ErrMode} {
		chmod(t, path, mode)
		if _, err := LoadPSK(path); !errors.Is(err, want) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	for path, want := range map[string]bool{dir + "/a": true, dir + "/a/b": true, dir: false, dir + "x/a": false, dir + "/../a": false} {
		if within(path, dir) != want {
			t.Errorf("within(%q) is %v", path, !want)
		}
	}
	if within("/a", "") {
		t.Error("an unset folder holds something")
	}
}

func TestCreateInAnExistingFolder(t *testing.T) {
	parent := t.TempDir()
	empty := filepath.Join(parent, "empty")
	full := filepath.Join(parent, "full")
	for _, dir := range []string{empty, full} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(full, "notes"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	site := generate(t, "site-a")
	if err := site.Create(empty); err != nil || modeOf(t, empty) != 0o700 {
		t.Errorf("an empty folder: %04o, %v", modeOf(t, empty), err)
	}
	err := site.Create(full)
	if !errors.Is(err, ErrMode) || !strings.Contains(err.Error(), "chmod 700") || modeOf(t, full) != 0o755 {
		t.Errorf("a folder in use: %04o, %v", modeOf(t, full), err)
	}
	chmod(t, full, 0o700)
	if err := site.Create(full); err != nil {
		t.Errorf("a closed folder in use: %v", err)
	}
	if err := site.Create(filepath.Join(full, "notes", "x")); err == nil {
		t.Error("made a folder below a file")
	}
}

// A FIFO would hold the start for ever if it were opened.
func TestFIFOIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.pub.jwks")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPeer(path); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
	if _, err := LoadPSK(path); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
}
