package dataapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
)

// get reads data by its map.
func (c *call) get() *exchange.Problem {
	m, p := c.wanted()
	if p != nil {
		return p
	}
	if m == nil {
		return exchange.Problemf(exchange.CodeBadRequest, "name a map: in the path behind /data/, or in %s", mapField)
	}
	if p := c.bring(m, 0, m.Size()); p != nil {
		return p
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(m.Size(), 10))
	if c.r.Method == http.MethodHead {
		c.w.WriteHeader(http.StatusOK)
		return nil
	}
	r := chunk.NewReader(c.r.Context(), *m, c.s.o.Chunks)
	defer r.Close()
	if _, err := r.WriteTo(c.w); err != nil {
		return exchange.Problemf(exchange.CodeDataMissing, "%v", err)
	}
	return nil
}

// bring makes sure that the chunks of a range are here: those that are not are fetched.
func (c *call) bring(m *chunk.Map, off, n int64) *exchange.Problem {
	for {
		missing, err := c.s.missing(c.r.Context(), m, off, n)
		if err != nil {
			return exchange.Problemf(exchange.CodeDataMap, "%v", err)
		}
		if len(missing) == 0 {
			return nil
		}
		if c.s.o.Fetcher == nil {
			return exchange.Problemf(exchange.CodeDataMissing, "%d of its chunks are not here", len(missing))
		}
		err = c.s.o.Fetcher.Fetch(c.r.Context(), c.r.URL.Query().Get("peer"), missing)
		if errors.Is(err, ErrElsewhere) {
			return exchange.Problemf(exchange.CodeDataMissing, "%v", err)
		}
		if err != nil {
			return exchange.Problemf(exchange.CodeDataMissing, "its chunks did not come: %v", err)
		}
	}
}

// missing lists what of a range is not here, as far as the nodes tell that are.
func (s *Server) missing(ctx context.Context, m *chunk.Map, off, n int64) ([]Wanted, error) {
	var out []Wanted
	_, err := chunk.WalkRange(ctx, *m, s.o.Chunks, off, n, func(e chunk.Entry, name chunk.Name) error {
		if !s.o.Chunks.Holds(chunk.Record{Name: name, Hsh: e.Hsh}) {
			out = append(out, Wanted{Name: name, Hsh: e.Hsh, Len: e.Len, Lvl: e.Lvl})
		}
		return nil
	})
	return out, err
}
