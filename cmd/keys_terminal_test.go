//go:build linux

package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/hoft/hoft/pkg/identity"
)

// newTerminal opens a pseudo-terminal: what is typed on one end a command reads from the other.
func newTerminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return keyboard, tty
}

func TestKeysTrustAsksAtATerminal(t *testing.T) {
	b := newKeysSite(t, "site-b")
	file := keysExported(t, b, "site-b")
	for typed, code := range map[string]int{"yes\n": 0, "YES \n": 0, "y\n": 0, "no\n": 1, "\n": 1, "yes please\n": 1, "\x04": 1} {
		t.Run(fmt.Sprintf("%q", typed), func(t *testing.T) {
			a := newKeysSite(t, "site-a")
			keyboard, tty := newTerminal(t)
			if _, err := keyboard.WriteString(typed); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			r := runKeysWith(t, ctx, tty, "trust", file, "--state-dir", a)
			r.want(t, code, "not trusted")
			if !strings.Contains(r.err, "Type yes") || !strings.Contains(r.err, keysFingerprint(t, b)) {
				t.Errorf("asked %q", r.err)
			}
			peers, err := identity.LoadPeers(a)
			if err != nil || (len(peers.All()) == 1) != (code == 0) {
				t.Errorf("kept %v, %v", peers, err)
			}
		})
	}
}

// Ctrl-C while the question stands ends the command; nothing is trusted.
func TestKeysTrustInterrupted(t *testing.T) {
	a := newKeysSite(t, "site-a")
	file := keysExported(t, newKeysSite(t, "site-b"), "site-b")
	keyboard, tty := newTerminal(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := runKeysWith(t, ctx, tty, "trust", file, "--state-dir", a)
	r.want(t, 130, "canceled")
	if _, err := keyboard.WriteString("\n"); err != nil { // lets the reading goroutine end
		t.Fatal(err)
	}
	if peers, err := identity.LoadPeers(a); err != nil || len(peers.All()) != 0 {
		t.Errorf("kept %v, %v", peers, err)
	}
}

// Ctrl-C while a command asks whether to go on ends it too.
func TestConfirmInterrupted(t *testing.T) {
	keyboard, tty := newTerminal(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := &cobra.Command{}
	c.SetContext(ctx)
	c.SetIn(tty)
	c.SetErr(io.Discard)
	err := confirm(c, "send them again")
	if code := exitCode(ctx, err); code != exitInterrupted {
		t.Errorf("exit code %d after %v", code, err)
	}
	if _, err := keyboard.WriteString("\n"); err != nil { // lets the reading goroutine end
		t.Fatal(err)
	}
}
