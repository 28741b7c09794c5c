package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Put stores what comes from data, of size bytes or -1. With a size it is a resumable upload: what breaks off goes on where
// the site says that it is; data must be an io.ReadSeeker then.
func (c *Client) Put(ctx context.Context, data io.Reader, size int64, query url.Values) (Stored, error) {
	seek, ok := data.(io.ReadSeeker)
	if size < 0 || !ok {
		return c.Edit(ctx, "", query, data)
	}
	u := &upload{c: c, data: seek, size: size}
	resp, err := u.begin(ctx, query)
	for tries := 0; err != nil; {
		if u.place() == "" {
			return Stored{}, err
		}
		before := u.off
		if err := c.again(ctx, &tries, u.moved, err); err != nil {
			return Stored{}, err
		}
		resp, err = u.goOn(ctx)
		u.moved = u.off > before
	}
	defer resp.Body.Close()
	return stored(resp)
}

// upload is one resumable upload (draft-ietf-httpbis-resumable-upload).
type upload struct {
	c     *Client
	data  io.ReadSeeker
	size  int64
	off   int64 // what the site last said that it has
	moved bool

	mu    sync.Mutex
	where string // path of the upload, "" while it is not known
}

func (u *upload) place() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.where
}

// begin sends all of it, and learns by an interim answer where it can go on.
func (u *upload) begin(ctx context.Context, query url.Values) (*http.Response, error) {
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if place := h.Get("Location"); code == 104 && strings.HasPrefix(place, "/") {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.where = place
		}
		return nil
	}}
	r, err := u.c.request(httptrace.WithClientTrace(ctx, trace), http.MethodPost, "/data", "", query, nil)
	if err != nil {
		return nil, err
	}
	return u.send(r)
}

// send sends what is left as the end of the upload. When it returns nobody reads the data any more.
func (u *upload) send(r *http.Request) (*http.Response, error) {
	f := &feed{r: u.data}
	defer f.Close()
	if r.ContentLength = u.size - u.off; r.ContentLength > 0 {
		r.Body = f
	}
	r.Header.Set("Upload-Complete", "?1")
	return u.c.do(r, http.StatusOK)
}

// feed is the body of one request; net/http may read from it for a while after the request has failed, until it is closed.
type feed struct {
	mu   sync.Mutex
	r    io.Reader
	over bool
}

// Read implements io.Reader.
func (f *feed) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return 0, io.ErrClosedPipe
	}
	return f.r.Read(p)
}

// Close implements io.Closer.
func (f *feed) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	return nil
}

// goOn asks how far the upload is and sends the rest.
func (u *upload) goOn(ctx context.Context) (*http.Response, error) {
	r, err := u.c.request(ctx, http.MethodHead, u.place(), "", nil, nil)
	if err != nil {
		return nil, err
	}
	resp, err := u.c.do(r, http.StatusNoContent)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if id := resp.Header.Get("Safe-Data-Map"); id != "" { // it was whole: only the answer was lost
		resp.Body = io.NopCloser(strings.NewReader(""))
		return resp, nil
	}
	if u.off, err = strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64); err != nil || u.off < 0 || u.off > u.size {
		return nil, errors.New("the site does not say how far the upload is")
	}
	if _, err := u.data.Seek(u.off, io.SeekStart); err != nil {
		return nil, err
	}
	if r, err = u.c.request(ctx, http.MethodPatch, u.place(), "", nil, nil); err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/partial-upload")
	r.Header.Set("Upload-Offset", fmt.Sprint(u.off))
	return u.send(r)
}
