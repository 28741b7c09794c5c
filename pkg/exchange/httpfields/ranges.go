package httpfields

import (
	"net/http"
	"strings"
)

// BytesRange gives r as http.ServeContent understands it: without a Range of another unit than bytes, which it would refuse and a
// server must ignore (RFC 9110 section 14.2), and with that unit in lower case (section 14.1). r itself is left as it is.
func BytesRange(r *http.Request) *http.Request {
	value := r.Header.Get("Range")
	unit, rest, ok := strings.Cut(value, "=")
	if value == "" || ok && unit == "bytes" {
		return r
	}
	r = r.Clone(r.Context())
	if ok && strings.EqualFold(unit, "bytes") {
		r.Header.Set("Range", "bytes="+rest)
	} else {
		r.Header.Del("Range")
	}
	return r
}
