package dataapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

const moreType = "Content-Type: " + partialUpload

// at gives the fields of a PATCH.
func at(off int, complete string) []string {
	return []string{moreType, fmt.Sprintf("%s: %d", uploadOffset, off), uploadComplete + ": " + complete}
}

func TestUploadInParts(t *testing.T) {
	g := newRig(t, nil)
	data := noise(1, 3<<20)
	a := g.do("POST", "/data", bytes.NewReader(data[:1000]), uploadComplete+": ?0", fmt.Sprintf("%s: %d", uploadLength, len(data)))
	g.wants("begin", a, 201, "")
	where := a.Header.Get("Location")
	if !strings.HasPrefix(where, uploadsPath) || !strings.Contains(a.Header.Get(uploadLimit), "max-age=86400") || a.Header.Get(uploadComplete) != "?0" {
		t.Errorf("%v", a.Header)
	}
	state := func(what string, off int, complete string) answer {
		t.Helper()
		h := g.do("HEAD", where, nil)
		g.wants(what, h, 204, "")
		if h.Header.Get(uploadOffset) != fmt.Sprint(off) || h.Header.Get(uploadComplete) != complete || h.Header.Get(uploadLength) != fmt.Sprint(len(data)) ||
			h.Header.Get("Cache-Control") != "no-store" || !strings.Contains(h.Header.Get(uploadLimit), "max-size=") {
			t.Errorf("%s: %v", what, h.Header)
		}
		return h
	}
	state("begun", 1000, "?0")
	g.wants("another offset", g.do("PATCH", where, strings.NewReader("x"), at(999, "?0")...), 409, "upload-offset")
	if b := g.do("PATCH", where, strings.NewReader("x"), at(7, "?0")...); !bytes.Contains(b.body, []byte(`"expected-offset":1000,"provided-offset":7`)) || b.Header.Get(uploadOffset) != "1000" {
		t.Errorf("%s", b.body)
	}
	g.wants("more", g.do("PATCH", where, bytes.NewReader(data[1000:2_000_000]), at(1000, "?0")...), 204, "")
	state("more", 2_000_000, "?0")
	g.wants("no type", g.do("PATCH", where, nil, at(2_000_000, "?0")[1:]...), 415, "media-type")
	g.wants("no offset", g.do("PATCH", where, nil, moreType, uploadComplete+": ?0"), 400, "bad-request")
	g.wants("no completeness", g.do("PATCH", where, nil, moreType, uploadOffset+": 2000000"), 400, "bad-request")
	g.wants("another length", g.do("PATCH", where, nil, append(at(2_000_000, "?0"), uploadLength+": 5")...), 400, "upload-length")
	g.wants("the end, too early", g.do("PATCH", where, strings.NewReader("x"), at(2_000_000, "?1")...), 400, "upload-length")
	state("after refusals", 2_000_000, "?0")
	a = g.do("PATCH", where, bytes.NewReader(data[2_000_000:]), at(2_000_000, "?1")...)
	g.wants("the end", a, 200, "")
	id := g.put(data)
	if a.Header.Get(uploadComplete) != "?1" || a.Header.Get(mapField) != id || !strings.HasPrefix(string(a.body), "[") {
		t.Errorf("not the answer that a plain POST gets: %v", a.Header)
	}
	if h := state("complete", len(data), "?1"); h.Header.Get(mapField) != id {
		t.Error("a complete upload does not give its map")
	}
	g.wants("after the end", g.do("PATCH", where, strings.NewReader("x"), at(len(data), "?1")...), 400, "upload-complete")
	g.wants("forget", g.do("DELETE", where, nil), 204, "")
	g.wants("forgotten", g.do("HEAD", where, nil), 404, "upload-gone")
	if got := g.do("GET", "/data/"+id, nil); !bytes.Equal(got.body, data) {
		t.Error("the data went with its upload")
	}
	g.wants("no such", g.do("HEAD", uploadsPath+"AAAA", nil), 404, "upload-gone")
	o := g.do("OPTIONS", "/data", nil)
	if o.StatusCode != 204 || o.Header.Get("Accept-Patch") != partialUpload || o.Header.Get(uploadLimit) == "" || o.Header.Get("Accept-Query") == "" {
		t.Errorf("OPTIONS: %v", o.Header)
	}
}

