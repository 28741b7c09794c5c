package httptarget

import (
	"path"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for uri, want := range map[string]Target{
		"/":                      {Raw: "/"},
		"//x?y":                  {Raw: "//x?y"},
		"*":                      {Raw: "*"},
		"http://h":               {Raw: "*"},
		"http://h/a%2Fb?c":       {Raw: "/a%2Fb?c", Scheme: "http"},
		"HTTPS://h?q":            {Raw: "/?q", Scheme: "https"},
		"http://h//x":            {Raw: "//x", Scheme: "http"},
		"/a?u=http://x@y/#"[:15]: {Raw: "/a?u=http://x@y"},
	} {
		if uri == "http://h" {
			want.Scheme = "http"
		}
		if got, err := Parse("OPTIONS", uri); err != nil || got != want {
			t.Errorf("%q: %+v, %v", uri, got, err)
		}
	}
	if got, err := Parse("GET", "http://h"); err != nil || got.Raw != "/" {
		t.Errorf("no path: %+v, %v", got, err)
	}
	for _, uri := range []string{"", "x", "http:/x", "ftp://h/", "http://u@h/", "/a b", "/a#b", "http://h/#", "/\x00", "/\x7f", "*"} {
		if got, err := Parse("GET", uri); err == nil {
			t.Errorf("%q: %+v", uri, got)
		}
	}
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct {
		prefix, raw, rest string
		ok                bool
	}{
		{"/", "/x", "/x", true}, {"", "*", "*", true}, {"/a", "/a", "/", true}, {"/a/", "/a", "/", true}, {"/a", "/a/", "/", true},
		{"/a", "/ab", "/ab", false}, {"/a", "/a?b", "/?b", true}, {"/a/b", "/a/b//c", "//c", true}, {"/a", "/%61/x%2F", "/x%2F", true},
		{"/a%2Fb", "/a%2fb/x", "/x", true}, {"/a%2Fb", "/a/b/x", "/a/b/x", false}, {"/a", "*", "*", false}, {"/a", "/%zz", "/%zz", false}, {"/a", "//a", "//a", false},
	} {
		p, err := ParsePrefix(c.prefix)
		if err != nil {
			t.Fatal(err)
		}
		if rest, ok := p.Strip(c.raw); ok != c.ok || rest != c.rest {
			t.Errorf("%q of %q: %q, %v", c.prefix, c.raw, rest, ok)
		}
	}
	for _, s := range []string{"x", "/a?b", "/a#b", "/%zz"} {
		if _, err := ParsePrefix(s); err == nil {
			t.Errorf("prefix %q accepted", s)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "x", true}, {"*", "", false}, {"a*", "a", true}, {"a*c", "abbc", true}, {"a*c", "abcd", false}, {"*.json", "x.json", true}, {"*.json", ".json", true},
		{"*a*b*", "xaybz", true}, {"*a*b*", "xbya", false}, {"", "", true}, {"", "x", false}, {"a", "a", true}, {"a*b*c", "abxbc", true},
	} {
		if got := glob(c.pattern, c.s); got != c.want {
			t.Errorf("%q of %q: %v", c.pattern, c.s, got)
		}
	}
}

func TestMapping(t *testing.T) {
	up := Origin{Scheme: "http", Host: "10.0.0.5:9000", Path: "/base"}
	caller := Origin{Scheme: "https", Host: "api.example"}
	out := Mapping{From: up, To: caller}
	back := out.Reverse()
	for ref, want := range map[string]string{
		"http://10.0.0.5:9000/base/x?y#z":  "https://api.example/x?y#z",
		"http://10.0.0.5:9000/base":        "https://api.example/",
		"http://10.0.0.5:9000/base?q":      "https://api.example/?q",
		"http://10.0.0.5:9000/basement":    "http://10.0.0.5:9000/basement",
		"http://10.0.0.5:9000/other":       "http://10.0.0.5:9000/other",
		"https://10.0.0.5:9000/base/x":     "https://10.0.0.5:9000/base/x",
		"http://10.0.0.5/base/x":           "http://10.0.0.5/base/x",
		"http://elsewhere/base/x":          "http://elsewhere/base/x",
		"//10.0.0.5:9000/base/x":           "//api.example/x",
		"/base/x%2F":                       "/x%2F",
		"/base":                            "/",
		"/other":                           "/other",
		"x/y":                              "x/y",
		"?q":                               "?q",
		"":                                 "",
		"mailto:a@b":                       "mailto:a@b",
		"/base/x?u=http://10.0.0.5:9000/b": "/x?u=http://10.0.0.5:9000/b",
	} {
		if got := out.URL(ref); got != want {
			t.Errorf("%q: %q, want %q", ref, got, want)
		}
	}
	for ref, want := range map[string]string{
		"https://api.example/x":     "http://10.0.0.5:9000/base/x",
		"https://API.example:443/x": "http://10.0.0.5:9000/base/x",
		"https://api.example":       "http://10.0.0.5:9000/base",
		"/x":                        "/base/x",
		"https://other/x":           "https://other/x",
	} {
		if got := back.URL(ref); got != want {
			t.Errorf("back: %q: %q, want %q", ref, got, want)
		}
	}
}

