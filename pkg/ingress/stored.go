package ingress

import (
	"context"
	"io"
	"net/http"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// Stored is what an ingress needs of the Direct Data API of its site. Safe for concurrent use.
type Stored interface {
	// Admit finds out who shows a token as Authorization would ("" if none), and whether it may read, or write.
	Admit(authorization string, write bool) (who string, p *exchange.Problem)
	// Map reads an identifier of a map as the API does.
	Map(id string) (*chunk.Map, *exchange.Problem)
	// Keep stores a body for somebody as POST /data does, and gives its map: as JSON and as an identifier.
	Keep(ctx context.Context, who string, body io.Reader) (text []byte, id string, p *exchange.Problem)
}

const (
	// bodyMapField names stored data that is the body of a request. It is a secret and never crosses.
	bodyMapField = "Hoft-Body-Map"
	// dataAuthField shows a token of the Direct Data API, as Authorization does there.
	dataAuthField = "Hoft-Data-Authorization"
	// calleeTypeField tells the media type of an answer that was kept as data.
	calleeTypeField = "Hoft-Content-Type"
	// mapField carries the map of an answer that was kept as data.
	mapField = "Safe-Data-Map"

	returnDataMap = "return=data-map"
)

// storedBody has stored data be the body where the caller names some. Who may do that is who may read it by the
// Direct Data API: a token of the scope read, where that has tokens, besides the map.
func (c *call) storedBody() *exchange.Problem {
	ids := c.r.Header.Values(bodyMapField)
	if len(ids) == 0 && !c.keep {
		return nil
	}
	if c.s.stored == nil {
		return exchange.Problemf(exchange.CodeBadRequest, "this site has no Direct Data API (data.listen), so %s and Prefer: %s mean nothing here", bodyMapField, returnDataMap)
	}
	var p *exchange.Problem
	if c.keepFor, p = c.s.stored.Admit(c.r.Header.Get(dataAuthField), c.keep); p != nil || len(ids) == 0 {
		return p
	}
	if c.keep { // a token that may write need not be one that may read
		if _, p = c.s.stored.Admit(c.r.Header.Get(dataAuthField), false); p != nil {
			return p
		}
	}
	switch {
	case len(ids) > 1:
		return exchange.Problemf(exchange.CodeBadRequest, "field %s: name one map", bodyMapField)
	case c.r.ContentLength != 0:
		return exchange.Problemf(exchange.CodeBadRequest, "send a body, or name one in %s, not both", bodyMapField)
	}
	m, p := c.s.stored.Map(ids[0])
	if p != nil {
		return p
	}
	size := m.Size()
	if c.rt.maxBody > 0 && size > c.rt.maxBody {
		return tooLarge(c.rt.maxBody)
	}
	c.out.Stored, c.out.Length = m, size
	sum := httpfields.NewDigest(c.out.Fields)
	if sum != nil {
		c.out.StoredSum = sum
	}
	if len(m.Entries) == 0 && size == 0 {
		if c.out.Stored = nil; sum.Wrong() != "" {
			return exchange.Problemf(exchange.CodeDigest, "the stored data is empty, and Content-Digest is of something else")
		}
	}
	return nil
}

// keepable says whether an answer is kept as data: a good one that has a body. Others are passed on as they are.
func (c *call) keepable(resp *exchange.Response) bool {
	return c.keep && resp.Status >= 200 && resp.Status < 300 && (&reply{method: c.r.Method, resp: resp}).hasBody()
}

// answerMap keeps the body of an answer as data and gives the caller its map.
func (c *call) answerMap(resp *exchange.Response) {
	text, id, p := c.s.stored.Keep(c.r.Context(), c.keepFor, resp.Body)
	if p != nil {
		c.end(c.s.problem(c.w, c.r, p, c.about), p.Code)
		return
	}
	c.patience.applied = append(c.patience.applied, returnDataMap)
	h := c.w.Header()
	h.Set(mapField, id)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if kind := httpfields.Values(resp.Fields, "Content-Type"); len(kind) == 1 {
		h.Set(calleeTypeField, kind[0])
	}
	h.Add("Via", "1.1 "+httpfields.Pseudonym(c.s.site))
	h.Add("Proxy-Status", c.s.answered(c.peerName(resp), resp.Status))
	h["Hoft-Exchange"] = []string{c.about.id}
	c.setApplied(h)
	extendWrite(c.w)
	c.w.WriteHeader(http.StatusOK)
	n, _ := c.w.Write(append(text, '\n')) // the caller left; what was kept stays
	c.written = int64(n)
	c.end(http.StatusOK, "")
}
