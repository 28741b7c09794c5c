package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	// SocketFile is the control socket in the state folder.
	SocketFile = "hoft.sock"
	// socketNote is where the path of the socket is written when it cannot be in the state folder.
	socketNote = "hoft.sock.path"
	// maxSocketPath is the longest path that every system takes for a socket, with room to spare: Linux
	// takes 107 bytes (unix(7)), macOS 103.
	maxSocketPath = 100
)

// socket is a bound control socket.
type socket struct {
	listener *net.UnixListener
	path     string
	note     string // file that names path; "": the socket is in the state folder
}

// bindSocket makes the control socket of a state folder. What an earlier run left is removed: the lock
// of the state folder says that nobody serves it. Where the folder's path is too long for a socket, it is
// made in a new private folder below the system's temporary one, and hoft.sock.path names it.
func bindSocket(stateDir string) (*socket, error) {
	abs, err := filepath.Abs(stateDir)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	s := &socket{path: filepath.Join(abs, SocketFile)}
	dropNoted(abs)
	if len(s.path) > maxSocketPath {
		if err := s.moveAway(abs); err != nil {
			return nil, err
		}
	} else if err := removeStale(s.path); err != nil {
		return nil, err
	}
	if s.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: s.path, Net: "unix"}); err != nil {
		s.close()
		return nil, fmt.Errorf("control socket %s: %w", s.path, err)
	}
	if err := os.Chmod(s.path, 0o600); err != nil {
		s.close()
		return nil, fmt.Errorf("control socket: make private: %w", err)
	}
	return s, nil
}

// moveAway chooses a short path and notes it in the state folder.
func (s *socket) moveAway(stateDir string) error {
	long := s.path
	dir, err := os.MkdirTemp("", "hoft-")
	if err != nil {
		return fmt.Errorf("control socket: the path %s is too long for one, and no other place was found: %w; choose a shorter state_dir", long, err)
	}
	s.path, s.note = filepath.Join(dir, SocketFile), filepath.Join(stateDir, socketNote)
	if len(s.path) > maxSocketPath {
		s.close()
		return fmt.Errorf("control socket: %s is longer than the %d bytes that a socket's path may have, and so is the temporary folder %s; choose a shorter state_dir",
			long, maxSocketPath, dir)
	}
	if err := os.WriteFile(s.note, []byte(s.path+"\n"), 0o600); err != nil {
		s.close()
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// removeStale removes the socket of an earlier run; anything else of that name is left and refused.
func removeStale(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if fi.Mode().IsRegular() || fi.IsDir() {
		return fmt.Errorf("control socket: %s is there and is no socket; move it away", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("control socket: remove what an earlier run left: %w", err)
	}
	return nil
}

// dropNoted removes the socket and folder that an earlier run noted.
func dropNoted(stateDir string) {
	note := filepath.Join(stateDir, socketNote)
	if path, err := readNote(note); err == nil {
		dropAway(path)
		_ = os.Remove(note)
	}
}

// dropAway removes a socket outside the state folder with its own folder. Only an empty folder goes.
func dropAway(path string) {
	if dir := filepath.Dir(path); filepath.Base(path) == SocketFile && strings.HasPrefix(filepath.Base(dir), "hoft-") {
		_ = os.Remove(path)
		_ = os.Remove(dir)
	}
}

func readNote(note string) (string, error) {
	data, err := os.ReadFile(note)
	if err != nil {
		return "", err
	}
	path := strings.TrimSpace(string(data))
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s names no path", note)
	}
	return path, nil
}

// socketPath finds the control socket of a state folder.
func socketPath(stateDir string) string {
	if path, err := readNote(filepath.Join(stateDir, socketNote)); err == nil {
		return path
	}
	return filepath.Join(stateDir, SocketFile)
}

// close removes the socket; a second call does nothing.
func (s *socket) close() {
	if s.listener != nil {
		s.listener.Close() // removes the file
	}
	if s.note != "" {
		dropAway(s.path)
		_ = os.Remove(s.note)
		s.note = ""
	}
}
