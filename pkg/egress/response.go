package egress

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// response turns the callee's head into hoft's, or says why it cannot be passed on.
func (c *call) response(resp *http.Response) (*exchange.Response, *exchange.Problem) {
	if resp.StatusCode < 200 || resp.StatusCode > 999 {
		return nil, exchange.Problemf(exchange.CodeCalleeBroken, "the server answered with status %d, which ends no exchange", resp.StatusCode)
	}
	fields := httpfields.FromHeader(resp.Header)
	if err := httpfields.CheckWithin(fields, c.u.maxFields, c.u.maxHead); err != nil {
		return nil, exchange.Problemf(exchange.CodeCalleeBroken, "the server's answer: %v", err)
	}
	length := c.length(resp)
	withBody := hasBody(c.r.Method, resp.StatusCode)
	if withBody && c.u.max > 0 && length > c.u.max {
		return nil, exchange.Problemf(exchange.CodeResponseLarge, "the response has %d bytes of at most %d", length, c.u.max)
	}
	out := &exchange.Response{Status: resp.StatusCode, Fields: c.fields(resp, fields), Length: length, Exchange: c.r.Exchange}
	b := &responseBody{call: c, rc: resp.Body, empty: !withBody, resp: resp}
	if withBody {
		b.sum = httpfields.NewDigest(fields)
	}
	b.idle = time.AfterFunc(c.u.timeout, func() { c.cancel(errBodyLate) })
	b.idle.Stop()
	out.Body, out.Trailers = b, b.trailers
	return out, nil
}

// fields are the end-to-end fields, with Via, mapped origins, and the Trailer field that announces what
// comes after the body (net/http took it out).
func (c *call) fields(resp *http.Response, fields exchange.Fields) exchange.Fields {
	out := c.u.passed(httpfields.Strip(fields))
	if c.u.rewrite && c.r.Host != "" {
		c.mapOrigins(out)
	}
	if names := slices.Sorted(maps.Keys(resp.Trailer)); len(names) > 0 {
		out = append(out, exchange.Field{Name: "Trailer", Value: strings.Join(names, ", ")})
	}
	return httpfields.AppendVia(out, received(resp), c.egress.site)
}

// received is the protocol of the answer as Via writes it.
func received(resp *http.Response) string {
	if resp.ProtoMajor >= 2 {
		return strconv.Itoa(resp.ProtoMajor)
	}
	return fmt.Sprintf("%d.%d", resp.ProtoMajor, resp.ProtoMinor)
}

func (c *call) mapOrigins(fields exchange.Fields) {
	m := c.u.mapping(c.r)
	for i, f := range fields {
		switch f.Name {
		case "Location", "Content-Location":
			fields[i].Value = m.URL(f.Value)
		case "Set-Cookie":
			fields[i].Value = m.Cookie(f.Value)
		}
	}
}

// length is the body's length; for HEAD and 304 what the callee said it would be.
func (c *call) length(resp *http.Response) int64 {
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return 0
	case resp.StatusCode == http.StatusNotModified:
		n, err := strconv.ParseUint(resp.Header.Get("Content-Length"), 10, 63)
		if err != nil {
			return -1
		}
		return int64(n)
	}
	return resp.ContentLength
}

// responseBody reads the callee's body within the limits of the upstream. Its errors but io.EOF are *exchange.Abort.
// Read and Close may be called at once from two goroutines.
type responseBody struct {
	call  *call
	rc    io.ReadCloser
	resp  *http.Response
	empty bool
	idle  *time.Timer
	read  int64
	err   error
	once  sync.Once
	sum   *httpfields.Digest // nil: the callee told none
}

func (b *responseBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.empty {
		return 0, b.fail(io.EOF)
	}
	b.idle.Reset(b.call.u.timeout)
	n, err := b.rc.Read(p)
	b.idle.Stop()
	b.read += int64(n)
	b.sum.Add(p[:n])
	if limit := b.call.u.max; limit > 0 && b.read > limit {
		return max(0, n-int(b.read-limit)), b.fail(&exchange.Abort{Reason: fmt.Sprintf("the response is longer than %d bytes", limit)})
	}
	if err == io.EOF {
		if alg := b.sum.Wrong(); alg != "" {
			err = &exchange.Abort{Reason: "the server's answer does not have the " + alg + " digest of its Content-Digest"}
			return n, b.fail(err)
		}
	}
	if err != nil {
		return n, b.fail(b.abort(err))
	}
	return n, nil
}

// fail remembers how the body ended and lets everything go.
func (b *responseBody) fail(err error) error {
	b.err = err
	b.release()
	return err
}

func (b *responseBody) abort(err error) error {
	if err == io.EOF {
		return err
	}
	switch cause := b.call.whyCanceled(); {
	case errors.Is(cause, errTooLong):
		return &exchange.Abort{Reason: "the call took longer than it may"}
	case errors.Is(cause, errBodyLate):
		return &exchange.Abort{Reason: "the server sent nothing more in time"}
	case cause != nil:
		return &exchange.Abort{Reason: "the call was canceled"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &exchange.Abort{Reason: "the server closed the connection early"}
	}
	return &exchange.Abort{Reason: "the server's connection broke or its framing was malformed"}
}

// Close ends the callee's request if it still runs.
func (b *responseBody) Close() error {
	b.release()
	return nil
}

func (b *responseBody) release() {
	b.once.Do(func() {
		b.idle.Stop()
		b.call.close()
		_ = b.rc.Close()
		b.call.body.stop()
	})
}

// trailers gives the trailer fields; call it after io.EOF.
func (b *responseBody) trailers() exchange.Fields {
	return b.call.u.passed(httpfields.Trailers(httpfields.FromHeader(b.resp.Trailer)))
}
