package exchange_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
)

// tap keeps every file that is written.
type tap struct {
	node.Pipe
	mu    sync.Mutex
	files map[string][]byte // by name
}

func (p *tap) Put(ctx context.Context, name frame.Name, pieces ...[]byte) error {
	p.mu.Lock()
	p.files[name.String()] = bytes.Join(pieces, nil)
	p.mu.Unlock()
	return p.Pipe.Put(ctx, name, pieces...)
}

func (p *tap) PutStream(ctx context.Context, name frame.Name, size int64, fill func(io.Writer) error) error {
	var b bytes.Buffer
	if err := fill(&b); err != nil {
		return err
	}
	if int64(b.Len()) != size {
		return fmt.Errorf("%d bytes were written, %d announced", b.Len(), size)
	}
	return p.Put(ctx, name, b.Bytes())
}

// tapped puts a tap between a host and its folder, before the host is started.
func tapped(h *host) *tap {
	p := &tap{files: map[string][]byte{}}
	h.wrap = func(inner node.Pipe) node.Pipe { p.Pipe = inner; return p }
	return p
}

// look says which kinds of file hold text, and which kinds there are.
func (p *tap) look(text []byte) (with, all map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	with, all = map[string]int{}, map[string]int{}
	for name, data := range p.files {
		ext := name[strings.LastIndexByte(name, '.'):]
		all[ext]++
		if bytes.Contains(data, text) {
			with[ext]++
		}
	}
	return with, all
}

// packed says whether packs, one behind the other in the order of their numbers, are the body: a long one is sent while it
// comes.
func (p *tap) packed(body []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for name := range p.files {
		if strings.HasSuffix(name, ".pack") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i := range names {
		rest := body
		for _, name := range names[i:] {
			if !bytes.HasPrefix(rest, p.files[name]) {
				break
			}
			rest = rest[len(p.files[name]):]
		}
		if len(rest) == 0 {
			return true
		}
	}
	return false
}

// TestSignedMode carries bodies of every size both ways, and finds each of them in the pipe as it is: in a pack that is
// nothing but the body. No body is inside of a message, and no file is of the other mode.
func TestSignedMode(t *testing.T) {
	// Not the same bytes back: the callers' side holds those already, and may need no pack.
	before := []byte("answer: ")
	up := &callee{calls: map[string]int{}, slots: 4, do: func(r *exchange.Request, body []byte) *exchange.Response {
		return echo(r, append(before[:len(before):len(before)], body...))
	}}
	a, b := apart(t, up)
	a.signed, b.signed = true, true
	a.settle, b.settle = 20*time.Millisecond, 20*time.Millisecond
	pa, pb := tapped(a), tapped(b)
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	known(t, a, b)
	for _, n := range []int{1, 2, 16, 17, 100, 3000, 3001, 16 << 10, 200_000, 1<<20 + 1, 3<<20 + 5} {
		body := bytes.Repeat([]byte(fmt.Sprintf("body of %d bytes, ", n)), n/10+1)[:n]
		r := request(b, "POST", fmt.Sprint("/", n), body)
		if n%2 == 1 {
			r.Length, r.Body = -1, struct{ io.Reader }{r.Body}
		}
		resp, got := call(t, a, r)
		want := append(before[:len(before):len(before)], body...)
		if resp.Status != 200 || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: status %d, %d bytes came back, or not the same", n, resp.Status, len(got))
		}
		if !pa.packed(body) {
			t.Errorf("request of %d bytes: no packs are the body", n)
		}
		if !pb.packed(want) {
			t.Errorf("answer of %d bytes: no packs are the body", n)
		}
	}
	for side, p := range map[string]*tap{"requests": pa, "answers": pb} {
		if _, all := p.look(nil); all[".jwe"] > 0 || all[".jws"] == 0 || all[".pack"] == 0 {
			t.Errorf("%s: files of kinds %v", side, all)
		}
		p.mu.Lock()
		for name, data := range p.files {
			for line := range bytes.SplitSeq(data, []byte("\n")) {
				if part := bytes.Split(line, []byte(".")); strings.HasSuffix(name, ".jws") && len(part) == 3 {
					claims, err := base64.RawURLEncoding.DecodeString(string(part[1]))
					if err != nil || bytes.Contains(claims, []byte(`"body":`)) || bytes.Contains(claims, []byte(`"phs"`)) {
						t.Errorf("%s: a body or a key is inside of a line: %s", side, claims)
					}
				}
			}
		}
		p.mu.Unlock()
	}
	if n := b.chunks.Pinned(); n != 0 && !eventually(func() bool { return b.chunks.Pinned() == 0 }) {
		t.Errorf("%d chunks are still pinned at the callees' side", n)
	}
}

