package ingress

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// forward says who the caller is (RFC 7239, and the older X-Forwarded-For, -Host, -Proto). What came in is
// believed and added to only when a trusted proxy sent it; from others it is a forgery and goes.
//
// The protocol is that of the connection, not of the target: https in an absolute-form target says what its sender wants, not
// that nobody reads along.
func (s *Server) forward(fields exchange.Fields, r *http.Request) exchange.Fields {
	scheme := received(r)
	peer := remoteHost(r)
	trusted := s.trusts(peer)
	earlier := httpfields.Values(fields, "X-Forwarded-For")
	out := slices.DeleteFunc(fields, func(f exchange.Field) bool {
		name := strings.ToLower(strings.ReplaceAll(f.Name, "_", "-")) // CGI takes _ for -
		return name == "x-forwarded-for" || !trusted && (name == "forwarded" || strings.HasPrefix(name, "x-forwarded-"))
	})
	if !trusted {
		earlier = nil
	}
	out = append(out,
		exchange.Field{Name: "Forwarded", Value: s.element(peer, r.Host, scheme)},
		exchange.Field{Name: "X-Forwarded-For", Value: strings.Join(append(earlier, peer), ", ")})
	if r.Host != "" && httpfields.Get(out, "X-Forwarded-Host") == "" {
		out = append(out, exchange.Field{Name: "X-Forwarded-Host", Value: r.Host})
	}
	if httpfields.Get(out, "X-Forwarded-Proto") == "" {
		out = append(out, exchange.Field{Name: "X-Forwarded-Proto", Value: scheme})
	}
	return out
}

// element is one forwarded-element (RFC 7239 section 4).
func (s *Server) element(client, host, scheme string) string {
	node := client
	if strings.Contains(node, ":") {
		node = "[" + node + "]"
	}
	parts := []string{"for=" + quoted(node)}
	if host != "" {
		parts = append(parts, "host="+quoted(host))
	}
	return strings.Join(append(parts, "proto="+scheme, "by="+obfuscated(s.site)), ";")
}

// obfuscated is a site's name as an obfuscated identifier (RFC 7239 section 6.3).
func obfuscated(site string) string {
	return "_" + strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' {
			return c
		}
		return '_'
	}, site)
}

// quoted is s as a token, or as a quoted-string where it is none (RFC 9110 section 5.6.4).
func quoted(s string) string {
	if httpfields.Token(s) {
		return s
	}
	return `"` + escaper.Replace(s) + `"`
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// client is the caller's address: the last one in X-Forwarded-For that is no trusted proxy, if a trusted
// proxy sent it.
func (s *Server) client(r *http.Request) string {
	client := remoteHost(r)
	hops := httpfields.List(httpfields.FromHeader(http.Header{"X-Forwarded-For": r.Header["X-Forwarded-For"]}), "X-Forwarded-For")
	for _, hop := range slices.Backward(hops) {
		if !s.trusts(client) {
			break
		}
		if _, err := netip.ParseAddr(hop); err != nil {
			break
		}
		client = hop
	}
	return client
}

func (s *Server) trusts(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(s.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// remoteHost is the address of the connection's other end, without port.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
