package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// shortDir is a folder whose path leaves room for a socket's name, which t.TempDir may not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// answers says whether a control socket can be found and reached from the state folder.
func answers(t *testing.T, dir string, s *socket) bool {
	t.Helper()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, &Status{Schema: Schema, Site: "site-a"})
	})}
	done := make(chan error)
	go func() { done <- srv.Serve(s.listener) }()
	st, err := Ask(context.Background(), dir)
	srv.Close()
	<-done
	if err != nil {
		t.Log(err)
	}
	return err == nil && st.Site == "site-a"
}

func TestSocket(t *testing.T) {
	dir := shortDir(t)
	if _, err := Ask(context.Background(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a socket: %v", err)
	}
	s, err := bindSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(s.path) != SocketFile {
		t.Errorf("path %s", s.path)
	}
	if fi, err := os.Stat(s.path); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi, err)
	}
	if !answers(t, dir, s) {
		t.Error("nobody answers")
	}
	s.close()
	if _, err := os.Lstat(s.path); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	dir := shortDir(t)
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, SocketFile), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false) // as after a crash
	old.Close()
	if _, err := Ask(context.Background(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a stale socket: %v", err)
	}
	s, err := bindSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if !answers(t, dir, s) {
		t.Error("nobody answers")
	}
}

func TestSocketLeavesOtherFiles(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, filepath.Join(dir, SocketFile), "mine", 0o600)
	if _, err := bindSocket(dir); err == nil || !strings.Contains(err.Error(), "is no socket; move it away") {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, SocketFile)); err != nil || string(data) != "mine" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestLongPathsAreServedElsewhere(t *testing.T) {
	dir := filepath.Join(shortDir(t), strings.Repeat("d", 60), strings.Repeat("e", 60))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(context.Background(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before: %v", err)
	}
	crashed, err := bindSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	crashed.listener.SetUnlinkOnClose(false)
	crashed.listener.Close()
	if _, err := Ask(context.Background(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after a crash: %v", err)
	}
	s, err := bindSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.path) > maxSocketPath || !answers(t, dir, s) {
		t.Errorf("not reached at %s", s.path)
	}
	if _, err := os.Lstat(filepath.Dir(crashed.path)); !os.IsNotExist(err) {
		t.Errorf("the crashed run's folder stays: %v", err)
	}
	s.close()
	for _, path := range []string{filepath.Dir(s.path), filepath.Join(dir, socketNote)} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s stays: %v", path, err)
		}
	}
}

func TestToken(t *testing.T) {
	dir := t.TempDir()
	token, err := loadToken(dir)
	if err != nil || len(token) != 43 {
		t.Fatalf("%q, %v", token, err)
	}
	path := filepath.Join(dir, TokenFile)
	if fi, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi, err)
	}
	if again, err := loadToken(dir); err != nil || again != token {
		t.Errorf("made anew: %v", err)
	}
	for _, bad := range []string{"", "short\n", strings.Repeat("two words ", 5)} {
		writeFile(t, path, bad, 0o600)
		if _, err := loadToken(dir); err == nil || bad != "" && strings.Contains(err.Error(), strings.TrimSpace(bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if runtime.GOOS != "windows" {
		writeFile(t, path, token, 0o640)
		if _, err := loadToken(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), token) {
			t.Errorf("open to a group: %v", err)
		}
	}
}
