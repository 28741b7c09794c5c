//go:build unix

package config

import "testing"

func TestDefaultStateDir(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/var/lib/hoft:/var/lib/other")
	t.Setenv("XDG_STATE_HOME", "/home/x/state")
	if got := DefaultStateDir(); got != "/var/lib/hoft" {
		t.Errorf("systemd: %q", got)
	}
	t.Setenv("STATE_DIRECTORY", "")
	if got := DefaultStateDir(); got != "/home/x/state/hoft" {
		t.Errorf("XDG: %q", got)
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", "/home/x")
	if got := DefaultStateDir(); got != "/home/x/.local/state/hoft" {
		t.Errorf("home: %q", got)
	}
}
