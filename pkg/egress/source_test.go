package egress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
)

func TestSourceRewinds(t *testing.T) {
	late := strings.NewReader("headbody")
	if _, err := late.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r      io.Reader
		length int64
		again  bool // after something was read
	}{
		"short":               {io.MultiReader(strings.NewReader("body")), 4, true},
		"seekable":            {bytes.NewReader([]byte("body")), -1, true},
		"seekable, not at 0":  {late, -1, true},
		"can be read once":    {io.MultiReader(strings.NewReader("body")), -1, false},
		"longer than a small": {io.MultiReader(strings.NewReader("body"), bytes.NewReader(make([]byte, smallBody))), smallBody + 4, false},
	} {
		s := newSource(c.r, c.length)
		first := s.open()
		if !s.rewind() {
			t.Errorf("%s: a body that nobody read cannot be read again", name)
		}
		if n, err := first.Read(make([]byte, 1)); s.small == nil && (n != 0 || !errors.Is(err, errBodyTaken)) {
			t.Errorf("%s: an earlier reader got %d bytes, %v", name, n, err)
		}
		if n, err := s.open().Read(make([]byte, 2)); n != 2 || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		again, err := s.reopen()
		if (err == nil) != c.again {
			t.Errorf("%s: reopen: %v", name, err)
		}
		if err == nil {
			if text, err := io.ReadAll(again); string(text) != "body" || err != nil {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	}
}

// waiting is a body whose rest has yet to come, and perhaps never does.
type waiting struct {
	ctx     context.Context
	entered chan struct{}
}

func (w *waiting) Within(ctx context.Context) { w.ctx = ctx }

func (w *waiting) Read([]byte) (int, error) {
	close(w.entered)
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}

// A server may answer before it has the whole body: that the rest of the body has yet to come holds up no answer.
func TestAnswerWhileTheBodyIsWaitedFor(t *testing.T) {
	body := &waiting{t.Context(), make(chan struct{})}
	s := serveRaw(t, func(_ int, c net.Conn) {
		if _, err := readHead(bufio.NewReader(c)); err == nil {
			<-body.entered
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
		}
	})
	r := post("/x", "")
	r.Body, r.Length = body, 1<<20
	if _, text := do(t, open(t, config.Upstream{URL: s.url()}), r); text != "early" {
		t.Errorf("answer %q", text)
	}
}

// A call whose time is over ends, also while the rest of its body has yet to come.
func TestTimeoutWhileTheBodyIsWaitedFor(t *testing.T) {
	s := serveRaw(t, func(_ int, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	sentWithin(t, func(limit time.Duration) (*Egress, *exchange.Request) {
		r := post("/x", "")
		r.Body, r.Length = &waiting{t.Context(), make(chan struct{})}, 1<<20
		return open(t, config.Upstream{URL: s.url(), Timeout: limit}), r
	})
}
