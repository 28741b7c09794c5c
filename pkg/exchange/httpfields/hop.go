package httpfields

import (
	"net/textproto"
	"slices"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
)

// hop names what belongs to one connection (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2), what is made
// anew for the next one (Content-Length, Expect), and Proxy, which CGI servers would take for HTTP_PROXY.
// Trailer and TE are rebuilt by the edges from the trailers that do cross.
var hop = map[string]bool{
	"Connection":                true,
	"Content-Length":            true,
	"Expect":                    true,
	"Http2-Settings":            true,
	"Keep-Alive":                true,
	"Proxy":                     true,
	"Proxy-Authenticate":        true,
	"Proxy-Authentication-Info": true,
	"Proxy-Authorization":       true,
	"Proxy-Connection":          true,
	"Te":                        true,
	"Trailer":                   true,
	"Transfer-Encoding":         true,
	"Upgrade":                   true,
}

// Strip gives the end-to-end fields: without what belongs to one hop and without everything that a
// Connection field names. fields itself is left as it is.
func Strip(fields exchange.Fields) exchange.Fields {
	named := List(fields, "Connection")
	out := make(exchange.Fields, 0, len(fields))
	for _, f := range fields {
		if hop[textproto.CanonicalMIMEHeaderKey(f.Name)] {
			continue
		}
		if slices.ContainsFunc(named, func(n string) bool { return strings.EqualFold(n, f.Name) }) {
			continue
		}
		out = append(out, f)
	}
	return out
}

// Trailers gives those fields that may come after a body: nothing that frames, routes or describes the
// message (RFC 9110 section 6.5.1), nothing that belongs to one hop, nothing malformed.
func Trailers(fields exchange.Fields) exchange.Fields {
	var out exchange.Fields
	for _, f := range Strip(fields) {
		if name := textproto.CanonicalMIMEHeaderKey(f.Name); Token(f.Name) && Text(f.Value) && !neverTrails[name] {
			out = append(out, f)
		}
	}
	return out
}

var neverTrails = map[string]bool{
	"Authorization":       true,
	"Cache-Control":       true,
	"Content-Encoding":    true,
	"Content-Range":       true,
	"Content-Type":        true,
	"Cookie":              true,
	"Host":                true,
	"Max-Forwards":        true,
	"Proxy-Authorization": true,
	"Set-Cookie":          true,
	"Te":                  true,
	"Www-Authenticate":    true,
}

// WantsTrailers says whether TE: trailers is among the fields (RFC 9110 section 10.1.4).
func WantsTrailers(fields exchange.Fields) bool {
	for _, element := range List(fields, "Te") {
		name, _, _ := strings.Cut(element, ";")
		if strings.EqualFold(textproto.TrimString(name), "trailers") {
			return true
		}
	}
	return false
}
