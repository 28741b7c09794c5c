package dataapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
)

// get reads data by its map.
func (c *call) get() *exchange.Problem {
	m, p := c.needMap()
	if p != nil {
		return p
	}
	return c.read(m)
}

// maxQuery bounds the body of QUERY in bytes: more than any map's outermost list that a site gives out.
const maxQuery = 1 << 20

// query is get with the map as the body: its JSON, or its identifier (RFC 10008).
func (c *call) query() *exchange.Problem {
	kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if kind != "application/json" && kind != "text/plain" {
		return exchange.Problemf(exchange.CodeMediaType, "send the map as application/json, or its identifier as text/plain")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxQuery))
	if err != nil {
		return exchange.Problemf(exchange.CodeBadRequest, "the body with the map broke off, or has more than %d bytes", maxQuery)
	}
	var m chunk.Map
	var p *exchange.Problem
	if kind == "application/json" {
		m, p = parseMap(body)
	} else {
		m, p = decodeMap(string(body))
	}
	if p != nil {
		return p
	}
	return c.read(&m)
}

// slice is the part of the data that a request is about.
type slice struct{ off, len int64 }

// part reads offset and length.
func (c *call) part(m *chunk.Map) (slice, *exchange.Problem) {
	size := m.Size()
	off, p := c.params.number("offset", 0)
	if p != nil {
		return slice{}, p
	}
	n, p := c.params.number("length", size)
	if p != nil {
		return slice{}, p
	}
	if c.r.Header.Get("Range") != "" && (c.params.has("offset") || c.params.has("length")) {
		return slice{}, exchange.Problemf(exchange.CodeBadRequest, "Range and offset or length exclude each other")
	}
	if off > size {
		return slice{}, exchange.Problemf(exchange.CodeRange, "offset=%d lies behind the end: the data has %d bytes", off, size)
	}
	return slice{off, min(n, size-off)}, nil
}

// read answers with data, or ranges of it. Before the head of the answer is written every chunk that it needs is here.
func (c *call) read(m *chunk.Map) *exchange.Problem {
	c.r = httpfields.BytesRange(c.r)
	all, p := c.part(m)
	if p != nil {
		return p
	}
	etag, p := etagOf(m, all)
	if p != nil {
		return p
	}
	h := c.w.Header()
	h.Set("ETag", etag)
	h.Set("Vary", mapField+", "+mapField2)
	alg := wantedDigest(c.r.Header)
	k := c.s.keeper(c.who)
	defer k.release()
	if p := c.ready(m, all, c.needed(all, etag, alg != ""), k); p != nil {
		return p
	}
	if alg != "" && all.len == m.Size() {
		sum, err := c.s.digest(c.r.Context(), m, alg)
		if err != nil {
			return storeProblem(err)
		}
		h.Set("Repr-Digest", sum)
	}
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	src := &content{ctx: c.r.Context(), m: m, src: c.s.o.Chunks, base: all.off, size: all.len, ranges: parseRanges(c.r.Header.Get("Range"), all.len)}
	defer src.finish()
	r := c.r
	if r.Method == "QUERY" { // its conditions and ranges are those of GET (RFC 10008)
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	out := &pump{Holding: httpproblem.Holding{ResponseWriter: c.w}, src: src}
	http.ServeContent(out, r, "", time.Time{}, src)
	switch {
	case out.Refused == http.StatusRequestedRangeNotSatisfiable:
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", all.len))
		return exchange.Problemf(exchange.CodeRange, "the data has %d bytes", all.len)
	case out.Refused != 0:
		return exchange.Problemf(exchange.CodePrecondition, "If-Match or If-None-Match is not fulfilled")
	}
	if err := src.finish(); err != nil && c.r.Context().Err() == nil {
		return storeProblem(err)
	}
	return nil
}

// ready sees to it that parts of the data are here, and stay until the keeper is released.
func (c *call) ready(m *chunk.Map, all slice, parts []slice, k *keeper) *exchange.Problem {
	kept, err := c.s.kept(c.r.Context(), m)
	if err != nil {
		return storeProblem(err)
	}
	if kept && c.s.glance(c.r.Context(), m, all, parts) {
		return nil
	}
	if c.r.Method == http.MethodHead && c.s.o.Mover != nil {
		return nil // GET would fetch it
	}
	for _, x := range parts {
		if p := c.bring(m, all.off+x.off, x.len, k); p != nil {
			return p
		}
	}
	return nil
}

// glances bounds how many chunks of data that is kept, and so should be here, are looked up before it is sent.
const glances = 256

// glance looks up the first chunks of parts of kept data: a disk may have lost some. false: look at all of them.
func (s *Server) glance(ctx context.Context, m *chunk.Map, all slice, parts []slice) bool {
	n, lost := 0, false
	enough := errors.New("enough")
	for _, x := range parts {
		_, err := chunk.WalkRange(ctx, *m, s.o.Chunks, all.off+x.off, x.len, func(e chunk.Entry, name chunk.Name) error {
			if lost = !s.o.Chunks.Holds(chunk.Record{Name: name, Hsh: e.Hsh}); lost || n == glances {
				return enough
			}
			n++
			return nil
		})
		if lost || err != nil && !errors.Is(err, enough) {
			return false
		}
	}
	return true
}

// etagOf gives the strong tag of a part: the map, and so the bytes, never change.
func etagOf(m *chunk.Map, s slice) (string, *exchange.Problem) {
	root, err := rootOf(m)
	if err != nil {
		return "", exchange.Problemf(exchange.CodeDataMap, "%v", err)
	}
	tag := base64.RawURLEncoding.EncodeToString(root[:16])
	if s.off != 0 || s.len != m.Size() {
		tag += fmt.Sprintf(".%d.%d", s.off, s.len)
	}
	return `"` + tag + `"`, nil
}

// needed gives the parts that the answer holds, at worst more: conditions are not looked at here, but If-Range.
func (c *call) needed(all slice, etag string, digest bool) []slice {
	field := c.r.Header.Get("Range")
	if x := c.r.Header.Get("If-Range"); x != "" && x != etag {
		field = ""
	}
	ranges := parseRanges(field, all.len)
	if field == "" || ranges == nil || digest {
		return []slice{{0, all.len}}
	}
	return ranges
}

// bring makes sure that the chunks of a range are here, and stay until the keeper is released: those that are not here
// are fetched.
func (c *call) bring(m *chunk.Map, off, n int64, k *keeper) *exchange.Problem {
	missing, err := c.s.missing(c.r.Context(), m, off, n, k)
	if err != nil {
		return storeProblem(err)
	}
	if !missing {
		return nil
	}
	if c.s.o.Mover == nil {
		return exchange.Problemf(exchange.CodeDataMissing, "some of its chunks are not here")
	}
	_ = c.sent.ctl.SetWriteDeadline(time.Time{}) // waiting is no stall; the next write sets another
	return c.fetch(m, off, n)
}

// here is bring without fetching.
func (c *call) here(m *chunk.Map, off, n int64, k *keeper) *exchange.Problem {
	missing, err := c.s.missing(c.r.Context(), m, off, n, k)
	if err == nil && missing {
		err = chunk.ErrMissing
	}
	if err != nil {
		return storeProblem(err)
	}
	return nil
}
