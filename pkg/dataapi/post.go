package dataapi

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// options are how all data is stored.
var options = chunk.WriterOptions{Compress: true}

// post stores the body, or writes it over the data of a map, and answers with the new map.
func (c *call) post() *exchange.Problem {
	m, p := c.wanted()
	if p != nil {
		return p
	}
	until, p := c.until(c.params)
	if p != nil {
		return p
	}
	if m == nil {
		for _, name := range []string{"offset", "truncate", "peer"} {
			if c.params.has(name) {
				return exchange.Problemf(exchange.CodeBadRequest, "%s needs a map: in the path behind /data/, or in %s", name, mapField)
			}
		}
		if c.resumable() {
			return c.beginUpload(until)
		}
	}
	if limit := int64(c.s.o.Config.MaxBody); c.r.ContentLength > limit {
		return tooLarge(limit)
	}
	body := c.body()
	var next chunk.Map
	if m == nil {
		// Whether it may be kept is known at its end: it may be kept already.
		if body.left = c.s.most; c.r.ContentLength > max(body.left, chunk.MaxInline) {
			return tooMuch(body.left)
		}
		next, p = c.store(body, until)
	} else {
		next, p = c.edit(m, body, until)
	}
	if p != nil {
		return p
	}
	return c.answerMap(&next, until)
}

// store keeps new data.
func (c *call) store(r io.Reader, until time.Time) (chunk.Map, *exchange.Problem) {
	ctx := c.r.Context()
	k := c.s.keeper(c.who)
	defer k.release()
	w := chunk.NewWriter(ctx, c.s.o.Sealer, options, k.sink(ctx))
	defer w.Abort()
	if _, err := w.ReadFrom(r); err != nil {
		return chunk.Map{}, storeProblem(err)
	}
	m, err := w.Close()
	if err != nil {
		return chunk.Map{}, storeProblem(err)
	}
	if len(m.Entries) == 0 { // the map has it
		return m, nil
	}
	return m, k.done(ctx, &m, until)
}

// edit changes data: a body goes over it from offset on, or behind it, or truncate cuts it.
func (c *call) edit(m *chunk.Map, r io.Reader, until time.Time) (next chunk.Map, p *exchange.Problem) {
	off, p := c.params.number("offset", m.Size())
	if p != nil {
		return next, p
	}
	size, p := c.params.number("truncate", -1)
	if p != nil {
		return next, p
	}
	if size >= 0 && c.params.has("offset") {
		return next, exchange.Problemf(exchange.CodeBadRequest, "offset and truncate exclude each other")
	}
	if size > m.Size() {
		return next, exchange.Problemf(exchange.CodeBadRequest, "truncate=%d is more than the %d bytes that there are; write with an offset to make it longer", size, m.Size())
	}
	if off > chunk.MaxSize {
		return next, exchange.Problemf(exchange.CodeBadRequest, "offset=%d: data may have %d bytes", off, int64(chunk.MaxSize))
	}
	if size >= 0 && !empty(r) {
		return next, exchange.Problemf(exchange.CodeBadRequest, "truncate takes no body")
	}
	ctx := c.r.Context()
	old := c.s.keeper(c.who)
	defer old.release()
	kept, p := c.hold(m, old)
	if p != nil {
		return next, p
	}
	k := c.s.keeper(c.who)
	defer k.release()
	var err error
	if size >= 0 {
		next, err = chunk.Truncate(ctx, *m, c.s.o.Chunks, c.s.o.Sealer, options, k.sink(ctx), size)
	} else {
		next, err = chunk.Edit(ctx, *m, c.s.o.Chunks, c.s.o.Sealer, options, k.sink(ctx), off, r)
	}
	if err == nil {
		err = k.all(ctx, &next)
	}
	if err != nil {
		return next, storeProblem(err)
	}
	if len(next.Entries) == 0 {
		return next, nil
	}
	if kept {
		if p := c.stillHere(m, &next); p != nil {
			return next, p
		}
	}
	return next, k.done(ctx, &next, until)
}

// hold sees to it that all data of a map is here and stays until the keeper is released. kept says that a pin does that.
func (c *call) hold(m *chunk.Map, k *keeper) (kept bool, p *exchange.Problem) {
	ctx := c.r.Context()
	if len(m.Entries) == 0 {
		return false, nil
	}
	kept, err := c.s.kept(ctx, m)
	if err != nil {
		return false, storeProblem(err)
	}
	if kept {
		return true, nil
	}
	if p := c.bring(m, 0, m.Size(), k); p != nil {
		return false, p
	}
	return false, nil
}

