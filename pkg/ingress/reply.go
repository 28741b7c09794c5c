package ingress

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// answer passes the callee's response on. When it breaks off, the caller's connection does too: the panic is
// net/http's way to say so.
func (c *call) answer(resp *exchange.Response) {
	defer resp.Body.Close()
	if p := checkResponse(resp); p != nil {
		c.end(c.s.problem(c.w, c.r, p, c.about), p.Code)
		return
	}
	if c.keepable(resp) {
		c.answerMap(resp)
		return
	}
	out := &reply{w: c.w, method: c.r.Method, resp: resp}
	h := c.w.Header()
	out.head(h)
	if c.rt.stripped != "" {
		c.mapOrigins(h)
	}
	h.Add("Via", "1.1 "+httpfields.Pseudonym(c.s.site))
	h.Add("Proxy-Status", c.s.answered(c.peerName(resp), resp.Status))
	h["Hoft-Exchange"] = []string{c.about.id}
	h.Add("Server-Timing", timing(time.Since(c.begun), resp.Callee.Duration))
	c.setApplied(h)
	if resp.Replayed {
		h.Set("Hoft-Replayed", "true")
	}
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		h.Add("Vary", "Prefer") // another caller may get 202 (RFC 7240 section 2)
	}
	err := out.send()
	c.written = out.written
	if err != nil {
		c.end(resp.Status, "broken-off")
		reset(c.r)
		panic(http.ErrAbortHandler)
	}
	c.end(resp.Status, "")
}

func (c *call) peerName(resp *exchange.Response) string {
	if resp.PeerName != "" {
		return resp.PeerName
	}
	return c.rt.peerName
}

// checkResponse refuses what must not reach a caller's parser.
func checkResponse(resp *exchange.Response) *exchange.Problem {
	if resp.Status < 200 || resp.Status > 999 {
		return exchange.Problemf(exchange.CodeCalleeBroken, "the answer has status %d, which ends no exchange", resp.Status)
	}
	if err := httpfields.Check(resp.Fields); err != nil {
		return exchange.Problemf(exchange.CodeCalleeBroken, "the answer: %v", err)
	}
	return nil
}

// mapOrigins puts the prefix back that the route took off.
func (c *call) mapOrigins(h http.Header) {
	m := c.rt.mapping(c.out.Scheme, c.out.Host)
	for _, name := range []string{"Location", "Content-Location"} {
		for i, v := range h[name] {
			h[name][i] = m.URL(v)
		}
	}
	for i, v := range h["Set-Cookie"] {
		h["Set-Cookie"][i] = m.Cookie(v)
	}
}

// timing gives the whole time and the callee's, each by one clock alone.
func timing(total, origin time.Duration) string {
	ms := func(d time.Duration) string { return strconv.FormatFloat(max(0, d.Seconds()*1000), 'f', 1, 64) }
	return "pipe_total;dur=" + ms(total-origin) + ", origin;dur=" + ms(origin)
}

// reply writes one response.
type reply struct {
	w       http.ResponseWriter
	method  string
	resp    *exchange.Response
	written int64
}

// head sets the end-to-end fields, the length, and what keeps net/http from adding its own.
func (o *reply) head(h http.Header) {
	httpfields.AddTo(h, httpfields.Strip(o.resp.Fields))
	if _, has := h["Content-Type"]; !has {
		h["Content-Type"] = nil // else it would be guessed
	}
	switch {
	case o.resp.Length >= 0:
		h["Content-Length"] = []string{strconv.FormatInt(o.resp.Length, 10)}
	case o.hasBody():
		if names := announced(o.resp.Fields); len(names) > 0 {
			h["Trailer"] = []string{strings.Join(names, ", ")}
		}
	}
}

// announced are the trailers' names that the answer's head tells.
func announced(fields exchange.Fields) []string {
	var names []string
	for _, name := range httpfields.List(fields, "Trailer") {
		if len(httpfields.Trailers(exchange.Fields{{Name: name}})) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// hasBody: RFC 9110 section 6.4.1.
func (o *reply) hasBody() bool {
	return o.method != http.MethodHead && o.resp.Status != http.StatusNoContent && o.resp.Status != http.StatusNotModified
}

// send writes head, body and trailers. An error means that the caller has not got the whole answer.
func (o *reply) send() error {
	extendWrite(o.w)
	o.w.WriteHeader(o.resp.Status)
	if !o.hasBody() {
		return nil
	}
	ctl := http.NewResponseController(o.w)
	if o.resp.Length < 0 {
		_ = ctl.Flush() // the head is not to wait for a first byte that may come late
	}
	if err := o.copy(ctl); err != nil {
		_ = ctl.Flush() // the head at least; the caller may have gone
		return err
	}
	if o.resp.Length >= 0 {
		if o.written != o.resp.Length {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	o.trail()
	return nil
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copy passes on each piece as it comes. The last one of a known length goes out with the end of the handler.
func (o *reply) copy(ctl *http.ResponseController) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, rerr := o.resp.Body.Read(buf[:])
		if n > 0 {
			extendWrite(o.w)
			m, err := o.w.Write(buf[:n])
			o.written += int64(m)
			if err != nil {
				return err
			}
			if rerr == nil && o.written != o.resp.Length {
				if err := ctl.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
					return err
				}
			}
		}
		switch {
		case rerr == io.EOF, rerr != nil && o.written == o.resp.Length: // a caller that has all of it may leave before the end is read
			return nil
		case rerr != nil:
			return rerr
		}
	}
}

// trail sends the trailers. The head is out, so the fields of the map would only get in their way.
func (o *reply) trail() {
	h := o.w.Header()
	clear(h)
	for _, f := range httpfields.Trailers(o.resp.Trailers()) {
		h.Add(http.TrailerPrefix+http.CanonicalHeaderKey(f.Name), f.Value)
	}
}

// extendWrite gives the caller stallTimeout to take what is written next.
func extendWrite(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(stallTimeout)) // not every connection can
}

// reset has the connection end with a reset where its plain end would look like the body's: an HTTP/1.0
// caller has no other sign.
func reset(r *http.Request) {
	if r.ProtoAtLeast(1, 1) {
		return
	}
	switch conn := r.Context().Value(connKey{}).(type) {
	case *net.TCPConn:
		_ = conn.SetLinger(0)
	case *tls.Conn: // its own end would be a proper one too
		if tcp, ok := conn.NetConn().(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.NetConn().Close()
	}
}
