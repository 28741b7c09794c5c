package dataapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// wants checks status and, for problems, form and code.
func (g *rig) wants(what string, a answer, status int, code string) {
	g.t.Helper()
	if a.StatusCode != status {
		g.t.Errorf("%s: %d %.200q, want %d", what, a.StatusCode, a.body, status)
		return
	}
	if code == "" {
		return
	}
	var p struct{ Type, Code string }
	if err := json.Unmarshal(a.body, &p); err != nil && a.Request.Method != "HEAD" {
		g.t.Errorf("%s: %v in %s", what, err, a.body)
	}
	if a.Header.Get("Content-Type") != "application/problem+json" || a.Request.Method != "HEAD" && (p.Code != code || p.Type != "/.hoft/problems/"+code) {
		g.t.Errorf("%s: %s %s, want code %s", what, a.Header.Get("Content-Type"), a.body, code)
	}
}

func TestWritesOverDataByOffset(t *testing.T) {
	g := newRig(t, nil)
	data := noise(1, 4<<20)
	id := g.put(data)
	edit := func(path string, more []byte, want []byte) string {
		t.Helper()
		a := g.do("POST", path, bytes.NewReader(more))
		g.wants(path, a, 200, "")
		got := g.do("GET", "/data/"+a.Header.Get(mapField), nil)
		if !bytes.Equal(got.body, want) {
			t.Errorf("%s: %d bytes, want %d", path, len(got.body), len(want))
		}
		return a.Header.Get(mapField)
	}
	over := bytes.Clone(data)
	copy(over[1000000:], "over")
	edit("/data/"+id+"?offset=1000000", []byte("over"), over)
	edit("/data/"+id, []byte("behind"), append(bytes.Clone(data), "behind"...))
	edit("/data/"+id+"?offset=4194310", []byte("gap"), append(append(bytes.Clone(data), make([]byte, 6)...), "gap"...))
	edit("/data/"+id+"?truncate=1234567", nil, data[:1234567])
	edit("/data/"+id+"?truncate=0", nil, nil)
	edit("/data/"+id+"?offset=0", nil, data)
	short := g.put([]byte("abc"))
	edit("/data/"+short+"?offset=1", []byte("X"), []byte("aXc"))
	edit("/data/"+short, noise(2, 5000), append([]byte("abc"), noise(2, 5000)...))
	if again := g.put(data); again != id {
		t.Error("the same data has another map")
	}
	if appended := edit("/data/"+id, []byte("behind"), append(bytes.Clone(data), "behind"...)); appended != g.put(append(bytes.Clone(data), "behind"...)) {
		t.Error("appended data has another map than the same bytes at once")
	}
}

func TestReadsParts(t *testing.T) {
	g := newRig(t, nil)
	data := noise(3, 3<<20)
	id := g.put(data)
	for query, want := range map[string][]byte{
		"":                   data,
		"?offset=0":          data,
		"?offset=2000000":    data[2000000:],
		"?length=10":         data[:10],
		"?offset=5&length=7": data[5:12],
		"?offset=3145727":    data[3145727:],
		"?offset=3145728":    nil,
		"?offset=3145720&length=9223372036854775807": data[3145720:],
		"?length=0": nil,
	} {
		a := g.do("GET", "/data/"+id+query, nil)
		g.wants(query, a, 200, "")
		if !bytes.Equal(a.body, want) || a.ContentLength != int64(len(want)) {
			t.Errorf("%s: %d bytes, want %d", query, len(a.body), len(want))
		}
	}
	head := g.do("HEAD", "/data/"+id, nil)
	if head.ContentLength != int64(len(data)) || head.Header.Get("ETag") == "" || head.Header.Get("Accept-Ranges") != "bytes" ||
		head.Header.Get("Cache-Control") != "private, max-age=31536000, immutable" || !strings.Contains(head.Header.Get("Link"), `rel="service-desc"`) {
		t.Errorf("HEAD: %v", head.Header)
	}
}