// stillHere looks for all data of a map that was made from a kept one, if that is not kept any more.
func (c *call) stillHere(from, m *chunk.Map) *exchange.Problem {
	kept, err := c.s.kept(c.r.Context(), from)
	if err != nil {
		return storeProblem(err)
	}
	if kept {
		return nil
	}
	missing, err := c.s.missing(c.r.Context(), m, 0, m.Size(), nil)
	if err == nil && missing {
		err = chunk.ErrMissing
	}
	if err != nil {
		return storeProblem(err)
	}
	return nil
}

// empty says whether nothing comes from r.
func empty(r io.Reader) bool {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	return err == io.EOF
}

// answerMap ends a request with a map.
func (c *call) answerMap(m *chunk.Map, until time.Time) *exchange.Problem {
	json, id, err := encodeMap(m)
	if err != nil {
		return exchange.Problemf(exchange.CodeInternal, "%v", err)
	}
	h := c.w.Header()
	if alg := wantedDigest(c.r.Header); alg != "" {
		sum, err := c.s.digest(c.r.Context(), m, alg)
		if err != nil {
			return storeProblem(err)
		}
		h.Set("Repr-Digest", sum)
	}
	h.Set(mapField, id)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(json)+1))
	h.Set("Cache-Control", "no-store")
	if !until.IsZero() && len(m.Entries) > 0 {
		h.Set("Hoft-Data-Until", until.UTC().Format(http.TimeFormat))
	}
	_, _ = c.w.Write(append(json, '\n')) // the client left; what it stored stays until its time is over
	return nil
}

func tooLarge(limit int64) *exchange.Problem {
	return exchange.Problemf(exchange.CodeTooLarge, "the body may have at most %d bytes; see data.max_body", limit)
}

// body gives what the client sends. Its errors but io.EOF are *exchange.Problem, so that nothing cut, too long, or other
// than its digest is ever stored.
func (c *call) body() *upload {
	limit := int64(c.s.o.Config.MaxBody)
	u := &upload{rc: http.MaxBytesReader(c.w, c.r.Body, limit), ctl: http.NewResponseController(c.w), limit: limit, left: math.MaxInt64}
	fields := httpfields.FromHeader(c.r.Header)
	for _, name := range []string{"Content-Digest", "Repr-Digest"} {
		if d := httpfields.NewDigestOf(fields, name); d != nil && (name == "Content-Digest" || !c.resumable()) {
			u.sums = append(u.sums, named{name, d})
		}
	}
	return u
}

type named struct {
	field string
	*httpfields.Digest
}

// upload is the body of a request.
type upload struct {
	rc      io.Reader
	ctl     *http.ResponseController
	limit   int64
	left    int64 // what may be kept of it
	n       int64
	sums    []named
	stopped atomic.Bool
}

// stop ends reading, as if the client had broken off. Safe for concurrent use.
func (u *upload) stop() {
	u.stopped.Store(true)
	_ = u.ctl.SetReadDeadline(time.Unix(1, 0))
}

// wait gives the client stallTimeout to send more. The answer may be written later than that.
func (u *upload) wait() {
	now := time.Now()
	_ = u.ctl.SetReadDeadline(now.Add(stallTimeout)) // not every connection can
	_ = u.ctl.SetWriteDeadline(now.Add(2 * stallTimeout))
	if u.stopped.Load() {
		_ = u.ctl.SetReadDeadline(time.Unix(1, 0))
	}
}

// Read waits for more at most stallTimeout.
func (u *upload) Read(p []byte) (int, error) {
	u.wait()
	n, err := u.rc.Read(p)
	if u.n += int64(n); u.n > u.left && u.n > chunk.MaxInline {
		return 0, tooMuch(u.left)
	}
	for _, s := range u.sums {
		s.Add(p[:n])
	}
	if err == nil {
		return n, nil
	}
	_ = u.ctl.SetReadDeadline(time.Time{}) // from here on net/http watches for a hang-up
	var long *http.MaxBytesError
	switch {
	case err == io.EOF:
		for _, s := range u.sums {
			if alg := s.Wrong(); alg != "" {
				return n, exchange.Problemf(exchange.CodeDigest, "the body of %d bytes does not have the %s digest of %s", u.n, alg, s.field)
			}
		}
		return n, io.EOF
	case errors.As(err, &long):
		return n, tooLarge(u.limit)
	}
	return n, exchange.Problemf(exchange.CodeBadRequest, "the body broke off after %d bytes", u.n)
}
