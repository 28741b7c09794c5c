package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Part is what is read of data.
type Part struct {
	Off int64
	Len int64 // -1: up to the end
	// Peer is the site that has what the API's site has not; "": as that is configured.
	Peer string
}

// Get writes a part of the data of a map to w. What breaks off goes on where it was. begin, which may be nil, is called
// with the bytes to come, or -1.
func (c *Client) Get(ctx context.Context, id string, p Part, w io.Writer, begin func(size int64)) error {
	tries, done, told := 0, int64(0), false
	for {
		query := url.Values{}
		if p.Off+done > 0 {
			query.Set("offset", fmt.Sprint(p.Off+done))
		}
		if p.Len >= 0 {
			query.Set("length", fmt.Sprint(p.Len-done))
		}
		if p.Peer != "" {
			query.Set("peer", p.Peer)
		}
		n, err := c.getOnce(ctx, id, query, w, func(size int64) {
			if !told && begin != nil {
				begin(size)
			}
			told = true
		})
		done += n
		var bad *writeError
		if err == nil || errors.As(err, &bad) {
			return err
		}
		if err := c.again(ctx, &tries, n > 0, err); err != nil {
			return err
		}
	}
}

// writeError is an error of where the data goes: trying again is of no use.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

func (c *Client) getOnce(ctx context.Context, id string, query url.Values, w io.Writer, begin func(int64)) (int64, error) {
	for {
		r, err := c.request(ctx, http.MethodGet, "/data", id, query, nil)
		if err != nil {
			return 0, err
		}
		resp, err := c.do(r, http.StatusOK, http.StatusAccepted)
		if err != nil {
			return 0, err
		}
		if resp.StatusCode == http.StatusOK {
			defer resp.Body.Close()
			begin(resp.ContentLength)
			n, err := io.Copy(guarded{w}, resp.Body)
			return n, hideURL(err)
		}
		resp.Body.Close() // it is fetched from another site
		if err := c.await(ctx, resp.Header.Get("Location")); err != nil {
			return 0, err
		}
	}
}

// guarded marks errors of w.
type guarded struct{ w io.Writer }

func (g guarded) Write(p []byte) (int, error) {
	n, err := g.w.Write(p)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}