func TestRanges(t *testing.T) {
	g := newRig(t, nil)
	data := noise(3, 3<<20)
	id := g.put(data)
	etag := g.do("HEAD", "/data/"+id, nil).Header.Get("ETag")
	for _, c := range []struct {
		field, extra string
		status       int
		want         []byte
		content      string
	}{
		{"bytes=10-19", "", 206, data[10:20], "bytes 10-19/3145728"},
		{"bytes=-5", "", 206, data[len(data)-5:], "bytes 3145723-3145727/3145728"},
		{"bytes=3145700-", "", 206, data[3145700:], "bytes 3145700-3145727/3145728"},
		{"bytes=1000000-1999999", "", 206, data[1000000:2000000], "bytes 1000000-1999999/3145728"},
		{"bytes=3145728-", "", 416, nil, "bytes */3145728"},
		{"bytes=5-4", "", 416, nil, "bytes */3145728"},
		{"pages=1-2", "", 200, data, ""}, // RFC 9110 section 14.2: to be ignored
		{"Bytes=0-0", "", 206, data[:1], "bytes 0-0/3145728"},
		{"bytes=0-0", "If-Range: " + etag, 206, data[:1], "bytes 0-0/3145728"},
		{"bytes=0-0", `If-Range: "other"`, 200, data, ""},
		{"", "If-None-Match: " + etag, 304, nil, ""},
		{"", `If-Match: "other"`, 412, nil, ""},
		{"bytes=0-9", "If-Match: " + etag, 206, data[:10], "bytes 0-9/3145728"},
	} {
		var fields []string
		if c.field != "" {
			fields = append(fields, "Range: "+c.field)
		}
		if c.extra != "" {
			fields = append(fields, c.extra)
		}
		a := g.do("GET", "/data/"+id, nil, fields...)
		code := map[int]string{416: "range-outside", 412: "precondition-failed"}[c.status]
		g.wants(c.field+" "+c.extra, a, c.status, code)
		if code == "" && !bytes.Equal(a.body, c.want) || a.Header.Get("Content-Range") != c.content {
			t.Errorf("%s %s: %d bytes, %q", c.field, c.extra, len(a.body), a.Header.Get("Content-Range"))
		}
	}
	a := g.do("GET", "/data/"+id, nil, "Range: bytes=0-9, 2000000-2500000, -3")
	g.wants("several", a, 206, "")
	_, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(bytes.NewReader(a.body), params["boundary"])
	for _, want := range [][]byte{data[:10], data[2000000:2500001], data[len(data)-3:]} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(p); err != nil || !bytes.Equal(got, want) {
			t.Errorf("part %s: %d bytes, %v", p.Header.Get("Content-Range"), len(got), err)
		}
	}
	for _, query := range []string{"?offset=1", "?length=1", "?offset=1&length=1"} {
		g.wants("Range with "+query, g.do("GET", "/data/"+id+query, nil, "Range: bytes=0-1"), 400, "bad-request")
	}
}

// Only the chunks of a range are opened.
func TestRangesOpenFewChunks(t *testing.T) {
	for field, want := range map[string][]slice{
		"bytes=0-9":             {{0, 10}},
		"bytes=-7":              {{93, 7}},
		"bytes=-700":            {{0, 100}},
		"bytes=90-":             {{90, 10}},
		"bytes= 1-2 ,, 5-5 ":    {{1, 2}, {5, 1}},
		"bytes=50-20":           nil,
		"bytes=a-b":             nil,
		"bytes=0-99,0-99":       nil,
		"bytes=100-":            nil,
		"bytes=5-9999999999999": {{5, 95}},
		"":                      nil,
	} {
		if got := parseRanges(field, 100); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", field, got, want)
		}
	}
}

