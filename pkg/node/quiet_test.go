package node

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
)

func TestRefusalsAreLoggedOncePerMinute(t *testing.T) {
	q, now := newQuiet(), time.Unix(1000, 0)
	a, b := identity.ID{1}, identity.ID{2}
	if _, ok := q.allow(a, string(seal.Decrypt), now); !ok {
		t.Error("the first refusal is not logged")
	}
	for i := range 5 {
		if _, ok := q.allow(a, string(seal.Decrypt), now.Add(time.Duration(i)*time.Second)); ok {
			t.Error("a second line within the minute")
		}
	}
	if _, ok := q.allow(a, string(seal.Charset), now); !ok {
		t.Error("another reason is not logged")
	}
	if _, ok := q.allow(b, string(seal.Decrypt), now); !ok {
		t.Error("another peer is not logged")
	}
	if n, ok := q.allow(a, string(seal.Decrypt), now.Add(quietFor)); !ok || n != 5 {
		t.Errorf("after a minute: %v with %d held back, want 5", ok, n)
	}
}

// TestTroubleIsLoggedOncePerMinute: a share that is away, or a hundred files that may not be read, are one line, and
// another cause is another one.
func TestTroubleIsLoggedOncePerMinute(t *testing.T) {
	var log bytes.Buffer
	l := zerolog.New(&log)
	q, now := newQuiet(), time.Unix(1000, 0)
	denied := func(file string) error {
		return fmt.Errorf("pipe: read %s: %w; let the mover write", file, &fs.PathError{Op: "open", Path: file, Err: syscall.EACCES})
	}
	lines := func() int { return strings.Count(log.String(), "\n") }
	for i := range 100 {
		file := fmt.Sprint("file ", i)
		q.trouble(l.Warn, now.Add(time.Duration(i)*100*time.Millisecond), file, "cannot read", denied(file))
	}
	if lines() != 1 || !strings.Contains(log.String(), `"file":"file 0"`) {
		t.Errorf("logged:\n%s", log.String())
	}
	q.trouble(l.Warn, now, "file 1", "cannot read", fmt.Errorf("%w: %w", fs.ErrClosed, syscall.EACCES))
	q.trouble(l.Error, now, "", "cannot scan", denied("x"))
	if lines() != 3 {
		t.Errorf("another cause or another trouble is not logged:\n%s", log.String())
	}
	q.trouble(l.Warn, now.Add(quietFor), "file 7", "cannot read", denied("file 7"))
	if lines() != 4 || !strings.Contains(log.String(), `"like_this_before":99`) {
		t.Errorf("after a minute:\n%s", log.String())
	}
}

func TestQuietForgetsRatherThanGrows(t *testing.T) {
	q := newQuiet()
	for i := range 10 * maxQuiet {
		q.allow(identity.ID{}, fmt.Sprint(i), time.Unix(1000, 0))
	}
	if len(q.seen) > maxQuiet {
		t.Errorf("%d reasons are kept", len(q.seen))
	}
}
