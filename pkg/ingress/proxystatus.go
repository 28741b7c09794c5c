package ingress

import (
	"fmt"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
)

// farCodes are problems that the answering site alone finds. Others tell by Problem.Far, but where they come out of the store.
var farCodes = map[string]bool{
	exchange.CodeResponseLarge: true, exchange.CodeDenied: true, exchange.CodeNoUpstream: true, exchange.CodeCalleeRefused: true,
	exchange.CodeCalleeDNS: true, exchange.CodeCalleeTLS: true, exchange.CodeCalleeTimeout: true, exchange.CodeCalleeBroken: true,
	exchange.CodeAddressRefused: true, exchange.CodeUnsupported: true, exchange.CodePoison: true, exchange.CodeCalleeAway: true, exchange.CodeCalleeLogin: true,
}

// answered is the Proxy-Status (RFC 9209 section 2) of a callee's answer: the site nearest the callee first.
func (s *Server) answered(peer string, status int) string {
	return fmt.Sprintf("%s; received-status=%d, %s; next-hop=%s", item(peer), status, item(s.site), sfString(peer))
}

// failed is the Proxy-Status of a problem; peer is "" where the call was not routed. The text of the problem does not
// go into details: it may name things that only the operator should see.
func (s *Server) failed(peer string, p *exchange.Problem) string {
	kind := exchange.Kinds[p.Code]
	own, hop := item(s.site), ""
	if peer != "" {
		hop = "; next-hop=" + sfString(peer)
	}
	if kind.ProxyError == "" {
		return own + hop
	}
	if peer != "" && (p.Far || farCodes[p.Code]) {
		return fmt.Sprintf("%s; error=%s, %s%s", item(peer), kind.ProxyError, own, hop)
	}
	return fmt.Sprintf("%s; error=%s%s", own, kind.ProxyError, hop)
}

// item is a name as an sf-token, or as an sf-string where it is none (RFC 8941 sections 3.3.3 and 3.3.4).
func item(name string) string {
	if name == "" {
		return "hoft"
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '*'
		if !letter && (i == 0 || !(c >= '0' && c <= '9') && strings.IndexByte("!#$%&'+-.^_`|~:/", c) < 0) {
			return sfString(name)
		}
	}
	return name
}

// sfString quotes; what ASCII cannot show becomes "?".
func sfString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c < ' ' || c > '~':
			b.WriteByte('?')
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