func TestWaysToNameAMap(t *testing.T) {
	g := newRig(t, nil)
	data := noise(5, 100_000)
	id := g.put(data)
	text, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	other := g.put([]byte("another"))
	std := base64.StdEncoding.EncodeToString(text)
	spaced := base64.URLEncoding.EncodeToString([]byte(" " + strings.ReplaceAll(string(text), ",", ", ") + "\n"))
	loose := base64.StdEncoding.EncodeToString([]byte(strings.NewReplacer("-", "+", "_", `\/`).Replace(string(text))))
	for name, c := range map[string]struct {
		method, path, field string
		status              int
		code                string
	}{
		"base64url":              {"GET", "/data/" + id, "", 200, ""},
		"base64url, padded":      {"GET", "/data/" + base64.URLEncoding.EncodeToString(text), "", 200, ""},
		"base64":                 {"GET", "/data/" + url.PathEscape(std), "", 200, ""},
		"base64, without pad":    {"GET", "/data/" + url.PathEscape(strings.TrimRight(std, "=")), "", 200, ""},
		"base64 in the field":    {"GET", "/data", mapField + ": " + std, 200, ""},
		"hoft's own field":       {"GET", "/data", mapField2 + ": " + id, 200, ""},
		"other spacing":          {"GET", "/data/" + spaced, "", 200, ""},
		"base64 inside of it":    {"GET", "/data", mapField + ": " + loose, 200, ""},
		"twice the same":         {"GET", "/data/" + id, mapField + ": " + std, 200, ""},
		"two maps":               {"GET", "/data/" + id, mapField + ": " + other, 400, "bad-request"},
		"two maps to write":      {"POST", "/data/" + id, mapField + ": " + other, 400, "bad-request"},
		"none":                   {"GET", "/data", "", 400, "bad-request"},
		"none to delete":         {"DELETE", "/data", "", 400, "bad-request"},
		"no base64":              {"GET", "/data/$$$$", "", 400, "data-map-wrong"},
		"no JSON":                {"GET", "/data/aGVsbG8", "", 400, "data-map-wrong"},
		"no map":                 {"GET", "/data/" + base64.RawURLEncoding.EncodeToString([]byte(`{"a":1}`)), "", 400, "data-map-wrong"},
		"an endless list":        {"GET", "/data/" + base64.RawURLEncoding.EncodeToString(text[:len(text)-1]), "", 400, "data-map-wrong"},
		"offset without a map":   {"POST", "/data?offset=1", "", 400, "bad-request"},
		"truncate without a map": {"POST", "/data?truncate=1", "", 400, "bad-request"},
		"negative":               {"GET", "/data/" + id + "?offset=-1", "", 400, "bad-request"},
		"negative length":        {"GET", "/data/" + id + "?length=-1", "", 400, "bad-request"},
		"no number":              {"GET", "/data/" + id + "?offset=1e3", "", 400, "bad-request"},
		"overflow":               {"GET", "/data/" + id + "?offset=9223372036854775808", "", 400, "bad-request"},
		"overflowing to write":   {"POST", "/data/" + id + "?offset=99999999999999999999", "", 400, "bad-request"},
		"beyond all data":        {"POST", "/data/" + id + "?offset=9223372036854775807", "", 400, "bad-request"},
		"plus sign":              {"GET", "/data/" + id + "?offset=+1", "", 400, "bad-request"},
		"twice":                  {"GET", "/data/" + id + "?offset=1&offset=1", "", 400, "bad-request"},
		"unknown parameter":      {"GET", "/data/" + id + "?ofset=1", "", 400, "bad-request"},
		"malformed query":        {"GET", "/data/" + id + "?offset=%zz", "", 400, "bad-request"},
		"offset behind the end":  {"GET", "/data/" + id + "?offset=100001", "", 416, "range-outside"},
		"truncate beyond":        {"POST", "/data/" + id + "?truncate=100001", "", 400, "bad-request"},
		"truncate and offset":    {"POST", "/data/" + id + "?truncate=1&offset=1", "", 400, "bad-request"},
		"bad ttl":                {"POST", "/data?ttl=soon", "", 400, "bad-request"},
		"negative ttl":           {"POST", "/data?ttl=-1s", "", 400, "bad-request"},
		"a head too long":        {"GET", "/data", "X: " + strings.Repeat("x", 64<<10), 431, "fields-too-large"},
		"a map too long":         {"GET", "/data", mapField + ": " + strings.Repeat("x", 65<<10), 431, "fields-too-large"},
		"unknown method":         {"PUT", "/data/" + id, "", 405, "method-not-allowed"},
		"unknown path":           {"GET", "/other", "", 404, "not-found"},
		"another host":           {"GET", "/data/" + id, "Host: rebound.example", 421, "misdirected"},
		"another origin":         {"POST", "/data", "Sec-Fetch-Site: cross-site", 403, "cross-origin"},
	} {
		var fields []string
		if c.field != "" {
			fields = append(fields, c.field)
		}
		a := g.do(c.method, c.path, nil, fields...)
		g.wants(name, a, c.status, c.code)
		if c.status == 200 && !bytes.Equal(a.body, data) {
			t.Errorf("%s: %d bytes", name, len(a.body))
		}
	}
	g.wants("truncate with a body", g.do("POST", "/data/"+id+"?truncate=5", strings.NewReader("x")), 400, "bad-request")
	for kind, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"application/json":       {string(text), 200, ""},
		"text/plain":             {std + "\n", 200, ""},
		"application/json; v=1":  {"{", 400, "data-map-wrong"},
		"application/x-www-form": {string(text), 415, "media-type"},
		"":                       {string(text), 415, "media-type"},
	} {
		a := g.do("QUERY", "/data?offset=10&length=90", strings.NewReader(c.body), "Content-Type: "+kind)
		g.wants("QUERY with "+kind, a, c.status, c.code)
		if c.status == 200 && !bytes.Equal(a.body, data[10:100]) {
			t.Errorf("QUERY with %s: %d bytes", kind, len(a.body))
		}
	}
	a := g.do("QUERY", "/data", bytes.NewReader(text), "Content-Type: application/json", "Range: bytes=5-9")
	if g.wants("QUERY with a range", a, 206, ""); !bytes.Equal(a.body, data[5:10]) {
		t.Errorf("QUERY with a range: %q", a.body)
	}
}

