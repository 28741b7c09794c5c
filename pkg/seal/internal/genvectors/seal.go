package main

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

func sealVectors() map[string]*vector {
	s := newScene()
	s.good()
	s.names()
	s.cuts()
	s.shapes()
	s.headers()
	s.decryption()
	s.signatures()
	s.statements()
	s.secrets()
	s.signedMode()
	return s.out
}

func (s *scene) three() [][]byte {
	var out [][]byte
	for i := range 3 {
		out = append(out, forge.Seal(s.b, s.inner(s.claimsOf(i, 3))))
	}
	return out
}

func (s *scene) good() {
	name, l := s.name.String(), s.three()
	s.line("ok-one-line", "one line", "ok", s.right())
	s.file("keys", "ok-three-lines", "three lines", "ok", name, []int{0, 1, 2}, lines(l...))
	s.file("keys", "ok-no-last-newline", "the last line is whole without its newline", "ok", name, []int{0, 1, 2}, bytes.TrimSuffix(lines(l...), []byte("\n")))
	s.file("keys", "ok-lines-turned", "each line says its place: the order in the file means nothing", "ok", name, []int{2, 0, 1}, lines(l[2], l[0], l[1]))
	s.line("ok-header-order", "the members of both headers in another order", "ok", forge.JWE(s.b.Enc.PublicKey(), func(epk string) string {
		return `{"typ":"hoft-frame+jwt","kid":"` + s.b.EncKid + `","epk":` + epk + `,"enc":"A256GCM","cty":"JWT","alg":"ECDH-ES"}`
	}, forge.JWS(s.a.Sig, `{"typ":"hoft-frame+jwt","kid":"`+s.a.SigKid+`","alg":"EdDSA"}`, s.claims())))
	s.line("ok-retired-key", "sealed to a key that was replaced and is still live", "ok",
		forge.Line(s.a, s.retired, forge.Claims(s.a.ID, s.b.ID, s.retired.EncKid, s.name.Seq, 0, 1, 0)))
	s.line("ok-claims-order", "the members of the claims in another order", "ok", s.said(func(c string) string {
		return strings.Replace(swap(`{"v":1,`, `{`)(c), `,"msg":`, `,"v":1,"msg":`, 1)
	}))
}

func (s *scene) names() {
	body := append(s.right(), '\n')
	for vec, name := range map[string]string{
		"name-other-recipient": forge.Name(s.a.ID, s.c.ID, s.name.Seq).String(),
		"name-unknown-sender":  forge.Name(identity.ID{1}, s.b.ID, s.name.Seq).String(),
		"name-pack":            frame.Name{Recipient: s.b.ID, Sender: s.a.ID, Seq: s.name.Seq, Ext: frame.ExtPack}.String(),
		"name-upper-case":      strings.ToUpper(s.name.String()[:36]) + s.name.String()[36:],
		"name-short-seq":       strings.Replace(s.name.String(), "--1", "--", 1),
		"name-suffix":          s.name.String() + ".tmp",
		"name-path":            "../" + s.name.String(),
	} {
		s.file("keys", vec, "not a file that this site opens", "name", name, nil, body)
	}
}

func (s *scene) cuts() {
	name, l := s.name.String(), s.three()
	all := lines(l...)
	for vec, c := range map[string]struct {
		opened []int
		body   []byte
	}{
		"truncated-in-second-line":   {[]int{0}, all[:len(l[0])+1+len(l[1])/2]},
		"truncated-in-tag":           {[]int{0, 1}, all[:len(all)-2]},
		"truncated-at-line-end":      {[]int{0, 1}, lines(l[:2]...)},
		"truncated-in-first-line":    {nil, l[0][:100]},
		"truncated-to-nothing":       {nil, nil},
		"truncated-middle-line-gone": {[]int{0, 2}, lines(l[0], l[2])},
		"truncated-first-line-gone":  {[]int{1, 2}, lines(l[1:]...)},
	} {
		s.file("keys", vec, "what came is good, and not all", "truncated", name, c.opened, c.body)
	}
}

