package httpfields

import (
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
)

func fields(pairs ...string) exchange.Fields {
	var out exchange.Fields
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, exchange.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func TestStrip(t *testing.T) {
	in := fields("A", "1", "connection", "b , keep-alive", "B", "x", "A", "2", "Connection", "C", "c", "x", "Te", "trailers", "Trailer", "x", "Expect", "x", "Upgrade", "x", "Content-Length", "1",
		"Transfer-Encoding", "x", "Proxy-Connection", "x", "Proxy-Authorization", "x", "Proxy-Authenticate", "x", "proxy", "x", "Keep-Alive", "x", "Proxy-Status", "kept", "HTTP2-Settings", "x")
	before := fmt.Sprint(in)
	if got := fmt.Sprint(Strip(in)); got != "[{A 1} {A 2} {Proxy-Status kept}]" {
		t.Error(got)
	}
	if fmt.Sprint(in) != before {
		t.Error("the input was changed")
	}
}

func TestFromHeaderKeepsTheOrderOfEqualNames(t *testing.T) {
	h := http.Header{"B": {"2", "1", "2"}, "A": {"x"}}
	if got := fmt.Sprint(FromHeader(h)); got != "[{A x} {B 2} {B 1} {B 2}]" {
		t.Error(got)
	}
	back := http.Header{}
	AddTo(back, FromHeader(h))
	if fmt.Sprint(back) != fmt.Sprint(h) {
		t.Error(back)
	}
}

func TestTrailers(t *testing.T) {
	got := fmt.Sprint(Trailers(fields("X-Sum", "1", "Content-Length", "1", "Host", "x", "content-type", "x", "Authorization", "x", "Set-Cookie", "x", "bad name", "x", "Y", "a\nb", "Transfer-Encoding", "x", "Trailer", "x")))
	if got != "[{X-Sum 1}]" {
		t.Error(got)
	}
}

func TestVia(t *testing.T) {
	for value, want := range map[string]bool{
		"1.1 a": true, "HTTP/1.1 A": true, "1.0 x, 1.1 a (c)": true, "1.1 x (1.1 a, b)": false, "1.1 aa": false, "a": false, "": false, `1.1 x (\) , 1.1 a)`: false, "1.1 x (a), 2 a": true,
	} {
		if got := Passed(fields("via", value), "a"); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if v := AppendVia(nil, "1.1", "a site"); fmt.Sprint(v) != "[{Via 1.1 a_site}]" || !Passed(v, "a site") {
		t.Error(v)
	}
}

func TestWantsTrailers(t *testing.T) {
	for value, want := range map[string]bool{"trailers": true, "gzip;q=1, Trailers;q=0.5": true, "gzip": false, "": false} {
		if got := WantsTrailers(fields("te", value)); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// FuzzFields: what Check lets through and Strip leaves writes exactly its own lines, none of them of one hop.
func FuzzFields(f *testing.F) {
	f.Add("X", "y", "Connection", "x")
	f.Add("X\r\nY", "y", "A", "b\r\nC: d")
	f.Add("transfer-Encoding", "chunked", "Content-Length ", "1")
	f.Add("Host", "a", "host", "b")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		in := fields(n1, v1, n2, v2)
		if Check(in) != nil {
			return
		}
		out := Strip(in)
		h := http.Header{}
		AddTo(h, out)
		var b bytes.Buffer
		if err := h.Write(&b); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(b.String(), "\n"); lines != len(out) || strings.Count(b.String(), "\r") != lines {
			t.Fatalf("%q wrote %q", in, b.String())
		}
		for _, field := range out {
			if hop[textproto.CanonicalMIMEHeaderKey(field.Name)] {
				t.Fatalf("%q passed", field.Name)
			}
		}
	})
}