func TestCookies(t *testing.T) {
	up := Origin{Scheme: "http", Host: "shop.internal:9000", Path: "/base"}
	for _, c := range []struct{ host, path, in, want string }{
		{"api.example", "", "a=b", "a=b"},
		{"api.example", "", "a=b; Path=/base/x; HttpOnly", "a=b; Path=/x; HttpOnly"},
		{"api.example", "", "a=b;path=/base", "a=b;path=/"},
		{"api.example", "", "a=b; Path=/", "a=b; Path=/"},
		{"api.example", "/api", "a=b; Path=/", "a=b; Path=/api"},
		{"api.example", "/api", "a=b; Path=/base/x/", "a=b; Path=/api/x/"},
		{"api.example", "", "a=b; Path=/other", "a=b; Path=/other"},
		{"api.example", "", "a=b; Path=x", "a=b; Path=x"},
		{"api.example:8", "", "a=b; Domain=shop.internal; Secure", "a=b; Domain=api.example; Secure"},
		{"api.example", "", "a=b; domain=.INTERNAL", "a=b; domain=api.example"},
		{"localhost:8080", "", "a=b; Domain=shop.internal; Secure", "a=b; Secure"},
		{"127.0.0.1:8080", "", "a=b; Domain=shop.internal", "a=b"},
		{"x.shop.internal", "", "a=b; Domain=internal", "a=b; Domain=internal"},
		{"api.example", "", "a=b; Domain=elsewhere", "a=b; Domain=elsewhere"},
		{"api.example", "", "a=/base; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "a=/base; Expires=Wed, 21 Oct 2026 07:28:00 GMT"},
	} {
		m := Mapping{From: up, To: Origin{Scheme: "http", Host: c.host, Path: c.path}}
		if got := m.Cookie(c.in); got != c.want {
			t.Errorf("%q at %s%s: %q, want %q", c.in, c.host, c.path, got, c.want)
		}
	}
}

// FuzzPatterns: however a server resolves an allowed path, it stays below the pattern.
func FuzzPatterns(f *testing.F) {
	p, err := ParsePattern("/public/**")
	if err != nil {
		f.Fatal(err)
	}
	patterns := Patterns{p}
	for _, s := range []string{"/public/x", "/public/../x", "/public/%2e%2e/x", `/public\..\x`, "/public/..;a/x", "/public/%252e", "/public/%c0%ae", "//public", "/public/a%2fb", "/%70ublic", "*", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		allowed, err := patterns.Allow(raw)
		if !allowed {
			return
		}
		if err != nil {
			t.Fatalf("%q: allowed with %v", raw, err)
		}
		plain, _ := decode(raw)
		for _, view := range []string{raw, plain, strings.ReplaceAll(plain, `\`, "/")} {
			var segments []string
			for segment := range strings.SplitSeq(view, "/") {
				name, _, _ := strings.Cut(segment, ";")
				segments = append(segments, name)
			}
			decoded, _ := decode(strings.Join(segments, "/"))
			if view != raw {
				decoded = strings.Join(segments, "/")
			}
			if clean := path.Clean(decoded); clean != "/public" && !strings.HasPrefix(clean, "/public/") {
				t.Fatalf("%q is allowed and can be read as %q", raw, clean)
			}
		}
	})
}

// FuzzStrip: stripping takes bytes off the front and changes none behind.
func FuzzStrip(f *testing.F) {
	p, err := ParsePrefix("/a/b")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"/a/b/c?d", "/%61/b", "/a/b", "/a/b?", "//", "*", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		rest, ok := p.Strip(raw)
		if !ok {
			if rest != raw {
				t.Fatalf("%q became %q", raw, rest)
			}
			return
		}
		if !strings.HasPrefix(rest, "/") || !strings.HasSuffix(raw, rest) && !strings.HasSuffix(raw, rest[1:]) {
			t.Fatalf("%q became %q", raw, rest)
		}
	})
}

// FuzzParse: what is taken is origin-form, and taken again as it is.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"/a?b", "*", "http://h/x", "https://h", "http://u@h/", "HTTP://h?q", "//x", ""} {
		f.Add("GET", s)
		f.Add("OPTIONS", s)
	}
	f.Fuzz(func(t *testing.T, method, uri string) {
		got, err := Parse(method, uri)
		if err != nil {
			return
		}
		again, err := Parse(method, got.Raw)
		if got.Raw != "*" && (got.Raw == "" || got.Raw[0] != '/') || err != nil || again.Raw != got.Raw {
			t.Fatalf("%q became %q, then %q, %v", uri, got.Raw, again.Raw, err)
		}
	})
}