func (s *scene) shapes() {
	t := s.right()
	str := func(edit func(string) string) []byte { return []byte(edit(string(t))) }
	s.file("keys", "charset-damaged-between-good", "the lines around a damaged one count", "charset", s.name.String(), []int{0, 2},
		func() []byte { l := s.three(); l[1][700] = '*'; return lines(l...) }())
	s.file("keys", "charset-empty-line", "an empty line is no line", "charset", s.name.String(), []int{0}, slices.Concat([]byte("\n"), t, []byte("\n")))
	s.line("charset-carriage-return-at-end", "lines end by a newline alone", "charset", append(bytes.Clone(t), '\r'))
	s.line("charset-carriage-return-inside", "libraries skip it within base64", "charset", part(t, 3, func(p string) string { return p[:40] + "\r" + p[40:] }))
	s.line("charset-space", "white space in the ciphertext", "charset", part(t, 3, func(p string) string { return p[:40] + " " + p[40:] }))
	s.line("charset-padding", "base64 padding", "charset", part(t, 4, func(p string) string { return p + "==" }))
	s.line("charset-standard-base64", "the other alphabet", "charset", part(t, 3, func(p string) string { return p[:8] + "+/" + p[10:] }))
	s.line("charset-byte-order-mark", "a byte order mark", "charset", str(func(x string) string { return "\ufeff" + x }))
	s.line("charset-four-parts", "a part is missing", "charset", str(func(x string) string { return x[:strings.LastIndexByte(x, '.')] }))
	s.line("charset-six-parts", "a part too many", "charset", str(func(x string) string { return x + "." }))
	s.line("charset-many-dots", "very many parts", "charset", bytes.Repeat([]byte("."), 10_000))
	s.line("charset-inner-token-alone", "a signed token that is not encrypted", "charset", s.inner(s.claims()))
	s.line("charset-json-serialization", "the JSON form of a JWE", "charset", []byte(`{"protected":"`+strings.Split(string(t), ".")[0]+`"}`))
	s.line("charset-encrypted-key", "ECDH-ES has no encrypted key (RFC 7516 section 5.2 step 10)", "charset", part(t, 1, func(string) string { return "AAAA" }))
	s.line("charset-long-iv", "an initialization vector of 16 bytes", "charset", part(t, 2, func(p string) string { return p + "AAAAAA" }))
	s.line("charset-spare-bits-tag", "spare bits of the tag", "charset", part(t, 4, spare))
	s.line("charset-boundary", "a byte moved from the tag to the ciphertext", "charset", func() []byte {
		x := string(t)
		i := strings.LastIndexByte(x, '.')
		return []byte(x[:i] + x[i+1:i+5] + "." + x[i+5:])
	}())
	for i := range 4 { // ciphertexts of which one has spare bits
		c := forge.Claims(s.a.ID, s.b.ID, s.b.EncKid, s.name.Seq, 0, 1, i)
		x := forge.Seal(s.b, s.inner(c))
		if p := strings.Split(string(x), ".")[3]; len(p)%4 != 0 {
			s.line("charset-spare-bits-ciphertext", "spare bits of the ciphertext", "charset", part(x, 3, spare))
			break
		}
	}
}

