package dataapi

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
	"github.com/hoft/hoft/pkg/store"
)

// Fields of resumable uploads (draft-ietf-httpbis-resumable-upload-15 section 4).
const (
	uploadComplete = "Upload-Complete"
	uploadOffset   = "Upload-Offset"
	uploadLength   = "Upload-Length"
	uploadLimit    = "Upload-Limit"
	partialUpload  = "application/partial-upload"

	statusResumable = 104
)

// asked is what the request that began an upload wants of its end.
type asked struct {
	TTL  int64  `json:"ttl,omitzero"` // seconds, 0: until DELETE
	Repr string `json:"repr,omitzero"`
	Want string `json:"want,omitzero"`
}

// resumable says whether a request begins an upload that can go on after it breaks off.
func (c *call) resumable() bool {
	_, ok := boolean(c.r.Header.Get(uploadComplete))
	return ok && c.s.o.Config.Resumable
}

// boolean reads a Boolean of structured fields (RFC 9651 section 3.3.6); ok is false for anything else.
func boolean(s string) (v, ok bool) {
	switch strings.TrimSpace(s) {
	case "?1":
		return true, true
	case "?0":
		return false, true
	}
	return false, false
}

func bare(v bool) string {
	if v {
		return "?1"
	}
	return "?0"
}

// limits gives Upload-Limit; age is 0 where no upload is meant.
func (s *Server) limits(age time.Duration) string {
	if age == 0 {
		age = s.o.Config.UploadTTL
	}
	return fmt.Sprintf("max-size=%d, max-append-size=%d, max-age=%d", min(s.most, chunk.MaxSize), int64(s.o.Config.MaxBody), int64((max(0, age)+time.Second-1)/time.Second))
}

// transfer is one upload, held by one request.
type transfer struct {
	c    *call
	u    store.DataUpload
	m    chunk.Map
	done func() // lets others have it
}

// size is how much has come.
func (t *transfer) size() int64 { return t.m.Size() }

// active knows which request works on which upload.
type active struct {
	mu sync.Mutex
	by map[[16]byte]*holder
}

type holder struct {
	stop func()
	over chan struct{}
}