// A plain POST with Upload-Complete: ?1 is told at once where it may go on, and ends like any other.
func TestUploadAtOnce(t *testing.T) {
	g := newRig(t, nil)
	data := noise(2, 2<<20)
	var mu sync.Mutex
	var told []http.Header
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		mu.Lock()
		defer mu.Unlock()
		if code == statusResumable {
			told = append(told, http.Header(h))
		}
		return nil
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "POST", g.url+"/data", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(uploadComplete, "?1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 1 || !strings.HasPrefix(told[0].Get("Location"), uploadsPath) || told[0].Get(uploadLimit) == "" {
		t.Errorf("104: %v", told)
	}
	if resp.StatusCode != 200 || resp.Header.Get(mapField) != g.put(data) {
		t.Errorf("%d", resp.StatusCode)
	}
	if h := g.do("HEAD", told[0].Get("Location"), nil); h.Header.Get(mapField) != resp.Header.Get(mapField) {
		t.Error("whoever missed the answer does not get the map")
	}
	if a := g.do("POST", "/data", bytes.NewReader(data), uploadComplete+": yes"); a.StatusCode != 200 || a.Header.Get(uploadComplete) != "" {
		t.Errorf("a field that is no Boolean is to be passed over: %d %v", a.StatusCode, a.Header)
	}
}

// slow gives data, and then nothing until it is closed.
type slow struct {
	io.Reader
	given, closed chan struct{}
	once          sync.Once
}

func (s *slow) Read(p []byte) (int, error) {
	if n, err := s.Reader.Read(p); err == nil {
		return n, nil
	}
	s.once.Do(func() { close(s.given) })
	<-s.closed
	return 0, io.ErrUnexpectedEOF
}

