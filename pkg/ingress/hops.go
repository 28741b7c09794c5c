package ingress

import (
	"net/http"
	"strconv"

	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
)

// answeredHere deals with Max-Forwards (RFC 9110 section 7.6.2), where the two sites of a pipe count as one: at 0
// the request ends here, above it one is taken off.
func (c *call) answeredHere(target httptarget.Target) bool {
	if c.r.Method != http.MethodTrace && c.r.Method != http.MethodOptions {
		return false
	}
	left, err := strconv.ParseUint(c.r.Header.Get("Max-Forwards"), 10, 31)
	if err != nil {
		return false
	}
	if left > 0 {
		c.r.Header.Set("Max-Forwards", strconv.FormatUint(left-1, 10))
		return false
	}
	h := c.w.Header()
	h.Set("Proxy-Status", item(c.s.site))
	extendWrite(c.w)
	if c.r.Method == http.MethodOptions {
		h.Set("Content-Length", "0")
		c.w.WriteHeader(http.StatusOK)
	} else {
		c.reflect(target)
	}
	c.end(http.StatusOK, "max-forwards")
	return true
}

// reflect is the answer to TRACE (RFC 9110 section 9.3.8), without the fields that may hold secrets.
func (c *call) reflect(target httptarget.Target) {
	text := []byte("TRACE " + target.Raw + " " + c.r.Proto + "\r\nHost: " + c.r.Host + "\r\n")
	for _, f := range httpfields.FromHeader(c.r.Header) {
		switch f.Name {
		case c.s.callers.Field(), "Authorization", "Proxy-Authorization", "Cookie", "Idempotency-Key":
			continue
		}
		text = append(text, f.Name+": "+f.Value+"\r\n"...)
	}
	c.w.Header().Set("Content-Type", "message/http")
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(text)
}