// take makes an upload this request's; an earlier request on it is ended first, as if it had broken off.
func (a *active) take(ctx context.Context, id [16]byte, stop func()) (done func(), err error) {
	h := &holder{stop: stop, over: make(chan struct{})}
	for {
		a.mu.Lock()
		if a.by == nil {
			a.by = map[[16]byte]*holder{}
		}
		before := a.by[id]
		if before == nil {
			a.by[id] = h
			a.mu.Unlock()
			return func() { a.leave(id, h) }, nil
		}
		a.mu.Unlock()
		before.stop()
		select {
		case <-before.over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (a *active) leave(id [16]byte, h *holder) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.by, id)
	close(h.over)
}

// beginUpload makes an upload, tells where it is, and takes what comes.
func (c *call) beginUpload(until time.Time) *exchange.Problem {
	complete, _ := boolean(c.r.Header.Get(uploadComplete))
	now := c.s.now()
	want := asked{Repr: strings.Join(c.r.Header.Values("Repr-Digest"), ", "), Want: strings.Join(c.r.Header.Values("Want-Repr-Digest"), ", ")}
	if !until.IsZero() {
		want.TTL = int64(until.Sub(now) / time.Second)
	}
	text, err := json.Marshal(want)
	if err != nil {
		return exchange.Problemf(exchange.CodeInternal, "%v", err)
	}
	t := &transfer{c: c, u: store.DataUpload{Token: c.who, Resumable: true, Length: -1, Asked: text, Created: now, Expires: now.Add(c.s.o.Config.UploadTTL)}}
	_, _ = rand.Read(t.u.ID[:]) // never fails
	if p := t.learnLength(complete); p != nil {
		return p
	}
	c.w.Header().Set(uploadLimit, c.s.limits(0))
	if t.u.Length > c.s.most || t.u.Length > chunk.MaxSize {
		return exchange.Problemf(exchange.CodeTooLarge, "an upload may have at most %d bytes", min(c.s.most, chunk.MaxSize))
	}
	if limit := int64(c.s.o.Config.MaxBody); c.r.ContentLength > limit {
		return tooLarge(limit)
	}
	body := c.body()
	if t.done, err = c.s.active.take(c.r.Context(), t.u.ID, body.stop); err != nil {
		return storeProblem(err)
	}
	defer t.done()
	b := &store.Batch{}
	b.PutDataUpload(t.u)
	if err := c.s.o.Book.Commit(c.r.Context(), b); err != nil {
		return storeProblem(err)
	}
	c.w.Header().Set("Location", t.location())
	if c.r.ProtoAtLeast(1, 1) {
		c.w.WriteHeader(statusResumable)
	}
	return t.take(body, complete, http.StatusCreated)
}

func (t *transfer) location() string {
	return uploadsPath + base64.RawURLEncoding.EncodeToString(t.u.ID[:])
}

// learnLength notes what the request tells of the length of the whole upload.
func (t *transfer) learnLength(complete bool) *exchange.Problem {
	r := t.c.r
	given, ok := digits(strings.TrimSpace(r.Header.Get(uploadLength)))
	if !ok {
		given = -1
	}
	if complete && r.ContentLength >= 0 {
		if n := t.size() + r.ContentLength; given >= 0 && given != n {
			return t.wrongLength("%s says %d bytes, and with this request there are %d", uploadLength, given, n)
		} else {
			given = n
		}
	}
	if t.u.Length >= 0 && given >= 0 && given != t.u.Length {
		return t.wrongLength("the upload was to have %d bytes, now %d", t.u.Length, given)
	}
	if given >= 0 {
		t.u.Length = given
	}
	return nil
}

func (t *transfer) wrongLength(format string, args ...any) *exchange.Problem {
	return exchange.Problemf(exchange.CodeUploadLength, format, args...)
}

// upload finds the upload of the path, and makes it this request's. stop ends the request.
func (c *call) upload(stop func()) (*transfer, *exchange.Problem) {
	t := &transfer{c: c}
	gone := exchange.Problemf(exchange.CodeUploadGone, "nothing is known of it")
	b, err := base64.RawURLEncoding.DecodeString(c.r.PathValue("id"))
	if err != nil || len(b) != len(t.u.ID) {
		return nil, gone
	}
	id := [16]byte(b)
	if t.done, err = c.s.active.take(c.r.Context(), id, stop); err != nil {
		return nil, storeProblem(err)
	}
	t.u, err = c.s.o.Book.DataUpload(c.r.Context(), id)
	if err == nil && (t.u.Token != c.who || !t.u.Resumable || t.u.Expires.Before(c.s.now())) {
		err = store.ErrNotFound
	}
	if err == nil && t.u.Map != nil {
		t.m, err = chunk.ParseMap(t.u.Map)
	}
	if err == nil {
		return t, nil
	}
	t.done()
	if errors.Is(err, store.ErrNotFound) {
		return nil, gone
	}
	return nil, storeProblem(err)
}

// state sets the fields that tell how far the upload is.
func (t *transfer) state() {
	h := t.c.w.Header()
	h.Set(uploadComplete, bare(t.u.Complete))
	h.Set(uploadOffset, strconv.FormatInt(t.size(), 10))
	h.Set(uploadLimit, t.c.s.limits(t.u.Expires.Sub(t.c.s.now())))
	h.Set("Cache-Control", "no-store")
	if t.u.Length >= 0 {
		h.Set(uploadLength, strconv.FormatInt(t.u.Length, 10))
	}
	if t.u.Complete {
		if _, id, err := encodeMap(&t.m); err == nil {
			h.Set(mapField, id)
		}
	}
}

// uploadState tells how far an upload is; of a complete one it gives the map, for whoever missed the answer.
func (c *call) uploadState() *exchange.Problem {
	t, p := c.upload(func() {})
	if p != nil {
		return p
	}
	defer t.done()
	t.state()
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// uploadDelete ends an upload; what was stored by a complete one stays.
func (c *call) uploadDelete() *exchange.Problem {
	t, p := c.upload(func() {})
	if p != nil {
		return p
	}
	defer t.done()
	if err := c.s.drop(t.u.ID); err != nil {
		return storeProblem(err)
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// expireUpload drops an upload that nobody went on with, unless somebody just does.
func (s *Server) expireUpload(ctx context.Context, id [16]byte) error {
	done, err := s.active.take(ctx, id, func() {})
	if err != nil {
		return err
	}
	defer done()
	u, err := s.o.Book.DataUpload(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && u.Expires.After(s.now()) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.drop(id)
}

// uploadMore adds to an upload.
func (c *call) uploadMore() *exchange.Problem {
	if kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); kind != partialUpload {
		return exchange.Problemf(exchange.CodeMediaType, "send more of an upload as %s", partialUpload)
	}
	complete, ok := boolean(c.r.Header.Get(uploadComplete))
	off, has := digits(strings.TrimSpace(c.r.Header.Get(uploadOffset)))
	if !ok || !has {
		return exchange.Problemf(exchange.CodeBadRequest, "%s: ?0 or ?1, and %s are needed", uploadComplete, uploadOffset)
	}
	if limit := int64(c.s.o.Config.MaxBody); c.r.ContentLength > limit {
		c.w.Header().Set(uploadLimit, c.s.limits(0))
		return tooLarge(limit)
	}
	body := c.body()
	t, p := c.upload(body.stop)
	if p != nil {
		return p
	}
	defer t.done()
	if t.u.Complete {
		t.state()
		return exchange.Problemf(exchange.CodeUploadDone, "it has %d bytes", t.size())
	}
	if off != t.size() {
		t.state()
		return t.conflict(off)
	}
	if p := t.learnLength(complete); p != nil {
		return p
	}
	return t.take(body, complete, http.StatusNoContent)
}

// conflict answers with the members that the draft names, besides hoft's own.
func (t *transfer) conflict(off int64) *exchange.Problem {
	p := exchange.Problemf(exchange.CodeUploadOffset, "the upload has %d bytes", t.size())
	httpproblem.Fields(t.c.w.Header(), p)
	d := httpproblem.Describe(p)
	httpproblem.WriteJSON(t.c.w, d.Status, struct {
		httpproblem.Details
		Expected int64 `json:"expected-offset"`
		Provided int64 `json:"provided-offset"`
	}{d, t.size(), off})
	return p
}