func (s *scene) headers() {
	for vec, c := range map[string]struct {
		comment string
		edit    func(string) string
	}{
		"crit":           {"an extension that must be understood", with(`"crit":["exp"],"exp":1`)},
		"b64":            {"RFC 7797", with(`"b64":false`)},
		"jwk":            {"a key brought along", with(`"jwk":{"kty":"oct","k":"AAAA"}`)},
		"jku":            {"a key to be fetched", with(`"jku":"https://example.org/keys"`)},
		"x5u":            {"a certificate to be fetched", with(`"x5u":"https://example.org/cert"`)},
		"x5c":            {"a certificate brought along", with(`"x5c":["AAAA"]`)},
		"apu":            {"party information", with(`"apu":"AAAA"`)},
		"apv":            {"party information", with(`"apv":"AAAA"`)},
		"p2c":            {"a count that would cost time", with(`"p2s":"AAAA","p2c":1000000`)},
		"unknown-member": {"an unknown member", with(`"x":"y"`)},
		"no-typ":         {"a missing member", swap(`,"typ":"hoft-frame+jwt"`, ``)},
		"no-cty":         {"a missing member", swap(`"cty":"JWT",`, ``)},
		"no-kid":         {"a missing member", swap(`"kid":"`+s.b.EncKid+`",`, ``)},
		"other-typ":      {"a token for something else", swap(`hoft-frame+jwt`, `JWT`)},
		"other-case":     {"names and values are compared byte by byte", swap(`"cty":"JWT"`, `"cty":"jwt"`)},
		"name-case":      {"names and values are compared byte by byte", swap(`"alg"`, `"Alg"`)},
		"alg-dir":        {"another algorithm", swap(`"ECDH-ES"`, `"dir"`)},
		"alg-wrap":       {"another algorithm", swap(`"ECDH-ES"`, `"ECDH-ES+A256KW"`)},
		"alg-pbes2":      {"another algorithm", swap(`"ECDH-ES"`, `"PBES2-HS512+A256KW"`)},
		"alg-psk":        {"the other suite; the peer has public keys", swap(`"ECDH-ES"`, `"A256KW"`)},
		"enc-128":        {"another content encryption", swap(`"A256GCM"`, `"A128GCM"`)},
		"enc-cbc":        {"another content encryption", swap(`"A256GCM"`, `"A256CBC-HS512"`)},
		"twice":          {"a member twice", with(`"alg":"ECDH-ES"`)},
		"epk-twice":      {"a member twice", with(`"epk":{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`)},
		"epk-d":          {"a private key", swap(`{"kty":"EC"`, `{"d":"AAAA","kty":"EC"`)},
		"epk-curve":      {"another curve", swap(`"P-256"`, `"P-384"`)},
		"epk-x25519":     {"another kind of key", swap(`"kty":"EC","crv":"P-256"`, `"kty":"OKP","crv":"X25519"`)},
		"epk-no-y":       {"a compressed point", swap(`,"y"`, `,"z"`)},
		"epk-string": {"epk is no object", func(h string) string {
			return h[:strings.Index(h, `"epk":`)] + `"epk":"x","kid":"` + s.b.EncKid + `","typ":"hoft-frame+jwt"}`
		}},
		"null":           {"a member that is null", swap(`"cty":"JWT"`, `"cty":null`)},
		"number":         {"a member that is a number", swap(`"cty":"JWT"`, `"cty":1`)},
		"white-space":    {"one spelling: no white space", swap(`,"cty"`, `, "cty"`)},
		"escape":         {"one spelling: no escapes", swap(`"cty":"JWT"`, `"cty":"\u004aWT"`)},
		"trailing":       {"bytes behind the object", func(h string) string { return h + "{}" }},
		"long":           {"a header of more than 1 KiB", with(`"pad":"` + strings.Repeat("x", 1024) + `"`)},
		"array":          {"no object", func(h string) string { return "[" + h + "]" }},
		"short-kid":      {"kid is no thumbprint", swap(s.b.EncKid, s.b.EncKid[:42])},
		"spare-bits-kid": {"kid is not canonical base64url", swap(s.b.EncKid, spare(s.b.EncKid))},
	} {
		s.line("header-"+vec, c.comment, "header", s.outer(c.edit))
	}
	s.line("header-zip", "a compressed payload: 240,000 bytes would come out", "header", forge.JWE(s.b.Enc.PublicKey(), func(epk string) string {
		return with(`"zip":"DEF"`)(forge.Outer(s.b.EncKid, epk))
	}, deflated()))
}

func (s *scene) decryption() {
	t := s.right()
	s.line("decrypt-unknown-key", "sealed to a key of another site", "decrypt", forge.Line(s.a, s.c, s.claims()))
	s.line("decrypt-deleted-key", "sealed to a key that was deleted", "decrypt", forge.Line(s.a, s.gone, forge.Claims(s.a.ID, s.b.ID, s.gone.EncKid, s.name.Seq, 0, 1, 0)))
	s.line("decrypt-wrong-kid", "kid names a live key, the line is sealed to another", "decrypt", forge.JWE(s.c.Enc.PublicKey(), func(epk string) string {
		return forge.Outer(s.b.EncKid, epk)
	}, s.inner(s.claims())))
	s.line("decrypt-changed-ciphertext", "a changed ciphertext", "decrypt", part(t, 3, flip))
	s.line("decrypt-changed-iv", "a changed initialization vector", "decrypt", part(t, 2, flip))
	s.line("decrypt-changed-tag", "a changed tag", "decrypt", part(t, 4, flip))
	s.line("decrypt-off-curve", "an ephemeral key that is no point of the curve", "decrypt", s.outer(func(h string) string {
		i := strings.Index(h, `"x":"`) + 5
		return h[:i] + flip(h[i:])
	}))
	s.line("decrypt-header-of-another-line", "the header of another line", "decrypt", part(t, 0, func(string) string {
		return strings.Split(string(s.right()), ".")[0]
	}))
}

// flip changes the first character.
func flip(p string) string {
	if p[0] == 'A' {
		return "B" + p[1:]
	}
	return "A" + p[1:]
}

