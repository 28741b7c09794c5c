package dataapi

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/store"
)

// checkpoint is after how many bytes of one request what has come is made durable, so that a crash costs no more.
const checkpoint = 64 << 20

// take adds what comes to the upload, and answers: with the map where that completes it, else with status.
func (t *transfer) take(body *upload, complete bool, status int) *exchange.Problem {
	c := t.c
	body.left = c.s.most - t.size()
	if p := t.receive(body); p != nil {
		t.state()
		if p.Code == exchange.CodeUploadLength {
			if err := c.s.drop(t.u.ID); err != nil {
				return storeProblem(err)
			}
		}
		return p
	}
	if complete && t.u.Length >= 0 && t.size() != t.u.Length {
		t.state()
		return t.wrongLength("the upload was to have %d bytes and ends with %d", t.u.Length, t.size())
	}
	if complete {
		return t.complete()
	}
	t.state()
	c.w.WriteHeader(status)
	return nil
}

// receive appends what comes, piece by piece. What came before a body broke off is kept. The client may have left: the
// request's context does not end it.
func (t *transfer) receive(body *upload) *exchange.Problem {
	ctx := context.WithoutCancel(t.c.r.Context())
	for {
		in := &piece{src: body, left: checkpoint, room: -1}
		if len(body.sums) > 0 {
			in.left = chunk.MaxSize // all or nothing: its digest is known at the end
		}
		if t.u.Length >= 0 {
			in.room = t.u.Length - t.size()
		}
		if err := t.append(ctx, in); err != nil {
			return storeProblem(err)
		}
		if in.broke != nil {
			return in.broke
		}
		if in.ended {
			return nil
		}
		if t.c.r.ProtoAtLeast(1, 1) {
			h := t.c.w.Header()
			where := h["Location"]
			delete(h, "Location")
			h.Set(uploadOffset, strconv.FormatInt(t.size(), 10))
			t.c.w.WriteHeader(statusResumable)
			if h.Del(uploadOffset); where != nil {
				h["Location"] = where
			}
		}
	}
}

// append makes one piece durable.
func (t *transfer) append(ctx context.Context, in *piece) error {
	s := t.c.s
	var names []chunk.Name
	defer s.o.Chunks.Unpin(t.u.ID)
	defer func() { s.ledger.set(t.u.ID, t.size()) }()
	sink := func(_ chunk.Entry, r chunk.Record, ct []byte) error {
		if p := s.ledger.come(t.u.ID, r.Len); p != nil {
			return p
		}
		names = append(names, r.Name)
		s.o.Chunks.Pin(t.u.ID, names[len(names)-1:])
		return s.o.Chunks.Put(r, ct)
	}
	next, err := chunk.Edit(ctx, t.m, s.o.Chunks, s.o.Sealer, options, sink, t.size(), in)
	if err != nil {
		return err
	}
	if err := s.o.Chunks.Sync(ctx); err != nil {
		return err
	}
	u := t.u
	if u.Map, err = next.Encode(); err != nil {
		return err
	}
	u.Expires = s.now().Add(s.o.Config.UploadTTL)
	b := &store.Batch{}
	b.Chunks(chunk.Change{Now: s.now(), Pin: []chunk.Pin{{Owner: u.ID, Names: names}}})
	b.PutDataUpload(u)
	if err := s.o.Book.Commit(ctx, b); err != nil {
		return err
	}
	t.u, t.m = u, next
	return nil
}

// complete keeps the data and answers as a plain POST would.
func (t *transfer) complete() *exchange.Problem {
	c, ctx := t.c, context.WithoutCancel(t.c.r.Context())
	var want asked
	if err := json.Unmarshal(t.u.Asked, &want); err != nil {
		return exchange.Problemf(exchange.CodeInternal, "%v", err)
	}
	h := c.w.Header()
	h.Del("Location")
	h.Set(uploadComplete, "?1")
	if p := t.check(ctx, want); p != nil && p.Code != exchange.CodeDigest { // it cannot be read just now: that says nothing of it
		h.Set(uploadComplete, "?0")
		return p
	} else if p != nil {
		if err := c.s.drop(t.u.ID); err != nil {
			return storeProblem(err)
		}
		return p
	}
	var until time.Time
	if want.TTL > 0 {
		until = c.s.now().Add(time.Duration(want.TTL) * time.Second)
	}
	if len(t.m.Entries) > 0 {
		k := c.s.keeper(c.who)
		defer k.release()
		if err := k.all(ctx, &t.m); err != nil {
			return storeProblem(err)
		}
		if p := k.done(ctx, &t.m, until); p != nil {
			h.Set(uploadComplete, "?0")
			return p
		}
	}
	t.u.Complete = true
	b := &store.Batch{}
	b.Chunks(chunk.Change{Now: c.s.now(), Unpin: []chunk.Owner{t.u.ID}})
	b.PutDataUpload(t.u)
	if err := c.s.o.Book.Commit(ctx, b); err != nil {
		return storeProblem(err)
	}
	c.s.ledger.came(t.u.ID)
	if want.Want != "" && c.r.Header.Get("Want-Repr-Digest") == "" {
		c.r.Header.Set("Want-Repr-Digest", want.Want)
	}
	return c.answerMap(&t.m, until)
}

// check compares the whole with the digest that it was to have.
func (t *transfer) check(ctx context.Context, want asked) *exchange.Problem {
	d := httpfields.NewDigestOf(exchange.Fields{{Name: "Repr-Digest", Value: want.Repr}}, "Repr-Digest")
	if d == nil {
		return nil
	}
	r := chunk.NewReader(ctx, t.m, t.c.s.o.Chunks)
	defer r.Close()
	if _, err := r.WriteTo(adder{d}); err != nil {
		return storeProblem(err)
	}
	if alg := d.Wrong(); alg != "" {
		return exchange.Problemf(exchange.CodeDigest, "the upload of %d bytes does not have the %s digest of Repr-Digest", t.size(), alg)
	}
	return nil
}

type adder struct{ d *httpfields.Digest }

func (a adder) Write(p []byte) (int, error) {
	a.d.Add(p)
	return len(p), nil
}

// piece is the part of a body up to the next checkpoint. A body that breaks off ends it, and what came counts.
type piece struct {
	src   *upload
	left  int64
	room  int64 // of the whole upload, -1: any
	ended bool
	broke *exchange.Problem
}

// Read implements io.Reader.
func (p *piece) Read(b []byte) (int, error) {
	if p.left == 0 || p.ended || p.broke != nil {
		return 0, io.EOF
	}
	n, err := p.src.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	if p.room >= 0 {
		if p.room -= int64(n); p.room < 0 {
			return 0, exchange.Problemf(exchange.CodeUploadLength, "more comes than the upload was to have; it has ended")
		}
	}
	if err == io.EOF {
		p.ended = true
		return n, io.EOF
	}
	var bad *exchange.Problem
	if errors.As(err, &bad) && bad.Code == exchange.CodeBadRequest { // broken off
		p.broke = bad
		return n, io.EOF
	}
	return n, err
}
