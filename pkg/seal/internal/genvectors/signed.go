package main

import (
	"bytes"
	"strings"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

// signedMode adds vectors of links in signed mode. Both algorithms have no random part, so a sealer must make exactly the
// lines of those that are right.
func (s *scene) signedMode() {
	name := s.name
	name.Ext = frame.ExtSigned
	add := func(mode, vec, comment, expect string, line []byte) {
		var opened []int
		if expect == "ok" {
			opened = []int{0}
		}
		s.file(mode, vec, comment, expect, name.String(), opened, append(bytes.Clone(line), '\n'))
	}
	keys := func(vec, comment, expect string, line []byte) { add("signed", vec, comment, expect, line) }
	kid := s.a.SigKid
	sign := func(claims []byte) []byte { return forge.JWS(s.a.Sig, forge.Signed("EdDSA", kid), claims) }
	under := func(header string) []byte { return forge.JWS(s.a.Sig, header, s.claims()) }
	right := sign(s.claims())

	keys("signed-ok", "one line", "ok", right)
	keys("signed-ok-retired-key", "bound to a key that was replaced and is still live", "ok",
		sign(forge.Claims(s.a.ID, s.b.ID, s.retired.EncKid, s.name.Seq, 0, 1, 0)))
	s.file("signed", "signed-ok-three-lines", "three lines", "ok", name.String(), []int{0, 1, 2},
		lines(sign(s.claimsOf(0, 3)), sign(s.claimsOf(1, 3)), sign(s.claimsOf(2, 3))))
	s.file("signed", "signed-truncated", "what came is good, and not all", "truncated", name.String(), []int{0},
		lines(sign(s.claimsOf(0, 3)), sign(s.claimsOf(1, 3))[:300])[:len(right)+200])

	s.file("keys", "signed-mode", "a signed file of a peer that is configured as encrypted", "mode", name.String(), nil, lines(right))
	s.file("signed", "signed-mode-encrypted", "an encrypted file of a peer that is configured as signed", "mode", s.name.String(), nil, lines(s.right()))

	keys("signed-charset-encrypted", "an encrypted token in a signed file", "charset", s.right())
	keys("signed-charset-two-parts", "a part is missing", "charset", right[:bytes.LastIndexByte(right, '.')])
	keys("signed-charset-short", "a short signature", "charset", part(right, 2, func(p string) string { return p[:84] }))
	keys("signed-charset-spare-bits", "spare bits of the signature", "charset", part(right, 2, spare))
	keys("signed-charset-carriage-return", "libraries skip it within base64", "charset", part(right, 1, func(p string) string { return p[:8] + "\r" + p[8:] }))
	keys("signed-charset-detached", "an empty payload", "charset", part(right, 1, func(string) string { return "" }))
	keys("signed-charset-json", "the JSON form of a JWS", "charset", []byte(`{"payload":"`+forge.B64(s.claims())+`","signatures":[]}`))

	keys("signed-header-typ", "the token inside of an encrypted line", "header", s.inner(s.claims()))
	keys("signed-header-none", "no signature, and said so", "header", under(forge.Signed("none", kid)))
	keys("signed-header-hmac", "another algorithm", "header", under(forge.Signed("HS256", kid)))
	keys("signed-header-b64", "RFC 7797", "header", under(strings.Replace(forge.Signed("EdDSA", kid), `{`, `{"b64":false,"crit":["b64"],`, 1)))
	keys("signed-header-jwk", "a key brought along", "header", under(strings.Replace(forge.Signed("EdDSA", kid), `{`, `{"jwk":{"kty":"OKP"},`, 1)))
	keys("signed-header-twice", "a member twice", "header", under(strings.Replace(forge.Signed("EdDSA", kid), `{`, `{"alg":"EdDSA",`, 1)))

	keys("signed-signature-changed", "a changed signature", "signature", part(right, 2, flip))
	keys("signed-signature-payload", "changed claims", "signature", part(right, 1, func(p string) string { return p[:100] + flip(p[100:]) }))
	keys("signed-signature-unknown-key", "a key that was never accepted", "signature", forge.JWS(s.gone.Sig, forge.Signed("EdDSA", s.gone.SigKid), s.claims()))
	keys("signed-signature-other-peer", "another peer in the sender's name", "signature", forge.JWS(s.c.Sig, forge.Signed("EdDSA", kid), s.claims()))

	keys("signed-claims-rkt", "bound to a key of another site", "claims", sign(forge.Claims(s.a.ID, s.b.ID, s.c.EncKid, s.name.Seq, 0, 1, 0)))
	keys("signed-claims-deleted-key", "bound to a key that was deleted", "claims", sign(forge.Claims(s.a.ID, s.b.ID, s.gone.EncKid, s.name.Seq, 0, 1, 0)))
	keys("signed-claims-aud", "a line for another site", "claims", sign(forge.Claims(s.a.ID, s.c.ID, s.b.EncKid, s.name.Seq, 0, 1, 0)))
	keys("signed-claims-iss", "the sender names another peer", "claims", sign(forge.Claims(s.c.ID, s.b.ID, s.b.EncKid, s.name.Seq, 0, 1, 0)))
	keys("signed-claims-seq", "a line of another file", "claims", sign(forge.Claims(s.a.ID, s.b.ID, s.b.EncKid, s.name.Seq+1, 0, 1, 0)))

	k := forge.Derive(s.psk, s.a.ID, s.b.ID)
	claims := forge.Claims(s.a.ID, s.b.ID, k.Kid, s.name.Seq, 0, 1, 0)
	add("signed-psk", "signed-psk-ok", "pre-shared secret", "ok", forge.HS256(k.Sign, forge.Signed("HS256", k.Kid), claims))
	add("signed-psk", "signed-psk-charset-keys", "a line under public keys of a peer that has a secret", "charset", right)
	back := forge.Derive(s.psk, s.b.ID, s.a.ID)
	add("signed-psk", "signed-psk-reflected", "a line of the other direction", "signature", forge.HS256(back.Sign, forge.Signed("HS256", back.Kid), claims))
	add("signed-psk", "signed-psk-rkt", "bound to another key", "claims", forge.HS256(k.Sign, forge.Signed("HS256", k.Kid), s.claims()))
}

// signedKnown is what a sealer in signed mode makes of a seed, claims and the recipient's key: the line is the body.
func (s *scene) signedKnown() *vector {
	claims := s.claims()
	v := &vector{body: append(forge.JWS(s.a.Sig, forge.Signed("EdDSA", s.a.SigKid), claims), '\n')}
	v.set("seed", "%s", forge.B64(s.a.Sig.Seed()))
	v.set("kid", "%s", s.a.SigKid)
	v.set("from", "%s", s.a.ID)
	v.set("to", "%s", s.b.ID)
	v.set("enc", "%s", forge.B64(s.b.Enc.PublicKey().Bytes()))
	v.set("rkt", "%s", s.b.EncKid)
	v.set("claims", "%s", claims)
	return v
}
