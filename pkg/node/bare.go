package node

import (
	"io"

	"github.com/hoft/hoft/pkg/chunk"
)

// Packs of links in signed mode are the bytes of a body, one chunk behind the other and nothing else, so that whoever looks
// into the pipe sees the body as it is. The headers of records, which the announcement tells anyway, are left out when such a
// pack is written and put back when it is read.

// headless passes on records without their headers.
type headless struct {
	w    io.Writer
	recs []chunk.Record
	at   int64 // in the first of recs
}

// Write takes the next bytes of the records.
func (h *headless) Write(p []byte) (n int, err error) {
	for n < len(p) && len(h.recs) > 0 {
		k := int(min(int64(len(p)-n), chunk.HeaderLen-h.at))
		if h.at >= chunk.HeaderLen {
			k = int(min(int64(len(p)-n), h.recs[0].Size()-h.at))
			if k, err = h.w.Write(p[n : n+k]); err != nil {
				return n + k, err
			}
		}
		n, h.at = n+k, h.at+int64(k)
		if h.at == h.recs[0].Size() {
			h.recs, h.at = h.recs[1:], 0
		}
	}
	if n < len(p) {
		return n, io.ErrShortWrite // more than the records hold
	}
	return n, nil
}

// headed reads a pack without headers as if it had them.
type headed struct {
	src  io.ReaderAt
	recs []chunk.Record
	at   []int64 // where each record would begin; one more for the end
}

func newHeaded(src io.ReaderAt, recs []chunk.Record) *headed {
	h := &headed{src: src, recs: recs, at: make([]int64, 1, len(recs)+1)}
	for _, r := range recs {
		h.at = append(h.at, h.at[len(h.at)-1]+r.Size())
	}
	return h
}

// size gives the length with headers of a file of n bytes.
func (h *headed) size(n int64) int64 {
	for i, r := range h.recs {
		if n < r.Len {
			return h.at[i] + chunk.HeaderLen + n
		}
		n -= r.Len
	}
	return h.at[len(h.recs)] + n
}

// ReadAt implements io.ReaderAt for one whole record, which is how packs are read.
func (h *headed) ReadAt(p []byte, off int64) (int, error) {
	for i, r := range h.recs {
		if h.at[i] == off && int64(len(p)) == r.Size() {
			n, err := h.src.ReadAt(r.AppendHeader(p[:0])[chunk.HeaderLen:r.Size()], off-int64(i)*chunk.HeaderLen)
			return n + chunk.HeaderLen, err
		}
	}
	return 0, io.ErrUnexpectedEOF
}
