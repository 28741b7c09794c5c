package httpfields

import (
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
)

// AppendVia records one more hop (RFC 9110 section 7.6.3): the protocol in which the message came, such
// as "1.1", and the site that passes it on, as a pseudonym.
func AppendVia(fields exchange.Fields, protocol, site string) exchange.Fields {
	return append(fields, exchange.Field{Name: "Via", Value: protocol + " " + Pseudonym(site)})
}

// Passed says whether a Via field tells that the message already came through the site.
func Passed(fields exchange.Fields, site string) bool {
	own := Pseudonym(site)
	for _, value := range Values(fields, "Via") {
		for element := range strings.SplitSeq(withoutComments(value), ",") {
			if parts := strings.Fields(element); len(parts) >= 2 && strings.EqualFold(parts[1], own) {
				return true
			}
		}
	}
	return false
}

// Pseudonym is the site's name as a token: other characters become "_".
func Pseudonym(site string) string {
	if Token(site) {
		return site
	}
	name := []byte(site)
	for i, c := range name {
		if !tokenByte(c) {
			name[i] = '_'
		}
	}
	if len(name) == 0 {
		return "hoft"
	}
	return string(name)
}

// withoutComments cuts "(…)" out of a Via value: a comment may hold commas (RFC 9110 section 5.6.5).
func withoutComments(s string) string {
	if !strings.Contains(s, "(") {
		return s
	}
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}
