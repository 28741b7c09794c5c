package seal

import "encoding/base64"

// maxHeader is the longest header accepted, in decoded bytes. The real ones have below 400.
const maxHeader = 1 << 10

// header is a decoded protected header. The slices share the decoded buffer.
type header struct {
	alg, cty, enc, kid, typ []byte
	epk                     bool
	kty, crv, x, y          []byte
}

// parseHeader decodes one base64url part into a header: a JSON object (RFC 8259) of known members, each
// once, in any order, whose values are plain strings, and epk, an object of the same kind. White space
// and escapes are refused, so that a header has one spelling but for its order. It returns "" or what
// is wrong. This is the whole check against crit, zip, jwk, jku, x5u, x5c, apu, apv, p2c and whatever
// else a library might act upon: such members are unknown here.
func parseHeader(part []byte, h *header) string {
	if base64.RawURLEncoding.DecodedLen(len(part)) > maxHeader {
		return "header longer than 1 KiB"
	}
	raw := make([]byte, base64.RawURLEncoding.DecodedLen(len(part)))
	n, err := base64.RawURLEncoding.Decode(raw, part)
	if err != nil {
		return "header is not base64url"
	}
	c := cursor{b: raw[:n]}
	msg := c.object(func(name []byte) string {
		switch string(name) {
		case "alg":
			return c.once(&h.alg)
		case "cty":
			return c.once(&h.cty)
		case "enc":
			return c.once(&h.enc)
		case "kid":
			return c.once(&h.kid)
		case "typ":
			return c.once(&h.typ)
		case "epk":
			if h.epk {
				return "a header member comes twice"
			}
			h.epk = true
			return c.object(func(name []byte) string {
				switch string(name) {
				case "kty":
					return c.once(&h.kty)
				case "crv":
					return c.once(&h.crv)
				case "x":
					return c.once(&h.x)
				case "y":
					return c.once(&h.y)
				}
				return "a member in epk that does not belong there"
			})
		}
		return "a header member that does not belong there"
	})
	if msg == "" && c.i != len(c.b) {
		return "bytes behind the header object"
	}
	return msg
}

// cursor reads the small part of JSON that a header needs.
type cursor struct {
	b []byte
	i int
}

func (c *cursor) take(want byte) bool {
	if c.i < len(c.b) && c.b[c.i] == want {
		c.i++
		return true
	}
	return false
}

// text reads a string of printable ASCII without escapes.
func (c *cursor) text() (s []byte, ok bool) {
	if !c.take('"') {
		return nil, false
	}
	for start := c.i; c.i < len(c.b); c.i++ {
		switch ch := c.b[c.i]; {
		case ch == '"':
			c.i++
			return c.b[start : c.i-1], true
		case ch < 0x20 || ch > 0x7e || ch == '\\':
			return nil, false
		}
	}
	return nil, false
}

// once reads a string value into a member that must not have one yet.
func (c *cursor) once(dst *[]byte) string {
	if *dst != nil {
		return "a header member comes twice"
	}
	s, ok := c.text()
	if !ok {
		return "a header value that is not a plain string"
	}
	*dst = s
	return ""
}

// object reads {"name":value,…}; member reads the value of each name.
func (c *cursor) object(member func(name []byte) string) string {
	const broken = "header is not a plain JSON object"
	if !c.take('{') {
		return broken
	}
	for {
		name, ok := c.text()
		if !ok || !c.take(':') {
			return broken
		}
		if msg := member(name); msg != "" {
			return msg
		}
		if c.take(',') {
			continue
		}
		if c.take('}') {
			return ""
		}
		return broken
	}
}

// Lengths of base64url texts.
const (
	len32   = 43 // 32 bytes: a thumbprint, a coordinate of P-256, an HMAC-SHA-256
	lenIV   = 16 // 96 bits
	lenTag  = 22 // 128 bits
	lenWrap = 54 // 40 bytes: a 256-bit key wrapped by RFC 3394
	lenSig  = 86 // 64 bytes: an Ed25519 signature
)

func is64(s []byte, n int) bool {
	if len(s) != n {
		return false
	}
	for _, c := range s {
		if value64[c] == 0xff {
			return false
		}
	}
	return canonical(s)
}

// outer checks a JWE header against the suite: exactly {alg,cty,enc,epk,kid,typ} and
// epk exactly {kty,crv,x,y}, or with a pre-shared secret exactly {alg,cty,enc,kid,typ}.
func (h *header) outer(psk bool) string {
	alg := "ECDH-ES"
	if psk {
		alg = "A256KW"
	}
	switch {
	case string(h.alg) != alg:
		return "alg is not " + alg
	case string(h.enc) != "A256GCM":
		return "enc is not A256GCM"
	case string(h.cty) != ctyJWT:
		return "cty is not " + ctyJWT
	case string(h.typ) != typFrame:
		return "typ is not " + typFrame
	case !is64(h.kid, len32):
		return "kid is not a thumbprint"
	case psk && h.epk:
		return "epk does not belong there"
	case psk:
		return ""
	case !h.epk:
		return "epk is missing"
	case string(h.kty) != "EC" || string(h.crv) != "P-256":
		return "epk is not on P-256"
	case !is64(h.x, len32) || !is64(h.y, len32):
		return "epk has malformed coordinates"
	}
	return ""
}

// inner checks a JWS header: exactly {alg,kid,typ}.
func (h *header) inner(psk bool, typ string) string {
	alg := "EdDSA"
	if psk {
		alg = "HS256"
	}
	switch {
	case string(h.alg) != alg:
		return "inner alg is not " + alg
	case string(h.typ) != typ:
		return "inner typ is not " + typ
	case !is64(h.kid, len32):
		return "inner kid is not a thumbprint"
	case h.cty != nil || h.enc != nil || h.epk:
		return "an inner header member that does not belong there"
	}
	return ""
}