func TestUnknownData(t *testing.T) {
	g, other := newRig(t, nil), newRig(t, nil)
	id := other.put(noise(6, 5000))
	for _, method := range []string{"GET", "HEAD"} {
		g.wants(method, g.do(method, "/data/"+id, nil), 404, "data-missing")
	}
	g.wants("append", g.do("POST", "/data/"+id, strings.NewReader("x")), 404, "data-missing")
	g.wants("delete", g.do("DELETE", "/data/"+id, nil), 404, "data-not-kept")
}

func TestDigests(t *testing.T) {
	g := newRig(t, nil)
	data := noise(7, 2<<20)
	s256, s512 := sha256.Sum256(data), sha512.Sum512(data)
	want256 := "sha-256=:" + base64.StdEncoding.EncodeToString(s256[:]) + ":"
	want512 := "sha-512=:" + base64.StdEncoding.EncodeToString(s512[:]) + ":"
	a := g.do("POST", "/data", bytes.NewReader(data), "Content-Digest: "+want256, "Repr-Digest: "+want512, "Want-Repr-Digest: sha-256=3")
	g.wants("right digests", a, 200, "")
	if a.Header.Get("Repr-Digest") != want256 {
		t.Errorf("POST: %q", a.Header.Get("Repr-Digest"))
	}
	id := a.Header.Get(mapField)
	for want, got := range map[string]string{"sha-256=1": want256, "sha-256=1, sha-512=10": want512, "sha-512=0, sha-256=2": want256, "md5=9": "", "sha-256=0": "", "sha-256=x": ""} {
		for _, method := range []string{"GET", "HEAD"} {
			a := g.do(method, "/data/"+id, nil, "Want-Repr-Digest: "+want, "Range: bytes=1-2")
			if a.Header.Get("Repr-Digest") != got || method == "GET" && !bytes.Equal(a.body, data[1:3]) {
				t.Errorf("%s %s: %q", method, want, a.Header.Get("Repr-Digest"))
			}
		}
	}
	for _, field := range []string{"Content-Digest", "Repr-Digest"} {
		g.wants(field, g.do("POST", "/data", strings.NewReader("changed"), field+": "+want256), 400, "digest-mismatch")
	}
}

