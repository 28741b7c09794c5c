package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrNoFile says that no configuration file was named and none was found where they are looked for.
var ErrNoFile = errors.New("no configuration file")

// Find names the file to load: file if it is not empty, else $HOFT_CONFIG, else the first that exists
// of SearchPaths. It fails with ErrNoFile when there is none. A named file is not looked at.
func Find(file string) (string, error) {
	if file != "" {
		return file, nil
	}
	if env := os.Getenv("HOFT_CONFIG"); env != "" {
		return env, nil
	}
	return first(SearchPaths())
}

// first gives the first of paths that exists.
func first(paths []string) (string, error) {
	for _, p := range paths {
		_, err := os.Stat(p)
		if err == nil {
			return p, nil
		}
		// What exists and cannot be seen must not be passed over for another one.
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("looking for a configuration file: %w", err)
		}
	}
	return "", fmt.Errorf("%w: looked for %s; name one with --config or HOFT_CONFIG, or start with: hoft config init hoft.yaml",
		ErrNoFile, strings.Join(paths, ", "))
}

// SearchPaths lists where a configuration file is looked for when none is named, first match wins.
func SearchPaths() []string {
	paths := []string{"hoft.yaml"}
	if dir := xdgDir("XDG_CONFIG_HOME", ".config"); dir != "" {
		paths = append(paths, filepath.Join(dir, "hoft", "config.yaml"))
	}
	if runtime.GOOS == "windows" {
		if dir := os.Getenv("ProgramData"); dir != "" {
			paths = append(paths, filepath.Join(dir, "hoft", "config.yaml"))
		}
		return paths
	}
	return append(paths, "/etc/hoft/config.yaml")
}

// DefaultStateDir is the state folder of a site that names none: $STATE_DIRECTORY (set by systemd),
// else $XDG_STATE_HOME/hoft, else ~/.local/state/hoft; on Windows %LocalAppData%\hoft. It is "" when the
// environment names no home folder.
func DefaultStateDir() string {
	// systemd.exec(5): several folders are separated by colons.
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); dir != "" && runtime.GOOS != "windows" {
		return dir
	}
	if runtime.GOOS == "windows" {
		if dir := os.Getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "hoft")
		}
		return ""
	}
	if dir := xdgDir("XDG_STATE_HOME", filepath.Join(".local", "state")); dir != "" {
		return filepath.Join(dir, "hoft")
	}
	return ""
}

// xdgDir gives a folder of the XDG base directory specification, which has relative values ignored.
func xdgDir(variable, underHome string) string {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil || home == "" {
		return ""
	}
	return filepath.Join(home, underHome)
}