func (s *scene) signatures() {
	claims := s.claims()
	right := s.inner(claims)
	kid := s.a.SigKid
	sign := func(header string) []byte { return forge.JWS(s.a.Sig, header, claims) }
	for vec, c := range map[string]struct {
		comment string
		inner   []byte
	}{
		"none":            {"no signature, and said so", []byte(forge.B64([]byte(forge.Inner("none", kid))) + "." + forge.B64(claims) + ".")},
		"none-with-bytes": {"no signature, and said so", sign(forge.Inner("none", kid))},
		"hmac-public-key": {"an HMAC with the public key as its secret", forge.HS256(s.a.Sig.Public().(ed25519.PublicKey), forge.Inner("HS256", kid), claims)},
		"alg-ed25519":     {"the other name of the algorithm (RFC 9864)", sign(forge.Inner("Ed25519", kid))},
		"alg-es256":       {"another algorithm", sign(forge.Inner("ES256", kid))},
		"unknown-key":     {"a key that was never accepted", forge.JWS(s.gone.Sig, forge.Inner("EdDSA", s.gone.SigKid), claims)},
		"other-peer":      {"another peer in the sender's name, under its own key", forge.JWS(s.c.Sig, forge.Inner("EdDSA", s.c.SigKid), claims)},
		"other-peer-kid":  {"another peer in the sender's name, under the sender's kid", forge.JWS(s.c.Sig, forge.Inner("EdDSA", kid), claims)},
		"changed-payload": {"changed claims", part(right, 1, func(p string) string { return flip(p) })},
		"changed":         {"a changed signature", part(right, 2, flip)},
		"spare-bits":      {"spare bits of the signature", part(right, 2, spare)},
		"carriage-return": {"libraries skip it within base64", part(right, 1, func(p string) string { return p[:8] + "\r" + p[8:] })},
		"short":           {"a short signature", part(right, 2, func(p string) string { return p[:84] })},
		"two-parts":       {"a part is missing", []byte(strings.Join(strings.Split(string(right), ".")[:2], "."))},
		"four-parts":      {"a part too many", append(bytes.Clone(right), '.')},
		"claims-alone":    {"claims that nobody signed", claims},
		"encrypted-twice": {"a JWE within the JWE", s.right()},
		"detached":        {"an empty payload", part(right, 1, func(string) string { return "" })},
		"b64":             {"RFC 7797", sign(`{"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"` + kid + `","typ":"hoft-frame+jwt"}`)},
		"jwk":             {"a key brought along", sign(`{"alg":"EdDSA","jwk":{"kty":"OKP"},"kid":"` + kid + `","typ":"hoft-frame+jwt"}`)},
		"cty":             {"a member of the outer header", sign(`{"alg":"EdDSA","cty":"JWT","kid":"` + kid + `","typ":"hoft-frame+jwt"}`)},
		"no-typ":          {"a missing member", sign(`{"alg":"EdDSA","kid":"` + kid + `"}`)},
		"other-typ":       {"a token for something else", sign(`{"alg":"EdDSA","kid":"` + kid + `","typ":"JWT"}`)},
		"twice":           {"a member twice", sign(`{"alg":"EdDSA","alg":"EdDSA","kid":"` + kid + `","typ":"hoft-frame+jwt"}`)},
		"white-space":     {"one spelling: no white space", sign(`{"alg":"EdDSA", "kid":"` + kid + `","typ":"hoft-frame+jwt"}`)},
		"json":            {"the JSON form of a JWS", []byte(`{"payload":"` + forge.B64(claims) + `","signatures":[]}`)},
	} {
		s.line("signature-"+vec, c.comment, "signature", forge.Seal(s.b, c.inner))
	}
}

func (s *scene) statements() {
	id := func(x identity.ID) string { return x.String() }
	for vec, c := range map[string]struct {
		comment string
		edit    func(string) string
	}{
		"iss":            {"the sender names another peer", swap(`"iss":"`+id(s.a.ID), `"iss":"`+id(s.c.ID))},
		"aud":            {"a line for another site, sealed to this one", swap(`"aud":"`+id(s.b.ID), `"aud":"`+id(s.c.ID))},
		"aud-list":       {"aud is one site", swap(`"aud":"`+id(s.b.ID)+`"`, `"aud":["`+id(s.b.ID)+`"]`)},
		"rkt":            {"signed for another key of this site", swap(s.b.EncKid, s.retired.EncKid)},
		"seq":            {"a line of another file", swap(`"seq":1763798400123001`, `"seq":1763798400123002`)},
		"unknown-member": {"an unknown member", swap(`{"v"`, `{"exp":1,"v"`)},
		"twice":          {"a member twice", swap(`{"v":1`, `{"v":1,"v":1`)},
		"case":           {"names are compared byte by byte", swap(`"iat"`, `"Iat"`)},
		"utf8":           {"bad UTF-8", swap(`"GET"`, "\"\xff\"")},
		"trailing":       {"bytes behind the object", func(x string) string { return x + "{}" }},
		"empty":          {"no claims", func(string) string { return "" }},
	} {
		s.line("claims-"+vec, c.comment, "claims", s.said(c.edit))
	}
	s.line("claims-forwarded", "the recipient sealed a line for it to another peer, which this is", "claims",
		forge.Seal(s.b, s.inner(forge.Claims(s.a.ID, s.c.ID, s.c.EncKid, s.name.Seq, 0, 1, 0))))
	l := s.three()
	name := s.name.String()
	s.file("keys", "claims-idx-twice", "a line twice", "claims", name, []int{0, 1, 2}, lines(l[0], l[1], l[1], l[2]))
	fin := func(idx, n int) []byte { return forge.Seal(s.b, s.inner(s.claimsOf(idx, n))) }
	s.file("keys", "claims-two-ends", "fin twice", "claims", name, []int{0}, lines(fin(0, 1), fin(1, 2)))
	s.file("keys", "claims-behind-end", "a line above the one with fin", "claims", name, []int{0, 1}, lines(fin(0, 3), fin(1, 2), fin(2, 4)))
	s.line("version-2", "a later version", "version", s.said(swap(`{"v":1`, `{"v":2`)))
	s.line("version-2-unknown-members", "a later version with members unknown here", "version", s.said(swap(`{"v":1`, `{"v":2,"ek":"AAAA"`)))
	s.line("version-0", "no version that ever was", "version", s.said(swap(`{"v":1`, `{"v":0`)))
}

