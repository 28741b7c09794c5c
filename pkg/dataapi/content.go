package dataapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
)

// content is a part of the data of a map as http.ServeContent wants it. Only what is read is opened: a range that it knows
// of is opened to its end, everything else to the end of the part.
type content struct {
	ctx        context.Context
	m          *chunk.Map
	src        chunk.Source
	base, size int64
	ranges     []slice

	// mu is for ServeContent's goroutine of several ranges, which may still read when the request has ended.
	mu   sync.Mutex
	pos  int64
	r    *chunk.Reader // at pos; nil: none is open
	end  int64         // of r
	err  error         // why reading failed
	over bool
}

// Seek implements io.Seeker.
func (c *content) Seek(off int64, whence int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += c.pos
	case io.SeekEnd:
		off += c.size
	}
	if off < 0 {
		return 0, errors.New("seek before the beginning")
	}
	if off != c.pos {
		c.close()
	}
	c.pos = off
	return off, nil
}

// open makes sure that there is a reader at pos; io.EOF at the end.
func (c *content) open() error {
	if c.pos >= c.size {
		return io.EOF
	}
	if c.over {
		return http.ErrAbortHandler
	}
	if c.r != nil && c.pos < c.end {
		return nil
	}
	c.close()
	c.end = c.size
	for _, x := range c.ranges {
		if x.off == c.pos {
			c.end = x.off + x.len
		}
	}
	c.r, c.err = chunk.NewRange(c.ctx, *c.m, c.src, c.base+c.pos, c.end-c.pos)
	return c.err
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.open(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.pos += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// writeTo writes n bytes, a chunk at a time where that is the rest of what is open.
func (c *content) writeTo(w io.Writer, n int64) (written int64, err error) {
	for written < n {
		k, err := c.writeSome(w, n-written)
		if written += k; err != nil {
			return written, err
		}
	}
	return written, nil
}

func (c *content) writeSome(w io.Writer, n int64) (int64, error) {
	c.mu.Lock()
	if err := c.open(); err != nil || n < c.end-c.pos {
		c.mu.Unlock()
		if err != nil {
			return 0, err
		}
		return io.Copy(w, io.LimitReader(justRead{c}, n))
	}
	defer c.mu.Unlock()
	k, err := c.r.WriteTo(w)
	c.pos += k
	if err != nil {
		c.err = err
	}
	return k, err
}

// justRead hides everything but Read.
type justRead struct{ r io.Reader }

func (j justRead) Read(p []byte) (int, error) { return j.r.Read(p) }

// close gives the memory of the reader back.
func (c *content) close() {
	if c.r != nil {
		_ = c.r.Close() // it has no error
		c.r = nil
	}
}

// finish closes for good and says why reading failed, nil if it did not.
func (c *content) finish() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
	c.over = true
	return c.err
}

// pump lets ServeContent's copying go by whole chunks, and holds back its refusals, which are no problem details.
type pump struct {
	httpproblem.Holding
	src *content
}

// ReadFrom implements io.ReaderFrom.
func (p *pump) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok && l.R == io.Reader(p.src) {
		n, err := p.src.writeTo(p.ResponseWriter, l.N)
		l.N -= n
		return n, err
	}
	return io.Copy(p.ResponseWriter, justRead{r})
}

// Unwrap is for http.ResponseController.
func (p *pump) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// maxRanges bounds the ranges of one request that are looked at one by one.
const maxRanges = 256

// parseRanges reads a Range field as http.ServeContent does (RFC 9110 section 14.1.2), so that what it needs can be
// brought here first. nil: the whole, because there is no range that can be satisfied, or one that ServeContent refuses
// or passes over.
func parseRanges(field string, size int64) (out []slice) {
	text, ok := strings.CutPrefix(field, "bytes=")
	if !ok {
		return nil
	}
	var sum int64
	for spec := range strings.SplitSeq(text, ",") {
		first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
		if strings.TrimSpace(spec) == "" {
			continue
		}
		x, ok := oneRange(strings.TrimSpace(first), strings.TrimSpace(last), size)
		if !found || !ok || len(out) == maxRanges {
			return nil
		}
		if sum += x.len; x.len > 0 {
			out = append(out, x)
		}
	}
	if sum > size { // ServeContent sends the whole then
		return nil
	}
	return out
}

// oneRange reads first-last, first- or -suffix; of length 0 if it lies behind the end.
func oneRange(first, last string, size int64) (x slice, ok bool) {
	end, hasEnd := digits(last)
	if first == "" {
		x.len = min(end, size)
		x.off = size - x.len
		return x, hasEnd
	}
	begin, ok := digits(first)
	if !ok || last != "" && !hasEnd || hasEnd && end < begin {
		return x, false
	}
	if begin >= size {
		return slice{}, true
	}
	if !hasEnd {
		end = size - 1
	}
	return slice{begin, min(end, size-1) - begin + 1}, true
}
