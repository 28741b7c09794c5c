package dataapi

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
)

// post stores the body and answers with its map.
func (c *call) post() *exchange.Problem {
	if c.r.ContentLength > int64(c.s.o.Config.MaxBody) {
		return exchange.Problemf(exchange.CodeTooLarge, "the body may have at most %d bytes; see data.max_body", int64(c.s.o.Config.MaxBody))
	}
	m, p := c.store(c.body())
	if p != nil {
		return p
	}
	return c.answerMap(&m)
}

// store seals what comes from r, keeps it for good, and gives its map.
func (c *call) store(r io.Reader) (chunk.Map, *exchange.Problem) {
	var owner chunk.Owner
	_, _ = rand.Read(owner[:]) // never fails
	store := c.s.o.Chunks
	defer store.Unpin(owner)
	var names []chunk.Name
	w := chunk.NewWriter(c.s.o.Sealer, chunk.WriterOptions{Compress: true}, func(_ chunk.Entry, rec chunk.Record, ct []byte) error {
		names = append(names, rec.Name)
		store.Pin(owner, []chunk.Name{rec.Name})
		return store.Put(rec, ct)
	})
	defer w.Abort()
	if _, err := w.ReadFrom(r); err != nil {
		return chunk.Map{}, storeProblem(err)
	}
	m, err := w.Close()
	if err == nil && len(names) > 0 {
		if err = store.Sync(c.r.Context()); err == nil {
			err = store.Keep(c.r.Context(), owner, names)
		}
	}
	if err != nil {
		return chunk.Map{}, storeProblem(err)
	}
	return m, nil
}

// storeProblem says why data could not be stored.
func storeProblem(err error) *exchange.Problem {
	var p *exchange.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, chunk.ErrFull):
		return exchange.Problemf(exchange.CodeStorageFull, "%v", err)
	}
	return exchange.Problemf(exchange.CodeStoreFailed, "%v", err)
}

// answerMap ends a request with a map.
func (c *call) answerMap(m *chunk.Map) *exchange.Problem {
	json, id, err := encodeMap(m)
	if err != nil {
		return exchange.Problemf(exchange.CodeInternal, "%v", err)
	}
	h := c.w.Header()
	h.Set(mapField, id)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = c.w.Write(append(json, '\n')) // the client left; what it stored stays until its time is over
	return nil
}

// body gives what the client sends. Its errors but io.EOF are *exchange.Problem, so that nothing cut is ever stored.
func (c *call) body() io.Reader {
	limit := int64(c.s.o.Config.MaxBody)
	return &upload{rc: http.MaxBytesReader(c.w, c.r.Body, limit), ctl: http.NewResponseController(c.w), limit: limit}
}

type upload struct {
	rc    io.Reader
	ctl   *http.ResponseController
	limit int64
	n     int64
}

// Read waits for more at most stallTimeout.
func (u *upload) Read(p []byte) (int, error) {
	_ = u.ctl.SetReadDeadline(time.Now().Add(stallTimeout)) // not every connection can
	n, err := u.rc.Read(p)
	u.n += int64(n)
	if err == nil {
		return n, nil
	}
	_ = u.ctl.SetReadDeadline(time.Time{}) // from here on net/http watches for a hang-up
	var long *http.MaxBytesError
	switch {
	case err == io.EOF:
		return n, io.EOF
	case errors.As(err, &long):
		return n, exchange.Problemf(exchange.CodeTooLarge, "the body may have at most %d bytes; see data.max_body", u.limit)
	}
	return n, exchange.Problemf(exchange.CodeBadRequest, "the body broke off after %d bytes", u.n)
}