func (s *scene) secrets() {
	k := forge.Derive(s.psk, s.a.ID, s.b.ID)
	claims := forge.Claims(s.a.ID, s.b.ID, k.Kid, s.name.Seq, 0, 1, 0)
	inner := forge.HS256(k.Sign, forge.Inner("HS256", k.Kid), claims)
	right := func() []byte { return forge.JWEKW(k.Enc, forge.OuterPSK(k.Kid), inner) }
	outer := func(edit func(string) string) []byte { return forge.JWEKW(k.Enc, edit(forge.OuterPSK(k.Kid)), inner) }

	s.pskLine("ok-psk", "pre-shared secret", "ok", right())
	s.pskLine("charset-psk-empty-key", "no encrypted key: a library has panicked on it", "charset", part(right(), 1, func(string) string { return "" }))
	s.pskLine("charset-psk-short-key", "a short encrypted key", "charset", part(right(), 1, func(p string) string { return p[:43] }))
	s.pskLine("charset-psk-public-keys", "the suite with public keys from a peer that has a secret", "charset", s.right())
	s.line("charset-keys-psk", "the suite with a secret from a peer that has public keys", "charset", right())
	s.pskLine("header-psk-epk", "an ephemeral key does not belong there", "header", outer(with(`"epk":{"kty":"EC","crv":"P-256","x":"`+strings.Repeat("A", 43)+`","y":"`+strings.Repeat("A", 43)+`"}`)))
	s.pskLine("header-psk-alg", "another algorithm", "header", outer(swap("A256KW", "A128KW")))
	s.pskLine("header-psk-dir", "another algorithm", "header", outer(swap("A256KW", "dir")))
	s.pskLine("decrypt-psk-wrapped-key", "a changed encrypted key", "decrypt", part(right(), 1, flip))
	back := forge.Derive(s.psk, s.b.ID, s.a.ID)
	s.pskLine("decrypt-psk-reflected", "a line of the other direction", "decrypt", forge.JWEKW(back.Enc, forge.OuterPSK(back.Kid), forge.HS256(back.Sign, forge.Inner("HS256", back.Kid), claims)))
	s.pskLine("decrypt-psk-other-secret", "another secret under the right kid", "decrypt", forge.JWEKW(back.Enc, forge.OuterPSK(k.Kid), inner))
	s.pskLine("signature-psk-eddsa", "the other suite inside", "signature", forge.JWEKW(k.Enc, forge.OuterPSK(k.Kid), forge.JWS(s.a.Sig, forge.Inner("EdDSA", s.a.SigKid), claims)))
	s.pskLine("signature-psk-wrong-key", "signed with the key for encrypting", "signature", forge.JWEKW(k.Enc, forge.OuterPSK(k.Kid), forge.HS256(k.Enc, forge.Inner("HS256", k.Kid), claims)))
	s.pskLine("signature-psk-kid", "another kid inside", "signature", forge.JWEKW(k.Enc, forge.OuterPSK(k.Kid), forge.HS256(k.Sign, forge.Inner("HS256", back.Kid), claims)))
	s.pskLine("claims-psk-rkt", "signed for another key", "claims", forge.JWEKW(k.Enc, forge.OuterPSK(k.Kid), forge.HS256(k.Sign, forge.Inner("HS256", k.Kid), s.claims())))
}