// A body that breaks off, or is too long, leaves nothing.
func TestBrokenBodiesLeaveNothing(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Config.MaxBody = 1 << 20 })
	data := noise(8, 1<<20)
	g.put(data)
	g.wants("too long", g.do("POST", "/data", bytes.NewReader(noise(8, 1<<20+1))), 413, "body-too-large")
	g.wants("too long without a length", g.do("POST", "/data", io.MultiReader(bytes.NewReader(noise(8, 1<<20+1)))), 413, "body-too-large")
	req, err := http.NewRequest("POST", g.url+"/data", io.MultiReader(bytes.NewReader(noise(9, 900_000)), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Error("a broken request was answered")
	}
	st, err := g.s.o.Book.DataStats(context.Background())
	if err != nil || st.Pins != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// Random writes, appends, truncates and ranged reads do what they do to a slice of bytes.
func TestAgainstBytes(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Config.MaxBytes = 1 << 40 }) // of all runs together
	rapid.Check(t, func(t *rapid.T) {
		length := func(what string) int {
			return rapid.SampledFrom([]int{0, 1, 100, 2999, 3001, 20_000, 300_000, 700_000}).Draw(t, what)
		}
		fresh := func(n int) []byte { return noise(byte(rapid.IntRange(1, 5).Draw(t, "seed")), n) }
		ask := func(method, path string, body []byte, fields ...string) answer {
			return g.do(method, path, bytes.NewReader(body), fields...)
		}
		data := fresh(length("first"))
		a := ask("POST", "/data", data)
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			id := a.Header.Get(mapField)
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				more := fresh(length("more"))
				a, data = ask("POST", "/data/"+id, more), append(bytes.Clone(data), more...)
			case 1:
				n := rapid.IntRange(0, len(data)).Draw(t, "size")
				a, data = ask("POST", fmt.Sprintf("/data/%s?truncate=%d", id, n), nil), bytes.Clone(data[:n])
			case 2:
				off, more := rapid.IntRange(0, len(data)+100_000).Draw(t, "off"), fresh(length("more"))
				a = ask("POST", fmt.Sprintf("/data/%s?offset=%d", id, off), more)
				if len(more) > 0 {
					data = append(bytes.Clone(data), make([]byte, max(0, off+len(more)-len(data)))...)
					copy(data[off:], more)
				}
			default:
				if len(data) == 0 {
					continue
				}
				from := rapid.IntRange(0, len(data)-1).Draw(t, "from")
				to := rapid.IntRange(from, len(data)-1).Draw(t, "to")
				got := ask("GET", "/data/"+id, nil, fmt.Sprintf("Range: bytes=%d-%d", from, to))
				if got.StatusCode != 206 || !bytes.Equal(got.body, data[from:to+1]) {
					t.Fatalf("range %d-%d of %d: %d, %d bytes", from, to, len(data), got.StatusCode, len(got.body))
				}
				got = ask("GET", fmt.Sprintf("/data/%s?offset=%d&length=%d", id, from, to-from), nil)
				if got.StatusCode != 200 || !bytes.Equal(got.body, data[from:to]) {
					t.Fatalf("from %d, %d bytes of %d: %d", from, to-from, len(data), got.StatusCode)
				}
				continue
			}
			if a.StatusCode != 200 {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			m, p := decodeMap(a.Header.Get(mapField))
			if p != nil || m.Size() != int64(len(data)) {
				t.Fatalf("%v, %d bytes, want %d", p, m.Size(), len(data))
			}
			if got := ask("GET", "/data/"+a.Header.Get(mapField), nil); !bytes.Equal(got.body, data) {
				t.Fatalf("%d: %d bytes of %d", got.StatusCode, len(got.body), len(data))
			}
		}
	})
}

// Maps are capabilities: neither they nor anything in them is ever logged.
func TestNothingSecretIsLogged(t *testing.T) {
	g := newRig(t, nil)
	data := append([]byte("canary-in-the-data "), noise(1, 50_000)...)
	id := g.put(data)
	g.do("GET", "/data/"+id+"?offset=5", nil)
	g.do("GET", "/data/"+id+"//x", nil)
	g.do("PUT", "/data/"+id, nil)
	g.do("POST", "/data/"+id+"?offset=x", nil, mapField+": "+id)
	g.do("DELETE", "/data/"+id+"x", nil)
	g.do("DELETE", "/data/"+id, nil)
	m, p := decodeMap(id)
	if p != nil {
		t.Fatal(p)
	}
	secrets := []string{id, id[20:60], "canary", base64.RawURLEncoding.EncodeToString(m.Entries[0].Phs[:]), fmt.Sprintf("%x", m.Entries[0].Phs[:])}
	for _, secret := range secrets {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(g.log.String(), "data request done") {
		t.Error("nothing is logged at all")
	}
	for _, path := range []string{"/data/" + id[:len(id)-3], "/data/" + id + "?offset=zzz", "/other/" + id} {
		if a := g.do("GET", path, nil); bytes.Contains(a.body, []byte(id[20:60])) {
			t.Errorf("%s is quoted: %s", path[:10], a.body)
		}
	}
}

func TestMapsNest(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Config.MaxBytes = 1 << 30 })
	a := g.do("POST", "/data/"+g.put([]byte("x"))+"?offset=2199023255551", strings.NewReader("y"))
	g.wants("a tebibyte of zeros", a, 507, "data-quota")
	a = g.do("POST", "/data/"+g.put([]byte("x"))+"?offset=100000000", strings.NewReader("y"))
	g.wants("100 MB of zeros", a, 200, "")
	id := a.Header.Get(mapField)
	m, p := decodeMap(id)
	if p != nil || m.Level() == 0 || len(id) > 6<<10 || m.Size() != 100000001 {
		t.Errorf("%v, %v, %d", p, m, len(id))
	}
	if got := g.do("GET", "/data/"+id, nil, "Range: bytes=-3"); string(got.body) != "\x00\x00y" {
		t.Errorf("%q", got.body)
	}
}