// TestSignedStream: what a callee sends in pieces comes in pieces, each in a pack.
func TestSignedStream(t *testing.T) {
	next := make(chan struct{})
	up := &callee{calls: map[string]int{}, slots: 4, do: func(r *exchange.Request, _ []byte) *exchange.Response {
		pr, pw := io.Pipe()
		go func() {
			for i := range 3 {
				fmt.Fprintf(pw, "piece %d\n", i)
				if r.Method == "GET" {
					<-next
				}
			}
			pw.Close()
		}()
		return &exchange.Response{Status: 200, Length: -1, Body: pr}
	}}
	a, b := apart(t, up)
	a.signed, b.signed = true, true
	pb := tapped(b)
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	resp, err := a.m.Call(t.Context(), request(b, "GET", "/stream", nil), longWait, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 8)
	for i := range 3 {
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != fmt.Sprintf("piece %d\n", i) {
			t.Fatalf("piece %d: %q, %v", i, buf, err)
		}
		next <- struct{}{}
	}
	if with, _ := pb.look([]byte("piece 2\n")); with[".pack"] == 0 {
		t.Errorf("the last piece lies in no pack: %v", with)
	}
}

// TestMixedSeals starts two sites with different seals: nothing passes, and both count the files of the other mode.
func TestMixedSeals(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: echo}
	a, b := apart(t, up)
	a.signed = true
	a.settle, b.settle = 20*time.Millisecond, 20*time.Millisecond
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	if _, err := a.m.Call(t.Context(), request(b, "POST", "/x", []byte("x")), time.Millisecond, nil); !errors.Is(err, exchange.ErrWait) {
		t.Fatal(err)
	}
	for _, h := range []*host{a, b} {
		refused := func() bool { return h.n.FileStats()[h.peer.ID].Refused["mode"] > 0 }
		if !eventually(refused) {
			t.Errorf("%s: %+v", h.self.Name(), h.n.FileStats())
		}
		if st := h.n.FileStats()[h.peer.ID]; st.OK != 0 || st.LastReason != "mode" {
			t.Errorf("%s took %d files, and refused the last one for %q", h.self.Name(), st.OK, st.LastReason)
		}
	}
	if up.count("/x") != 0 {
		t.Error("the callee was called")
	}
}

// TestSealChanged sets both sites to the other seal in the middle of calls: what has not begun is carried in the new mode or
// ends by saying why, and nothing hangs.
func TestSealChanged(t *testing.T) {
	for _, from := range []bool{false, true} {
		t.Run(fmt.Sprintf("signed %v first", from), func(t *testing.T) {
			up := &callee{calls: map[string]int{}, slots: 4, do: echo}
			a, b := apart(t, up)
			a.signed, b.signed = from, from
			a.settle, b.settle = 20*time.Millisecond, 20*time.Millisecond
			a.start() // b is away
			var ids []exchange.ID
			for _, n := range []int{0, 10, 300_000} {
				_, err := a.m.Call(t.Context(), request(b, "PUT", fmt.Sprint("/", n), randomBytes(n)), 20*time.Millisecond, func(id exchange.ID) { ids = append(ids, id) })
				if !errors.Is(err, exchange.ErrWait) {
					t.Fatal(err)
				}
			}
			a.stop()
			a.signed, b.signed = !from, !from
			a.start()
			b.start()
			t.Cleanup(func() { a.stop(); b.stop() })
			for i, id := range ids {
				_, err := outcome(t, a, id)
				var p *exchange.Problem
				if err != nil && !(errors.As(err, &p) && (p.Code == exchange.CodeSeal || p.Code == exchange.CodeChunksGone)) {
					t.Errorf("call %d: %v", i, err)
				}
				if i == 0 && err != nil {
					t.Errorf("a call without a body: %v", err)
				}
			}
			call(t, a, request(b, "POST", "/after", []byte("new")))
		})
	}
}

// TestShortBodyOfALargeHead: a body that does not fit beside its head travels as a chunk, however short it is.
func TestShortBodyOfALargeHead(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 4, do: func(r *exchange.Request, body []byte) *exchange.Response {
		resp := echo(r, body)
		resp.Fields = append(resp.Fields, r.Fields...)
		return resp
	}}
	a, b := pair(t, up)
	known(t, a, b)
	r := request(b, "POST", "/x", []byte("short"))
	r.Fields = exchange.Fields{{Name: "X-Large", Value: strings.Repeat("x", 47<<10)}}
	if _, got := call(t, a, r); string(got) != "short" {
		t.Errorf("%q came back", got)
	}
}