// begun sends a part of an upload that never ends, asks how far it is, which ends it, and gives that.
func (g *rig) begun(where string, data []byte) (off int) {
	g.t.Helper()
	body := &slow{Reader: bytes.NewReader(data), given: make(chan struct{}), closed: make(chan struct{})}
	req, err := http.NewRequest("PATCH", g.url+where, body)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range at(0, "?1") {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	<-body.given
	a := g.do("HEAD", where, nil)
	if _, err := fmt.Sscan(a.Header.Get(uploadOffset), &off); err != nil {
		g.t.Fatal(err)
	}
	close(body.closed) // a request that came after HEAD ends by this
	<-ended
	return off
}

// An upload that breaks off, or whose site starts anew, goes on where it was; a second request ends the first.
func TestUploadGoesOn(t *testing.T) {
	g := newRig(t, nil)
	data := noise(3, 5<<20)
	where, off := "", 0
	for range 100 { // HEAD may overtake what it is to end
		where = g.do("POST", "/data", nil, uploadComplete+": ?0").Header.Get("Location")
		if off = g.begun(where, data[:4<<20]); off > 0 {
			break
		}
	}
	if off == 0 {
		t.Fatal("nothing of a request that was ended is kept")
	}
	again, err := New(g.s.o) // a site that starts anew has the same book and chunks
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(again)
	defer srv.Close()
	g2 := &rig{t: t, s: again, url: srv.URL}
	a := g2.do("PATCH", where, bytes.NewReader(data[off:]), at(off, "?1")...)
	g.wants("go on", a, 200, "")
	if a.Header.Get(mapField) != g.put(data) {
		t.Error("not the data")
	}
}

func TestUploadRefusals(t *testing.T) {
	path := tokenFile(t, twoTokens)
	g := newRig(t, func(o *Options) { o.Config.TokensFile = path; o.Config.MaxBytes = 1 << 20 })
	g.auth = as("1")
	a := g.do("POST", "/data", nil, uploadComplete+": ?0", uploadLength+": 2000000")
	g.wants("longer than may be kept", a, 413, "body-too-large")
	if a.Header.Get(uploadLimit) == "" {
		t.Error("413 without Upload-Limit")
	}
	g.wants("lengths that differ", g.do("POST", "/data", strings.NewReader("abc"), uploadComplete+": ?1", uploadLength+": 4"), 400, "upload-length")
	where := g.do("POST", "/data", nil, uploadComplete+": ?0", uploadLength+": 10").Header.Get("Location")
	g.auth = as("2")
	g.wants("another token's", g.do("HEAD", where, nil), 404, "upload-gone")
	g.auth = as("1")
	g.wants("more than there was to be", g.do("PATCH", where, struct{ io.Reader }{strings.NewReader("0123456789+")}, at(0, "?0")...), 400, "upload-length")
	g.wants("it is over then", g.do("HEAD", where, nil), 404, "upload-gone")

	data := noise(1, 10_000)
	sum := sha256.Sum256(data)
	field := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	where = g.do("POST", "/data", bytes.NewReader(data[:5000]), uploadComplete+": ?0", "Repr-Digest: "+field, "Want-Repr-Digest: sha-256=1").Header.Get("Location")
	g.wants("a part that changed", g.do("PATCH", where, strings.NewReader("changed"), append(at(5000, "?0"), "Content-Digest: "+field)...), 400, "digest-mismatch")
	a = g.do("PATCH", where, bytes.NewReader(data[5000:]), at(5000, "?1")...)
	g.wants("the right digest of all", a, 200, "")
	if a.Header.Get("Repr-Digest") != field {
		t.Errorf("digest %q", a.Header.Get("Repr-Digest"))
	}
	where = g.do("POST", "/data", bytes.NewReader(data[:5000]), uploadComplete+": ?0", "Repr-Digest: "+field).Header.Get("Location")
	a = g.do("PATCH", where, strings.NewReader("other"), at(5000, "?1")...)
	g.wants("the wrong digest of all", a, 400, "digest-mismatch")
	if a.Header.Get(uploadComplete) != "?1" {
		t.Error("the client cannot tell that the upload itself was complete")
	}

	g2 := newRig(t, func(o *Options) { o.Config.Resumable = false })
	g2.wants("digests are checked without it too", g2.do("POST", "/data", strings.NewReader("abc"), uploadComplete+": ?1", "Repr-Digest: "+field), 400, "digest-mismatch")
	g3 := newRig(t, func(o *Options) { o.Config.MaxBody = 1000 })
	if a := g3.do("POST", "/data", bytes.NewReader(data), uploadComplete+": ?1"); a.StatusCode != 413 || !strings.Contains(a.Header.Get(uploadLimit), "max-append-size=1000") {
		t.Errorf("longer than one request may be: %d %v", a.StatusCode, a.Header)
	}
	if a := g2.do("POST", "/data", strings.NewReader("abc"), uploadComplete+": ?1"); a.StatusCode != 200 || a.Header.Get(uploadComplete) != "" {
		t.Errorf("switched off: %d %v", a.StatusCode, a.Header)
	}
}

// An upload that nobody goes on with is dropped, and what it pinned is released.
func TestUploadsExpire(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	g := newRig(t, func(o *Options) { o.Now = func() time.Time { return now } })
	where := g.do("POST", "/data", bytes.NewReader(noise(1, 1<<20)), uploadComplete+": ?0").Header.Get("Location")
	now = now.Add(23 * time.Hour)
	g.wants("more", g.do("PATCH", where, strings.NewReader("x"), at(1<<20, "?0")...), 204, "")
	now = now.Add(23 * time.Hour)
	if err := g.s.expire(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.wants("its time began anew", g.do("HEAD", where, nil), 204, "")
	now = now.Add(2 * time.Hour)
	g.wants("over", g.do("HEAD", where, nil), 404, "upload-gone")
	if err := g.s.expire(context.Background()); err != nil {
		t.Fatal(err)
	}
	st, err := g.s.o.Chunks.Stats(context.Background())
	if err != nil || st.Pinned != 0 {
		t.Errorf("%d bytes still pinned, %v", st.Pinned, err)
	}
}
